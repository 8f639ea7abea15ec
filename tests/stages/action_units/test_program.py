"""OpenFace is found where the user says it is, and known for what it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from streamdeid.errors import SettingsError
from streamdeid.stages.action_units.program import (
    OpenFaceProgram,
    OpenFaceScript,
    find_program,
)
from tests.stages.action_units.conftest import MakeProgram, write_program

pytestmark = pytest.mark.usefixtures("nothing_is_left")


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("generation", [1, 2])
def test_a_program_is_known_by_the_options_in_it(generation: int, tmp_path: Path) -> None:
    path = write_program(tmp_path / "bin", (), generation)
    assert find_program(str(path), {}) == OpenFaceProgram(path, generation)  # type: ignore[arg-type]


@pytest.mark.parametrize("generation", [1, 2])
def test_what_shows_no_options_is_asked_for_a_video_that_is_not_there(
    generation: int, tmp_path: Path
) -> None:
    says = {1: "Failed to open video source, exiting", 2: "Failed to open the video file at …"}
    path = executable(
        tmp_path / "FeatureExtraction", f'#!/bin/sh\n[ "$1" = -f ] && echo "{says[generation]}"\n'
    )
    assert find_program(str(path), {}) == OpenFaceProgram(path, generation)  # type: ignore[arg-type]


def test_the_folder_of_a_build_will_do(tmp_path: Path) -> None:
    path = write_program(tmp_path / "bin", (), 2)
    assert find_program(str(tmp_path / "bin"), {}) == OpenFaceProgram(path, 2)


def test_the_option_comes_before_the_variable_and_that_before_the_path(tmp_path: Path) -> None:
    paths = [write_program(tmp_path / name, (), 1) for name in "abc"]
    environment = {"STREAMDEID_OPENFACE": str(paths[1]), "PATH": str(paths[2].parent)}
    for choice, expected in ((str(paths[0]), paths[0]), (None, paths[1])):
        assert find_program(choice, environment) == OpenFaceProgram(expected, 1)
    del environment["STREAMDEID_OPENFACE"]
    assert find_program(None, environment) == OpenFaceProgram(paths[2], 1)
    assert find_program(None, {"PATH": str(tmp_path)}) is None


def test_any_other_script_is_run_on_whole_files(tmp_path: Path) -> None:
    path = executable(tmp_path / "run_openface.sh", '#!/bin/sh\nFeatureExtraction -out_dir "$2"\n')
    found = find_program(str(path), {})
    assert found == OpenFaceScript(path)
    assert found.command(Path("a.mp4"), Path("out")) == [str(path), "a.mp4", "out"]
    record = found.record()
    assert (record["file"], record["provider"]) == ("run_openface.sh", "script")
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"^--openface: \S+/nothing does not exist; give the pat"
    ):
        find_program(str(tmp_path / "nothing"), {})
    with pytest.raises(SettingsError, match=r"^\$STREAMDEID_OPENFACE: \S+ is a folder without it"):
        find_program(None, {"STREAMDEID_OPENFACE": str(tmp_path)})


def test_what_may_not_be_executed_is_said(tmp_path: Path) -> None:
    path = tmp_path / "FeatureExtraction"
    path.write_text("")
    with pytest.raises(SettingsError, match=r"is not executable: chmod \+x "):
        find_program(str(path), {})


@pytest.mark.parametrize("text", ["", "#!/bin/sh\necho hello\n", "#!/no/such/interpreter\n"])
def test_what_is_not_openface_is_said(text: str, tmp_path: Path) -> None:
    path = executable(tmp_path / "FeatureExtraction", text)
    with pytest.raises(SettingsError, match="is not OpenFace's FeatureExtraction"):
        find_program(str(path), {})


def test_a_check_sees_what_cannot_run(program: MakeProgram, tmp_path: Path) -> None:
    program().check()
    program("silent").check()
    path = executable(
        tmp_path / "FeatureExtraction",
        "#!/bin/sh\n# -out_dir\necho 'error while loading: libtbb.so.2'\nexit 127\n",
    )
    found = find_program(str(path), {})
    assert isinstance(found, OpenFaceProgram)
    with pytest.raises(SettingsError, match=r"cannot run \(exit code 127\).*libtbb\.so\.2'"):
        found.check()


def fake_docker(folder: Path, script: str) -> None:
    executable(folder / "docker", f"#!/bin/sh\n{script}\n")


def test_docker_takes_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_docker(tmp_path / "path", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "path"), prepend=":")
    default, own = find_program("docker", {}), find_program("docker:me/openface:2", {})
    assert isinstance(default, OpenFaceProgram)
    assert isinstance(own, OpenFaceProgram)
    assert (default.image, own.image) == ("algebr/openface:latest", "me/openface:2")
    assert own.folder is None
    own.check()
    command = own.command(Path("/rows/original.csv"), at_once=True, container="name")
    assert command[:4] == ["docker", "run", "-i", "--rm"]
    assert "-t" not in command
    assert command[command.index("--name") + 1] == "name"
    assert command[command.index("-v") + 1] == "/rows:/rows"
    assert command[command.index("me/openface:2") + 1 :][:6] == [
        *("-f", "/dev/stdin"),
        *("-out_dir", "/rows"),
        *("-of", "original"),
    ]
    assert own.record()["image"] == "me/openface:2"


def test_docker_without_the_image_or_docker_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_docker(tmp_path / "path", "echo 'No such image: me/openface' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "path"), prepend=":")
    found = find_program("docker:me/openface", {})
    assert isinstance(found, OpenFaceProgram)
    with pytest.raises(SettingsError, match=r"No such image.*run: docker pull me/openface$"):
        found.check()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="there is no docker on the PATH"):
        find_program("docker", {})
