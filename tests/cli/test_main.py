"""The door: what it says of itself, and how errors leave by it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import streamdeid
from streamdeid.errors import InputError
from tests.cli.conftest import Run, is_one_sentence

COMMANDS = (
    [],
    ["evaluate"],
    ["demo"],
    ["models"],
    ["models", "list"],
    ["models", "verify"],
    ["doctor"],
)

FLAGS = (
    *("--source-image", "--target-image", "--face", "--threshold"),
    *("--output", "--timeline", "--fail-if", "--json", "--quiet"),
    *("--offset", "--frames", "--seed", "--confirm-every", "--search-every"),
    *("--detector", "--landmarks", "--embedder", "--provider", "--models-dir"),
)


def test_it_says_its_version(run: Run) -> None:
    assert run("--version").stdout == f"streamdeid, version {streamdeid.__version__}\n"


def test_the_version_is_the_one_of_the_project() -> None:
    import tomllib

    project = Path(streamdeid.__file__).parents[1] / "pyproject.toml"
    if not project.exists():
        pytest.skip("installed without its project")
    assert tomllib.loads(project.read_text())["project"]["version"] == streamdeid.__version__


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_that_fits_a_terminal(command: list[str], run: Run) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 84
    assert result.stdout == run(*command, "-h").stdout


def test_every_option_of_evaluate_is_explained(run: Run) -> None:
    shown = run("evaluate", "--help").stdout
    for flag in FLAGS:
        assert flag in shown
    assert "streamdeid evaluate original.mp4 deidentified.mp4" in shown
    assert "[default: largest]" in " ".join(shown.split())


def test_an_unknown_command_is_bad_usage(run: Run) -> None:
    result = run("evalaute")
    assert result.exit_code == 2
    assert "No such command 'evalaute'" in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (InputError("a.mp4 is\n no video."), 2, "streamdeid: a.mp4 is no video.\n"),
        (KeyError("boom"), 70, "this is a fault of streamdeid itself (KeyError: 'boom')"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 2, ""),
    ],
)
def test_errors_leave_as_sentences(
    error: BaseException, code: int, sentence: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("streamdeid.engine.doctor.examine", fail)
    monkeypatch.setattr("streamdeid.cli.main.forget_standard_output", lambda: None)
    result = run("doctor")
    assert result.exit_code == code
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("way", ["flag", "variable"])
def test_debugging_shows_where_an_error_rose(way: str, run: Run) -> None:
    arguments = ["evaluate", "none.mp4", "none.mp4", "--frames", "0"]
    if way == "flag":
        result = run("--debug", *arguments)
    else:
        result = run(*arguments, env={"STREAMDEID_DEBUG": "1"})
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("streamdeid: --frames is 0")


def test_it_runs_as_a_module(python_environment: dict[str, str]) -> None:
    command = [sys.executable, "-W", "error", "-m", "streamdeid", "evaluate", "a.mp4", "b.mp4"]
    result = subprocess.run(command, env=python_environment, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stdout == ""
    assert is_one_sentence(result.stderr), result.stderr


def test_a_reader_that_goes_away_is_no_fault(python_environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "streamdeid", "doctor"],
        env=python_environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 2


def test_a_standard_output_that_was_closed_costs_no_verdict(
    python_environment: dict[str, str], clip: Path
) -> None:
    command = 'exec "$0" -m streamdeid evaluate "$1" "$1" --metrics identity --fail-if "$2" >&-'
    condition = "identity.distance_between_sides < 0.1"
    result = subprocess.run(
        ["sh", "-c", command, sys.executable, str(clip), condition],
        env=python_environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert result.returncode == 1, result.stderr
    assert "holds: it is 0" in result.stderr


def test_a_terminal_that_knows_few_characters_is_no_fault(
    python_environment: dict[str, str], clip: Path, tmp_path: Path
) -> None:
    video = tmp_path / "ünïcödé.mp4"
    video.symlink_to(clip)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "streamdeid", "evaluate", video, video],
        env=python_environment | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "?n?c?d?.mp4" in result.stdout
