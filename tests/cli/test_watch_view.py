"""What a person sees of a live run, and the lines that a program reads."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from streamdeid.cli.lines import LineWriter
from streamdeid.cli.watch_view import LiveView, PlainView, QuietView, sparkline, view_on
from streamdeid.engine.accounts import Account
from streamdeid.engine.live.status import Event, SideStatus, Status
from streamdeid.errors import OutputError
from streamdeid.pair import Pair
from streamdeid.score import Score
from tests.engine.live.served import STATUS, UP

NAME = "identity.distance_between_sides"
WATCHED = replace(
    STATUS,
    sides=Pair(
        UP, SideStatus(Account(1234, 1200, {"behind": 34}), live=False, up=True, fps_in=None,
                       last_frame_age_s=None),
    ),
    totals=[Score(NAME, 0.71, "euclidean", 7)],
    window=[Score(NAME, 0.654, "euclidean", 4)],
)  # fmt: skip
ALERT = Event("2030-01-01T00:00:01.000Z", "alert", "ALERT: it is \x1b[2J high.", {})


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=terminal, width=100), file


def test_on_a_terminal_streams_scores_and_events_are_drawn_anew() -> None:
    shown, file = console(terminal=True)
    values = iter(range(100))

    def status() -> Status:
        return replace(WATCHED, window=[Score(NAME, float(next(values)), "euclidean", 4)])

    with LiveView(shown) as view:
        assert "waiting for frames" in file.getvalue()
        view.event(ALERT)
        view.begin(status)
        view.line(WATCHED)
        deadline = time.monotonic() + 20
        while "▁█" not in file.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    text = file.getvalue()
    for part in (
        "last 60 s",
        "distance between sides",
        "0.710",
        "29.5",
        "34 behind",
        "1,234",
        "up",
    ):
        assert part in text, part
    assert "\\x1b[2J high" in text  # what a stream is called commands no terminal
    assert "\x1b[2J" not in text
    assert not [thread for thread in threading.enumerate() if thread.name == "view"]


def test_a_stream_that_is_down_is_seen() -> None:
    shown, file = console(terminal=True)
    view = LiveView(shown)
    shown.print(view._drawn(replace(WATCHED, sides=Pair(replace(UP, up=False), UP))))
    assert "DOWN" in file.getvalue()


def test_elsewhere_there_is_a_line_now_and_then() -> None:
    shown, file = console(terminal=False)
    with PlainView(shown) as view:
        view.begin(lambda: WATCHED)
        view.event(ALERT)
        view.line(WATCHED)
    event, line = file.getvalue().splitlines()
    assert event == r"2030-01-01T00:00:01.000Z ALERT: it is \x1b[2J high."
    assert line.startswith("0:01, 7 pairs, lag 0.2 s, original up 29.5 fps 7 used 2 skipped")
    assert line.endswith("distance between sides 0.654")


def test_where_it_is_to_be_quiet_nothing_is_shown() -> None:
    for terminal in (True, False):
        shown, file = console(terminal=terminal)
        with view_on(shown, quiet=True, live=True) as view:
            assert isinstance(view, QuietView)
            view.begin(lambda: WATCHED)
            view.line(WATCHED)
            view.event(ALERT)
        assert file.getvalue() == ""
        assert type(view_on(shown, quiet=False, live=False)) is PlainView


def test_a_sparkline_goes_from_the_least_to_the_greatest() -> None:
    assert sparkline(deque([1.0, 2.0, 3.0])) == "▁▅█"
    assert sparkline(deque([5.0, 5.0])) == "▁▁"
    assert sparkline(deque()) == ""


def test_lines_begin_anew_after_one_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"old": true}\n{"cut": "of')
    with LineWriter(path, append=True, tell=print, gone=lambda: None) as writer:
        writer.write({"b": 2})
    assert path.read_text().splitlines() == ['{"old": true}', '{"cut": "of', '{"b": 2}']


@pytest.mark.parametrize(("append", "kept"), [(True, 3), (False, 2)])
def test_lines_go_to_a_file_after_those_before_or_in_their_place(
    append: bool, kept: int, tmp_path: Path
) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"old": true}\n')
    notes: list[str] = []
    with LineWriter(path, append=append, tell=notes.append, gone=lambda: None) as writer:
        writer.write({"a": "ä"})
        writer.write({"b": 2})
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == kept
    assert lines[-2:] == [{"a": "ä"}, {"b": 2}]
    assert notes == []


def test_a_file_that_cannot_be_opened_is_refused_and_a_full_disk_is_told_once(
    tmp_path: Path,
) -> None:
    notes: list[str] = []
    nowhere = LineWriter(tmp_path, append=True, tell=notes.append, gone=lambda: None)
    with pytest.raises(OutputError, match="cannot be written"), nowhere:
        pass
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with LineWriter(Path("/dev/full"), append=True, tell=notes.append, gone=lambda: None) as full:
        full.write({"a": 1})
        full.write({"b": 2})
    assert notes == ["--output /dev/full: No space left on device."]


def test_a_reader_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    notes: list[str] = []
    try:
        with LineWriter(pipe, append=True, tell=notes.append, gone=lambda: None) as writer:
            began = time.monotonic()
            for _ in range(300):
                writer.write({"long": "x" * 5000})
            assert time.monotonic() - began < 2
        assert notes == [f"--output {pipe}: lines are left out, because nobody reads them."]
        assert time.monotonic() - began < 10
    finally:
        os.close(reader)
    writer._thread.join(10)
    assert not writer._thread.is_alive()


def test_a_number_that_json_has_no_word_for_costs_a_line_and_no_more(tmp_path: Path) -> None:
    path, notes = tmp_path / "lines.jsonl", []
    with LineWriter(path, append=False, tell=notes.append, gone=lambda: None) as writer:
        writer.write({"a": float("nan")})
        writer.write({"b": 2})
    assert path.read_text() == '{"b": 2}\n'
    assert len(notes) == 1


def test_where_nobody_wants_lines_none_are_made() -> None:
    with LineWriter(None, append=False, tell=print, gone=lambda: None) as writer:
        writer.write({"a": 1})
    assert not [thread for thread in threading.enumerate() if thread.name == "lines"]
