"""OpenFaceProgram: which FeatureExtraction there is, and how it is started."""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from streamdeid.errors import SettingsError

PROGRAM: Final = "FeatureExtraction"
DOCKER: Final = "docker"
IMAGE: Final = "algebr/openface:latest"
_IN_IMAGE: Final = f"/home/openface-build/build/bin/{PROGRAM}"
_TASK: Final = "action units"
_FLAG: Final = "--openface"
_VARIABLE: Final = "STREAMDEID_OPENFACE"
_LOOK_S: Final = 60  # a program loads its models before it looks at its arguments
_STARTS_S: Final = 0.5

Generation: TypeAlias = Literal[1, 2]

# Options that only the one or the other knows, as they stand in the program's file.
_MARKS: Final[tuple[tuple[bytes, Generation], ...]] = ((b"-out_dir", 2), (b"-no2Dfp", 1))
# What the two say of a video that is not there.
_COMPLAINTS: Final[tuple[tuple[bytes, Generation], ...]] = (
    (b"Failed to open the video file", 2),
    (b"Failed to open video source", 1),
)
# Columns that make a row so long (6 KB) that it leaves the buffer of 8 KiB at once or with the
# next: version 2 does not flush, and rows of action units alone come 33 to 47 frames late.
_WIDE: Final = ("-2Dfp", "-3Dfp", "-pdmparams", "-pose", "-gaze")
_NARROW: Final = ("-no2Dfp", "-no3Dfp", "-noMparams", "-noPose", "-noGaze")


@dataclass(frozen=True, slots=True)
class OpenFaceProgram:
    """OpenFace's `FeatureExtraction`, which reads a video and writes a row for each frame.

    Attributes:
        path: of the program; inside the image if there is one.
        generation: 1 or 2, which want different options.
        image: of Docker; None: the program runs on this machine.
    """

    path: Path
    generation: Generation
    image: str | None = None

    @property
    def flushes(self) -> bool:
        """Whether each row is in the file as soon as its frame is done."""
        return self.generation == 1

    @property
    def folder(self) -> Path | None:
        """Where it must run: it looks for some of its models in `classifiers/`."""
        return None if self.image else self.path.resolve().parent

    def command(
        self, rows: Path, *, au_static: bool = False, at_once: bool = False, container: str = ""
    ) -> list[str]:
        """How to start it on a video at its standard input.

        Args:
            rows: file to write, in a folder that exists.
            au_static: for clips that are short, or hold one expression.
            at_once: write rows so that they can be read while it runs.
            container: name for the Docker container.
        """
        return [*self._start(rows.parent, container), *self._options(rows, au_static, at_once)]

    def record(self, *, au_static: bool = False, at_once: bool = False) -> dict[str, Any]:
        """For the report: what it is and how it is started, without the paths of this machine."""
        options = self._options(Path("FOLDER", "ROWS.csv"), au_static, at_once)
        return {
            "name": "openface",
            "task": _TASK,
            "file": PROGRAM,
            "sha256": self._sha256(),
            "provider": "process" if self.image is None else DOCKER,
            "version": f"{self.generation}.x",
            "image": self.image,
            "options": options,
        }

    def _sha256(self) -> str | None:
        """Of the program, or of the image; None if it is not there."""
        if self.image is None:
            return _sha256(self.path)
        with suppress(SettingsError):
            return _image_id(self.image)
        return None

    def check(self) -> None:
        """See that it starts; takes half a second.

        Raises:
            SettingsError: it does not.
        """
        if self.image is not None:
            _image_id(self.image)
            return
        with _run([str(self.path), "-f", "/dev/stdin"], self.folder) as process:
            try:
                said, _ = process.communicate(timeout=_STARTS_S)
            except subprocess.TimeoutExpired:
                process.kill()
                return
        # Bad input makes it end with 1, or with 0 in version 2: that is a start, too.
        if process.returncode not in (0, 1):
            words = said.decode("utf-8", "replace").strip()[-200:]
            raise SettingsError(
                f"{_FLAG}: {self.path} cannot run (exit code {process.returncode}): {words!r}."
            )

    def _start(self, folder: Path, container: str) -> list[str]:
        if self.image is None:
            return [str(self.path)]
        # No -t: a terminal in between would change bytes. No network: it needs none, and what goes
        # in is a face.
        run = [DOCKER, "run", "-i", "--rm", "--network", "none", "--name", container]
        return [*run, "-v", f"{folder}:{folder}", "--entrypoint", str(self.path), self.image]

    def _options(self, rows: Path, au_static: bool, at_once: bool) -> list[str]:
        static = ["-au_static"] if au_static else []
        if self.generation == 1:
            # -q: no windows.
            return ["-f", "/dev/stdin", "-of", str(rows), "-q", *_NARROW, *static]
        # It takes the name without its ending, and puts .csv there.
        place = ["-out_dir", str(rows.parent), "-of", rows.stem]
        return ["-f", "/dev/stdin", *place, "-aus", *(_WIDE if at_once else ()), *static]


