"""Expression by OpenFace, as a user has it; a program that speaks its protocol stands in for it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from streamdeid.report.report import Report
from streamdeid.report.schema import report_schema, score_names
from tests.cli.conftest import FRAMES, Run, is_one_sentence
from tests.stages.action_units.conftest import FAKE, processes_of, wait_until, write_program

ONLY = ("--metrics", "expression")


@pytest.fixture(autouse=True)
def _no_openface_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STREAMDEID_OPENFACE", raising=False)
    monkeypatch.setenv("PATH", os.pathsep.join(("/usr/bin", "/bin")))


@pytest.mark.parametrize("generation", [1, 2])
def test_openface_measures_a_video_against_itself(
    generation: int, run: Run, clip: Path, tmp_path: Path
) -> None:
    program = write_program(tmp_path / "bin", (), generation)
    output, rows = tmp_path / "report.json", tmp_path / "rows.csv"
    result = run(
        *("evaluate", clip, clip, *ONLY, "--openface", program, "--au-static"),
        *("-o", output, "--timeline", rows),
    )
    assert result.exit_code == 0, result.stderr
    report = Report.read(output)
    jsonschema.validate(report.to_record(), report_schema())
    assert report.complete
    assert report["expression.coverage"].value == 1
    assert report["expression.au12.rmse"].value == 0
    assert report["expression.au12.pcc"].details["source"] == f"OpenFace {generation}.x"
    assert report["expression.au12.pcc"].details["values"] == "post-processed"
    (record,) = [model for model in report.models if model["name"] == "openface"]
    assert record["provider"] == "process"
    assert "-au_static" in record["options"]
    assert str(tmp_path) not in str(record), "where it lies on this machine is nobody's business"
    assert f"\nExpression, by OpenFace {generation}.x, post-processed\n" in result.stdout
    with rows.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == FRAMES
    assert "original.au12.online" in table[0]
    assert not [name for name in table[0] if name.endswith("post-processed")]


def test_both_sources_stand_side_by_side_and_say_how_they_agree(
    run: Run, clip: Path, mirrored: Path, tmp_path: Path
) -> None:
    program = write_program(tmp_path / "bin", (), 1)
    result = run(
        *("evaluate", clip, mirrored, *ONLY, "--openface", program, "--au-source", "both"),
        *("--fail-if", "expression_agreement.mean.pcc.original > 1", "--json"),
    )
    assert result.exit_code == 0, result.stderr
    report = Report.from_json(result.stdout)
    assert set(report) == {name for name in score_names() if name.startswith("expression")}
    assert report["expression.au26.pcc"].details["source"] == "OpenFace 1.x"
    assert report["expression_proxy.au26.pcc"].details["source"] == "blendshape proxy"
    for side in ("original", "deidentified"):
        assert report[f"expression_agreement.mean.pcc.{side}"].count == FRAMES


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        (("crash=5",), "after"),
        (("garbage=3",), "wrote"),
        (("few=4",), "its rows end with frame 4 of 12"),
    ],
)
def test_where_openface_breaks_down_everything_else_is_still_told(
    how: tuple[str, ...], sentence: str, run: Run, clip: Path, tmp_path: Path
) -> None:
    program = write_program(tmp_path / "bin", (*how, f"tag={tmp_path}"), 1)
    output = tmp_path / "report.json"
    result = run(
        *("evaluate", clip, clip, "--metrics", "identity,expression", "--openface", program),
        *("-o", output),
    )
    assert result.exit_code == 2
    report = Report.read(output)
    assert not report.complete
    assert report["identity.distance_between_sides"].count == FRAMES
    score = report["expression.mean.pcc"]
    assert score.value is None
    assert score.reason in report.notes
    assert "OpenFace" in str(score.reason)
    assert sentence in str(score.reason)
    assert processes_of(tmp_path) == []


def test_a_script_that_takes_a_video_and_a_folder_still_works(
    run: Run, clip: Path, tmp_path: Path
) -> None:
    script = tmp_path / "extract_action_units.sh"
    code = (
        "import av, struct, sys; from pathlib import Path; "
        f"sys.path.insert(0, {str(FAKE.parent)!r}); import fake_openface as fake; "
        "frames = sum(1 for _ in av.open(sys.argv[1]).decode(video=0)); "
        "rows = [', '.join(['frame', 'confidence', 'success', *(f'AU{u:02}_r' for u in fake.UNITS),"
        " *(f'AU{u:02}_c' for u in fake.CLASSES)])]; "
        "rows += [', '.join(map(str, [n + 1, 0.9, 1, *(fake.post_processed(u, n) for u in "
        "fake.UNITS), *(fake.present(u, n) for u in fake.CLASSES)])) for n in range(frames)]; "
        "Path(sys.argv[2], 'au.csv').write_text(chr(10).join(rows) + chr(10))"
    )
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$1" "$2"\n')
    script.chmod(0o755)
    rows = tmp_path / "rows.csv"
    result = run(
        *("evaluate", clip, clip, *ONLY, "--openface", script, "--json", "--timeline", rows)
    )
    assert result.exit_code == 0, result.stderr
    assert ".au12." not in rows.read_text().splitlines()[0], "no row waits for the end"
    report = Report.from_json(result.stdout)
    assert report["expression.au12.pcc"].value == 1
    assert report["expression.au12.pcc"].count == FRAMES
    assert "extract_action_units.sh" in report["expression.au12.pcc"].details["source"]
    static = run("evaluate", clip, clip, *ONLY, "--openface", script, "--au-static")
    assert static.exit_code == 2
    assert is_one_sentence(static.stderr)
    assert "put -au_static there" in static.stderr


def test_without_openface_blendshapes_take_its_place_and_say_so(run: Run, clip: Path) -> None:
    result = run("evaluate", clip, clip, *ONLY)
    assert result.exit_code == 0
    assert "by blendshape proxy" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--au-source", "openface"), "needs OpenFace, which is not on the PATH"),
        (("--au-source", "both"), "needs OpenFace, which is not on the PATH"),
        (("--au-static",), "needs OpenFace, which is not on the PATH"),
        (("--openface", "/nowhere/FeatureExtraction"), "does not exist"),
        (("--openface", __file__), "is not executable"),
        (("--au-source", "blendshapes", "--openface", "docker"), "is about OpenFace"),
        (("--fail-if", "expression_proxy.mean.pcc < 0.5"), "--au-source both"),
    ],
)
def test_what_cannot_be_measured_is_told_before_the_work_begins(
    arguments: tuple[str, ...], sentence: str, run: Run, clip: Path
) -> None:
    result = run("evaluate", clip, clip, *ONLY, *arguments)
    assert result.exit_code == 2
    assert is_one_sentence(result.stderr)
    assert sentence in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_openface_behind(
    number: signal.Signals,
    start: Callable[..., subprocess.Popen[str]],
    carphone: Path,
    tmp_path: Path,
) -> None:
    program = write_program(tmp_path / "bin", ("slow=0.05", f"tag={tmp_path}"), 1)
    output = tmp_path / "report.json"
    process = start("evaluate", carphone, carphone, *ONLY, "--openface", program, "-o", output)
    wait_until(lambda: len([c for c in processes_of(tmp_path) if "fake_openface" in c]) >= 2)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    report = Report.read(output)
    assert not report.complete
    assert report.coverage["paired"] < 120
    wait_until(lambda: processes_of(tmp_path) == [])


def test_openface_is_watched_and_nothing_of_it_is_left(
    run: Run, clip: Path, mirrored: Path, tmp_path: Path
) -> None:
    program = write_program(tmp_path / "bin", (), 2)
    report, lines = tmp_path / "report.json", tmp_path / "lines.jsonl"
    result = run(
        *("watch", clip, mirrored, *ONLY, "--openface", program),
        *("--report", report, "-o", lines, "-q"),
    )
    assert result.exit_code == 0, result.stderr
    window = json.loads(lines.read_text().splitlines()[-1])["window"]["scores"]
    assert window["expression.au12.pcc"]["values"] in ("online", "post-processed")
    written = Report.read(report)
    assert written.complete
    assert written["expression.au12.pcc"].details["values"] == "post-processed"
    assert [model["name"] for model in written.models].count("openface") == 1
    assert not processes_of(program)
