"""A stand-in for OpenFace, frames that carry their numbers, and a look at what is left behind."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamdeid.frame import Frame
from streamdeid.observations import ACTION_UNITS, ActionUnits, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.action_units.program import OpenFaceProgram, find_program
from tests.stages.action_units import fake_openface as fake

FAKE = Path(__file__).with_name("fake_openface.py")
KNOWS = {1: "-no2Dfp", 2: "-out_dir"}
LONGEST_END_S = 10

MakeProgram = Callable[..., OpenFaceProgram]


@pytest.fixture
def program(tmp_path: Path) -> MakeProgram:
    """Makes a FeatureExtraction: `program("crash=5", generation=2)`."""

    def make(*how: str, generation: int = 1) -> OpenFaceProgram:
        found = find_program(str(write_program(tmp_path / "bin", how, generation)), {})
        assert isinstance(found, OpenFaceProgram)
        return found

    return make


def write_program(folder: Path, how: tuple[str, ...], generation: int) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "FeatureExtraction"
    words = [sys.executable, "-S", "-E", str(FAKE)]
    words += [word for one in how for word in ("--how", one)]
    path.write_text(f'#!/bin/sh\n# knows {KNOWS[generation]}\nexec {shlex.join(words)} "$@"\n')
    path.chmod(0o755)
    return path


def sighting(index: int, height: int = 30, width: int = 41) -> Sighting:
    """A frame whose first pixel spells `index`."""
    image = np.full((height, width, 3), 128, np.uint8)
    image[0, 0] = index >> 16, index >> 8 & 255, index & 255
    image.setflags(write=False)
    return Sighting(Frame(image, index, index, Fraction(1, 25)), None)


def pair(index: int, height: int = 30, width: int = 41) -> Pair[Sighting]:
    """Frame `index` of the one and frame `index + 1000` of the other video."""
    return Pair(sighting(index, height, width), sighting(index + 1000, height, width))


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of this test, here and in children."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def nothing_is_left(temporary: Path, tmp_path: Path) -> Iterator[None]:
    """No process, thread, descriptor or temporary folder outlives a test."""
    before = descriptors()
    yield
    assert list(temporary.iterdir()) == []
    assert not [t.name for t in threading.enumerate() if t.name.startswith("child-")]
    assert descriptors() <= before
    wait_until(lambda: processes_of(tmp_path) == [])


def descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def processes_of(folder: Path) -> list[str]:
    """Commands of running processes that name `folder`, and of our children that nobody reaped."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = os.fsdecode((entry / "cmdline").read_bytes().replace(b"\0", b" "))
            status = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(folder) in command and int(entry.name) != os.getpid():
            found.append(command)
        if status[0] == "Z" and int(status[1]) == os.getpid():
            found.append(f"zombie {entry.name}")
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_END_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def assert_is(units: ActionUnits | None, number: int, *, online: bool) -> None:
    """Those that the stand-in makes of a frame whose first pixel spells `number`."""
    value = fake.intensity if online else fake.post_processed
    assert units is not None
    np.testing.assert_allclose(units.intensity, [value(u, number) for u in ACTION_UNITS], atol=1e-9)
    assert units.present is not None
    assert units.present.tolist() == [bool(fake.present(u, number)) for u in ACTION_UNITS]