@dataclass(frozen=True, slots=True)
class OpenFaceScript:
    """A script that runs OpenFace on a whole video file, as the tool fsmetric wants it.

    Attributes:
        path: takes the video and a folder, and leaves one CSV file in that folder.
    """

    path: Path

    def command(self, video: Path, folder: Path) -> list[str]:
        return [str(self.path), str(video), str(folder)]

    def record(self) -> dict[str, Any]:
        """For the report."""
        return {
            "name": "openface",
            "task": _TASK,
            "file": self.path.name,
            "sha256": _sha256(self.path),
            "provider": "script",
        }


def find_program(
    choice: str | None, environment: Mapping[str, str] = os.environ
) -> OpenFaceProgram | OpenFaceScript | None:
    """What `choice`, else $STREAMDEID_OPENFACE, else $PATH names; None if nothing does.

    Args:
        choice: path of FeatureExtraction or of a script, "docker" or "docker:IMAGE".

    Raises:
        SettingsError: it cannot be OpenFace.
    """
    given, flag = choice, _FLAG
    if given is None and environment.get(_VARIABLE):
        given, flag = environment[_VARIABLE], f"${_VARIABLE}"
    if given is None:
        given = shutil.which(PROGRAM, path=environment.get("PATH", os.defpath))
        if given is None:
            return None
        flag = "$PATH"
    if sys.platform == "win32":
        raise SettingsError(f"{flag}: OpenFace can read our pipe on Linux and macOS only.")
    if given == DOCKER or given.startswith(f"{DOCKER}:"):
        return _docker(given.partition(":")[2] or IMAGE, flag)
    return _on_this_machine(Path(given), flag)


def _docker(image: str, flag: str) -> OpenFaceProgram:
    if shutil.which(DOCKER) is None:
        raise SettingsError(f"{flag} is docker, but there is no docker on the PATH; install it.")
    return OpenFaceProgram(Path(_IN_IMAGE), 2, image)


def _image_id(image: str) -> str:
    """The sha256 that Docker knows an image by.

    Raises:
        SettingsError: it has no such image, or cannot be asked.
    """
    try:
        asked = subprocess.run(  # noqa: S603
            [DOCKER, "image", "inspect", "--format", "{{.Id}}", image],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LOOK_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        reason = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise SettingsError(
            f"{_FLAG}: Docker does not have {image}: {reason}; "
            f"start Docker, and run: docker pull {image}"
        ) from error
    return asked.stdout.decode("ascii", "replace").strip().removeprefix("sha256:")


def _sha256(path: Path) -> str | None:
    with suppress(OSError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _on_this_machine(path: Path, flag: str) -> OpenFaceProgram | OpenFaceScript:
    # The folder of a build will do: it is what people remember.
    if path.is_dir() and (path / PROGRAM).is_file():
        path = path / PROGRAM
    if not path.is_file():
        what = "is a folder without it" if path.is_dir() else "does not exist"
        raise SettingsError(
            f"{flag}: {path} {what}; give the path of OpenFace's {PROGRAM}, 'docker', or a script."
        )
    path = path.absolute()
    if not os.access(path, os.X_OK):
        raise SettingsError(f"{flag}: {path} is not executable: chmod +x lets it run.")
    is_script, generation = _look_into(path)
    if is_script and not path.name.startswith(PROGRAM):
        return OpenFaceScript(path)
    generation = generation or _ask(path)
    if generation is None:
        raise SettingsError(
            f"{flag}: {path} is not OpenFace's {PROGRAM}: it does not know its options."
        )
    return OpenFaceProgram(path, generation)


def _look_into(path: Path) -> tuple[bool, Generation | None]:
    """Whether it is a script, and which generation's options it knows by name."""
    if path.stat().st_size == 0:
        return False, None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        known = next((number for mark, number in _MARKS if data.find(mark) >= 0), None)
        return data[:2] == b"#!", known


def _ask(path: Path) -> Generation | None:
    """Which generation it is by what it says of a video that does not exist."""
    command = [str(path), "-f", str(path.parent / "no such video.avi")]
    try:
        with _run(command, path.resolve().parent) as process:
            try:
                said, _ = process.communicate(timeout=_LOOK_S)
            except subprocess.TimeoutExpired:
                process.kill()
                return None
    except OSError:
        return None
    return next((number for words, number in _COMPLAINTS if words in said), None)


def _run(command: list[str], folder: Path | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
    )
