"""The doctor finds what is broken, names the cure, and never breaks itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from streamdeid.engine import doctor
from streamdeid.engine.doctor import Finding, examine
from streamdeid.inference.runtime import Runtime
from streamdeid.settings import Settings
from tests.cli.conftest import Run
from tests.stages.action_units.conftest import write_program


def found(settings: Settings | None = None) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(settings)}


def install(versions: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", versions.get)


def test_a_working_installation_can_run(run: Run) -> None:
    findings = found()
    assert [finding for finding in findings.values() if finding.ok is False] == []
    assert {"streamdeid", "Python", "ONNX Runtime", "providers", "models", "PyAV", "OpenCV"} <= (
        findings.keys()
    )
    assert "CPU" in findings["providers"].text
    assert "h264" in findings["decoders"].text
    assert "rtsp" in findings["live streams"].text
    assert "cores" in findings["machine"].text
    result = run("doctor")
    assert result.exit_code == 0
    assert "Evaluations can run." in result.stdout


def test_every_finding_that_is_not_ok_names_a_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    install({}, monkeypatch)
    findings = found(Settings(models_dir=Path("/nowhere"), provider="tensorrt"))
    assert findings["models"].ok is False
    for finding in findings.values():
        assert finding.ok or finding.cure, finding


@pytest.mark.parametrize(
    "runtime",
    [
        Runtime((), (), "ONNX Runtime is not installed: pip install it."),
        Runtime((("onnxruntime", "1"), ("onnxruntime-gpu", "1")), (), "two are installed."),
    ],
)
def test_no_runtime_or_two_of_them_are_broken(
    runtime: Runtime, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "installed_runtime", lambda: runtime)
    assert found()["ONNX Runtime"].ok is False
    result = run("doctor")
    assert result.exit_code == 1
    assert "Broken: ONNX Runtime. Evaluations cannot run." in result.stdout


def test_a_gpu_that_was_asked_for_and_is_not_there_is_broken(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime((("onnxruntime", "1"),), ("CPUExecutionProvider",), None)
    monkeypatch.setattr(doctor, "installed_runtime", lambda: runtime)
    assert found()["providers"].ok is True
    assert found(Settings(provider="cuda"))["providers"].ok is False
    assert run("doctor", "--provider", "cuda").exit_code == 1


def test_opencv_wheels_that_overwrite_each_other_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    install({"opencv-python": "5.0"}, monkeypatch)
    assert found()["OpenCV"] == Finding("OpenCV", True, "opencv-python 5.0")
    install({"opencv-python": "5.0", "opencv-python-headless": "4.9"}, monkeypatch)
    clash = found()["OpenCV"]
    assert clash.ok is None
    assert "pip uninstall opencv-python opencv-python-headless" in clash.cure


def test_an_extra_that_is_missing_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    install({}, monkeypatch)
    assert found()["pyarrow"].ok is None
    assert found()["pyarrow"].cure == 'pip install "streamdeid[parquet]"'


def test_a_pyav_that_cannot_be_imported_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert found()["PyAV"].ok is False


def test_openface_is_found_or_what_takes_its_place_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("STREAMDEID_OPENFACE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert found()["OpenFace"].ok is None
    assert "blendshapes" in found()["OpenFace"].text
    program = write_program(tmp_path / "bin", (), 2)
    assert found(Settings(openface=str(program)))["OpenFace"].text == f"2.x, {program}"
    monkeypatch.setenv("STREAMDEID_OPENFACE", "/nowhere/FeatureExtraction")
    assert found()["OpenFace"].ok is False
    assert "$STREAMDEID_OPENFACE" in found()["OpenFace"].cure
