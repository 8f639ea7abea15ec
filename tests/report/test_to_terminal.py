"""The table can be read at a glance: at any width, and without colour."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from streamdeid.report.report import Report
from streamdeid.report.to_terminal import show
from streamdeid.score import Score
from tests.report.examples import a_report

SIDES = {"original": 0.312, "deidentified": 0.712}
SCORES = (
    *(
        Score(
            f"identity.distance_to_source.{side}",
            value,
            "euclidean",
            40,
            std=0.041,
            details={"q05": 0.22, "q95": 0.41, "impostor_level": [0.75, 0.84]},
        )
        for side, value in SIDES.items()
    ),
    *(
        Score(f"identity.verified_as_source.{side}", value, "rate", 40, details={"threshold": 0.6})
        for side, value in SIDES.items()
    ),
    *(
        Score(f"identity.{kind}.{side}", None, "rate", 0, reason="no picture of the target")
        for kind in ("distance_to_target", "verified_as_target")
        for side in SIDES
    ),
    Score(
        "identity.longest_run_as_source.deidentified",
        12.0,
        "frames",
        40,
        details={"start_s": 3.4, "end_s": 3.8, "seconds": 0.4},
    ),
    Score("identity.distance_between_sides", 0.7, "euclidean", 40, details={"caution": "blurred"}),
    Score("sharpness.laplacian.original", 0.5, "ratio", 40),
    Score("sharpness.laplacian.deidentified", None, "ratio", 0, reason="it is black"),
)
REPORT = a_report(
    scores=SCORES,
    streams={
        "original": {
            "uri": "original [1].mp4",
            "width": 176,
            "height": 144,
            "frame_rate": 29.97,
            "duration_s": 12.7,
            "codec": "h264",
        }
    },
    coverage={
        "paired": 1380,
        "original": {"frames": 1382, "corrupt": 0, "with_face": 1379},
        "deidentified": {"frames": 1380, "corrupt": 0, "with_face": 1371},
    },
    performance={"wall_s": 6.31, "pairs_per_s": 60.5, "peak_rss_mb": 312.2},
    notes=("Both videos are the same file.",),
)


def shown(report: Report, width: int = 80, *, color: bool = False) -> str:
    out = io.StringIO()
    show(report, Console(file=out, width=width, force_terminal=color, legacy_windows=False))
    return out.getvalue()


def row(text: str, label: str) -> list[str]:
    """The cells of a line; they stand at least two blanks apart."""
    line = next(line for line in text.splitlines() if line.strip().startswith(label))
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_scores_stand_under_their_side() -> None:
    text = shown(REPORT)
    assert row(text, "distance to source")[1:] == ["0.312 ± 0.041", "0.712 ± 0.041"]
    assert row(text, "verified as source")[1:] == ["31.2% of 40", "71.2% of 40"]
    assert row(text, "longest run verified")[1:] == ["12 frames at 3.4 s"]
    assert row(text, "distance between sides")[1:] == ["0.700"]
    heads = [line.split() for line in text.splitlines() if line.strip().endswith("de-identified")]
    assert ["original", "de-identified"] in heads
    column = next(line for line in text.splitlines() if "±" in line).index("0.712")
    between = next(line for line in text.splitlines() if "between sides" in line)
    assert between.index("0.700") == column


def test_a_wide_terminal_shows_the_quantiles_too() -> None:
    assert "0.22 … 0.41" in shown(REPORT, 120)
    assert "0.22 … 0.41" not in shown(REPORT, 80)


def test_frames_that_were_left_out_are_told_with_the_reason() -> None:
    sides = {
        side: {"frames": 12, "used": 8, "unpaired": 1, "skipped": {"unpaired": 1, "behind": 3}}
        for side in ("original", "deidentified")
    }
    text = shown(a_report(coverage={"paired": 8, **sides}))
    assert row(text, "without a partner")[1:] == ["1", "1"]
    assert row(text, "left out, to keep up")[1:] == ["3", "3"]
    assert "still waiting" not in text


def test_missing_scores_are_gathered_by_their_reason() -> None:
    assert "no distance to target, verified as target: no picture of the target" in shown(REPORT)


def test_a_reason_is_given_once() -> None:
    scores = [
        Score(f"{group}.distance_to_source.original", None, "euclidean", 0, reason="no picture")
        for group in ("identity", "identity_paired")
    ]
    assert shown(a_report(scores=tuple(scores))).count("no picture") == 1


def test_reasons_of_labels_with_commas_can_be_told_apart() -> None:
    scores = [
        Score(f"quality.ms_ssim.{part}", None, "similarity", 0, reason="too small")
        for part in ("face", "frame")
    ]
    assert "no MS-SSIM, face; MS-SSIM, frame: too small" in shown(a_report(scores=tuple(scores)))


def test_what_limits_a_value_is_a_remark_below_the_group() -> None:
    few = "14 rows say little."
    scores = tuple(
        Score(f"realism.{name}", 1.5, "squared", 14, reason=few)
        for name in ("fid_i3d", "fid_i3d.noise_floor", "fvd")
    )
    text = shown(a_report(scores=scores))
    assert text.count(few) == 1
    lines = [line.strip() for line in text.splitlines()]
    first = next(n for n, line in enumerate(lines) if line.startswith("Fréchet distance, I3D"))
    assert lines[first + 1].startswith("of the original to itself")
    assert lines[first + 3] == few


def test_what_was_drawn_is_told_once() -> None:
    text = shown(a_report(coverage={"paired": 99}, settings={"frames": 50, "seed": 7}))
    assert text.count("up to 50 frame pairs drawn, seed 7") == 1
    assert "drawn" not in shown(REPORT)


def test_several_faces_are_explained_where_there_were_any() -> None:
    sides = {side: {"several_faces": 3} for side in SIDES}
    assert "several faces were seen; one was followed (--face)" in shown(a_report(coverage=sides))
    assert "several faces" not in shown(REPORT)


def test_a_name_cannot_command_the_terminal() -> None:
    report = a_report(streams={"original": {"uri": "a\x1b[2J  b.mp4"}}, notes=("a\x1b[2J.",))
    text = shown(report)
    assert "\x1b" not in text
    assert r"'a\x1b[2J  b.mp4'" in text
    assert r"- a\x1b[2J." in text


def test_a_side_without_a_value_says_why() -> None:
    text = shown(REPORT)
    assert row(text, "laplacian")[1:] == ["0.500", "—"]
    assert "de-identified: it is black" in text


def test_what_to_compare_with_stands_beside_the_scores() -> None:
    text = shown(REPORT)
    assert "verified: at 0.6 or nearer; strangers are 0.75 … 0.84 apart" in text
    assert "caution: blurred" in text


def test_frames_speed_and_notes_are_told() -> None:
    text = shown(REPORT)
    assert row(text, "frames read")[1:] == ["1,382", "1,380"]
    assert row(text, "frame pairs")[1:] == ["1,380"]
    assert row(text, "with a face")[1:] == ["1,379", "1,371"]
    assert "corrupt" not in text
    assert "60.5 frame pairs/s, 6.3 s in all, 312 MiB" in text
    assert "- Both videos are the same file." in text
    assert "original [1].mp4  176×144, 29.97 fps, 12.7 s, h264" in text


def test_of_videos_that_never_came_nothing_is_said() -> None:
    text = shown(a_report(complete=False, streams={}))
    assert "None" not in text
    assert "Identity, at the face found in each video" in text


def test_an_incomplete_report_says_so_first() -> None:
    assert shown(a_report(complete=False)).startswith("INCOMPLETE")
    assert "INCOMPLETE" not in shown(REPORT)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long_name = a_report(streams={"original": {"uri": "/" + "folder/" * 40 + "video.mp4"}})
    for report in (REPORT, long_name, Report(complete=True)):
        assert max(map(len, shown(report, width).splitlines()), default=0) <= width
    assert "…/video.mp4" in shown(long_name, width)


def test_colour_adds_nothing_but_colour() -> None:
    import re

    assert re.sub(r"\x1b\[[\d;]*m", "", shown(REPORT, color=True)) == shown(REPORT)
    assert "\x1b" not in shown(REPORT)
