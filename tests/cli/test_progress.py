"""What a person sees while waiting: a bar on a terminal, lines elsewhere, nothing when quiet."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from streamdeid.cli import progress as progress_module
from streamdeid.cli.progress import (
    LiveDisplay,
    PlainDisplay,
    clock,
    display,
    figures,
)
from streamdeid.engine.events import Progress
from streamdeid.score import Score

SCORES = (
    Score("identity.distance_between_sides", 0.71234, "euclidean", 310),
    Score("identity.verified_as_source.deidentified", 0.0213, "rate", 310),
    Score("identity.distance_to_source.deidentified", None, "euclidean", 0, reason="no picture"),
)
HALFWAY = Progress(pairs=310, time_s=12.4, duration_s=15.5, wall_s=10.0, scores=SCORES)
MESSAGE = Progress(0, 0.0, None, 0.0, message="the two videos are 0.480 s apart [sure].")


def a_console(*, terminal: bool, width: int = 80) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=width, legacy_windows=False), out


def test_a_line_says_how_far_how_fast_how_long_and_what() -> None:
    console, out = a_console(terminal=False)
    with PlainDisplay(console, every_s=0.0) as show:
        show(HALFWAY)
    assert out.getvalue() == (
        "0:12 of 0:16 (80%), 310 pairs, 31.0 pairs/s, 0:02 left, "
        "distance between sides 0.712, verified as source 2.1%\n"
    )


def test_lines_come_every_few_seconds_and_messages_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress_module, "monotonic", lambda: now)
    console, out = a_console(terminal=False)
    with PlainDisplay(console) as show:
        for now in range(12):  # noqa: B007  read by the clock above
            show(HALFWAY)
        assert out.getvalue().count("\n") == 2
        show(MESSAGE)
    assert out.getvalue().endswith("\nthe two videos are 0.480 s apart [sure].\n")


def test_a_video_of_unknown_length_has_no_end() -> None:
    console, out = a_console(terminal=False)
    with PlainDisplay(console, every_s=0.0) as show:
        show(Progress(pairs=310, time_s=3700.0, duration_s=None, wall_s=10.0))
    assert out.getvalue() == "1:01:40 of video, 310 pairs, 31.0 pairs/s\n"


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_gets_a_bar_that_goes_away(width: int) -> None:
    console, out = a_console(terminal=True, width=width)
    with LiveDisplay(console) as show:
        show(MESSAGE)
        show(HALFWAY)
        show._live.refresh()
        seen = out.getvalue()
    assert "the two videos are 0.480 s apart [sure]." in seen
    for part in ("evaluating", "31.0 pairs/s", "0:02 left", "distance between sides 0.712"):
        assert part in seen
    assert out.getvalue().endswith("\x1b[2K")  # the last line is wiped
    assert "\x1b[?25h" in out.getvalue()  # and the cursor is back


def test_the_display_suits_where_it_is_shown() -> None:
    assert type(display(a_console(terminal=True)[0], quiet=False)) is LiveDisplay
    assert type(display(a_console(terminal=False)[0], quiet=False)) is PlainDisplay


def test_when_quiet_nobody_listens() -> None:
    with display(a_console(terminal=True)[0], quiet=True) as listener:
        assert listener is None


def test_figures_without_a_value_are_left_out() -> None:
    assert figures(SCORES) == ["distance between sides 0.712", "verified as source 2.1%"]
    assert figures(()) == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (3600, "1:00:00")]
)
def test_a_clock_shows_what_is_needed(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_values_that_openface_will_replace_are_told_apart() -> None:
    def shown(values: str) -> list[str]:
        details = {"source": "OpenFace 2.x", "values": values}
        return figures((Score("expression.mean.pcc", 0.8125, "correlation", 9, details=details),))

    assert shown("online") == ["expression PCC (online values) 0.812"]
    assert shown("post-processed") == shown("proxy") == ["expression PCC 0.812"]
