"""`streamdeid evaluate` on real video, by the real engine."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import jsonschema
import pytest

from streamdeid.report.report import Report
from streamdeid.report.schema import report_schema, score_names
from streamdeid.settings import METRICS, Settings
from tests.cli.conftest import FRAMES, Run, read_json
from tests.videos import write_video


def test_an_evaluation_leaves_a_report_rows_and_a_table(
    run: Run, clip: Path, mirrored: Path, portrait: Path, tmp_path: Path
) -> None:
    output, rows = tmp_path / "report.json", tmp_path / "rows.csv"
    result = run(
        *("evaluate", clip, mirrored, "--metrics", ",".join(Settings().metrics)),
        *("--source-image", portrait, "-o", output, "--timeline", rows),
    )
    assert result.exit_code == 0, result.stderr
    report = Report.read(output)
    assert report.complete
    assert report["identity.distance_to_source.original"].value < 0.4  # type: ignore[operator]
    assert report["identity.distance_between_sides"].count == FRAMES
    assert report.coverage["paired"] == FRAMES

    record = read_json(output)
    jsonschema.validate(record, report_schema(), jsonschema.Draft202012Validator)
    measured = tuple(begin for name in Settings().metrics for begin in METRICS[name])
    assert set(record["scores"]) == {n for n in score_names() if n.startswith(measured)}
    for score in record["scores"].values():
        assert (score["value"] is None) <= bool(score["reason"])

    with rows.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [int(row["index"]) for row in table] == list(range(FRAMES))
    times = [float(row["time_s"]) for row in table]
    assert times == sorted(set(times))
    assert all(row["distance_between_sides"] for row in table)

    shown = result.stdout
    assert "verified as source" in shown
    assert f"{report['identity.distance_between_sides'].value:.3f}" in shown
    assert "no target reference image was given (--target-image)" in " ".join(shown.split())
    assert str(output) in shown
    assert "\x1b" not in shown + result.stderr


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_each_format_of_rows_has_a_row_for_each_pair(
    name: str, run: Run, clip: Path, mirrored: Path, tmp_path: Path
) -> None:
    result = run("evaluate", clip, mirrored, "--timeline", tmp_path / name, "--quiet")
    assert result.exit_code == 0, result.stderr
    if name.endswith("jsonl"):
        lines = (tmp_path / name).read_text().splitlines()
        indices = [json.loads(line)["index"] for line in lines]
    else:
        import pyarrow.parquet as pq

        indices = pq.read_table(tmp_path / name)["index"].to_pylist()
    assert indices == list(range(FRAMES))


def test_quiet_says_nothing(run: Run, clip: Path, tmp_path: Path) -> None:
    result = run("evaluate", clip, clip, "-q", "-o", tmp_path / "report.json")
    assert (result.exit_code, result.output) == (0, "")
    notes = Report.read(tmp_path / "report.json").notes
    assert any("same file" in note for note in notes)


@pytest.mark.parametrize("choice", [["--json"], ["-o", "-", "--quiet"]])
def test_the_report_goes_to_standard_output(
    choice: list[str], run: Run, clip: Path, mirrored: Path
) -> None:
    result = run("evaluate", clip, mirrored, *choice)
    assert result.exit_code == 0, result.stderr
    assert Report.from_json(result.stdout).complete


def test_who_stops_reading_does_not_change_the_exit_code(
    start: Callable[..., subprocess.Popen[str]], clip: Path, tmp_path: Path
) -> None:
    condition = "identity.distance_between_sides < 1"
    for option in ([], ["--json"]):
        process = start(
            "evaluate", clip, clip, "-o", "report.json", "--fail-if", condition, *option
        )
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 1, stderr
        assert "Traceback" not in stderr
        assert Report.read(tmp_path / "report.json").complete


def test_names_may_begin_with_a_dash_and_hold_anything(
    run: Run, clip: Path, mirrored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = Path("-ä[b] ü😀.mp4"), Path("--quiet.mp4")
    first.write_bytes(clip.read_bytes())
    second.write_bytes(mirrored.read_bytes())
    result = run(
        "evaluate", "-o", "bericht ü.json", "--timeline", "zeilen ß.csv", "--", first, second
    )
    assert result.exit_code == 0, result.stderr
    assert first.name in result.stdout
    report = Report.read("bericht ü.json")
    assert report.streams["original"]["uri"].endswith(first.name)
    assert len(Path("zeilen ß.csv").read_text().splitlines()) == FRAMES + 1


def test_the_same_seed_draws_the_same_frames(run: Run, clip: Path, mirrored: Path) -> None:
    def scores(*options: object) -> object:
        result = run("evaluate", clip, mirrored, "--json", "--frames", 5, *options)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)["scores"]

    assert scores("--seed", 3) == scores("--seed", 3) != scores("--seed", 4)


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("identity.distance_between_sides > 0", 1),
        ("identity.distance_between_sides <= 0", 0),
        ("identity.verified_as_source.original<1e-9", 0),
    ],
)
def test_a_condition_decides_the_exit_code(
    condition: str, code: int, run: Run, clip: Path, mirrored: Path, portrait: Path
) -> None:
    result = run(
        "evaluate", clip, mirrored, "--source-image", portrait, "--quiet", "--fail-if", condition
    )
    assert result.exit_code == code, result.stderr
    assert result.stdout == ""
    assert bool(result.stderr) == bool(code)
    if code:
        assert "--fail-if 'identity.distance_between_sides > 0' holds: it is 0." in result.stderr


def test_what_is_unknown_does_not_pass(run: Run, clip: Path, faceless: Path) -> None:
    conditions = ["identity.distance_between_sides < 0", "identity.distance_between_sides > 9"]
    options = [word for condition in conditions for word in ("--fail-if", condition)]
    result = run("evaluate", clip, faceless, *options)
    assert result.exit_code == 1, result.stderr
    told = [line for line in result.stderr.splitlines() if "--fail-if" in line]
    assert len(told) == 2
    assert all("no value, and what is unknown does not pass: no face" in line for line in told)


def test_the_package_does_what_the_command_does(run: Run, clip: Path, mirrored: Path) -> None:
    import streamdeid

    told = Report.from_json(run("evaluate", clip, mirrored, "--json").stdout)
    report = streamdeid.evaluate(clip, mirrored, Settings(metrics="identity"))
    assert report.scores == told.scores
    assert report.coverage == told.coverage
    assert report.settings == told.settings


def test_a_shift_that_was_found_in_the_pictures_is_made_up_for(
    run: Run, carphone: Path, tmp_path: Path
) -> None:
    with av.open(str(carphone)) as container:
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    early, late = tmp_path / "early.mp4", tmp_path / "late.mp4"
    write_video(early, images[12:])
    covered = [image.copy() for image in images[:-12]]
    for image in covered:  # another face, as it were
        image[30:80, 60:110] = image[30:80, 60:110].mean(axis=(0, 1))
    write_video(late, covered)
    quality = ("--metrics", "quality", "--json")
    result = run("evaluate", early, late, "--offset", "auto", *quality)
    assert result.exit_code == 0, result.stderr
    report = Report.from_json(result.stdout)
    assert report.streams["offset"]["found"]
    assert report.streams["offset"]["seconds"] == pytest.approx(12 / 25, abs=0.005)
    assert report.streams["offset"]["confidence"] > 0.5
    assert any("0.48" in note for note in report.notes)
    assert report.coverage["paired"] == len(images) - 24
    beside = Report.from_json(run("evaluate", early, late, *quality).stdout)
    aligned, shifted = (r["quality.ssim.background"].value for r in (report, beside))
    assert aligned is not None
    assert shifted is not None
    assert aligned > shifted + 0.05
