"""A script that runs OpenFace on whole files runs beside us, and its rows are joined by frame."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from streamdeid.observations import ExpressionReading, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.action_units.program import OpenFaceScript, find_program
from streamdeid.stages.action_units.script import ScriptSource
from tests.stages.action_units.conftest import FAKE, assert_is, processes_of, sighting

pytestmark = pytest.mark.usefixtures("nothing_is_left")

# Frame n of the video "a" is number n to the stand-in, of any other video n + 1000.
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from fake_openface import Options, Writer
video, folder = Path(sys.argv[1]), Path(sys.argv[2])
assert video.is_absolute() and folder.is_dir()
add = 0 if video.stem == "a" else 1000
writer = Writer(Options(["-of", "x", "-q"]))
rows = [writer.rows(n + 1, n + add, online=False) for n in range(40)]
(folder / "more").mkdir()
(folder / "more" / (video.stem + ".csv")).write_text(writer.header + "".join(rows))
(folder / "more" / "details.txt").write_text("")
"""


@pytest.fixture
def videos(tmp_path: Path) -> Pair[Path]:
    return Pair(tmp_path / "a.mp4", tmp_path / "b.mp4")


def script(folder: Path, code: str) -> OpenFaceScript:
    body, path = folder / "body.py", folder / "openface.sh"
    body.write_text(code.format(folder=str(FAKE.parent)))
    path.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-S", "-E", str(body)])} "$@"\n')
    path.chmod(0o755)
    found = find_program(str(path), {})
    assert isinstance(found, OpenFaceScript)
    return found


def pushed(source: ScriptSource) -> list[ExpressionReading]:
    """Every second frame from the third on, of the other side always one later."""
    with source:
        for index in range(2, 30, 2):
            assert list(source.push(Pair(sighting(index), later(index)))) == []
        return list(source.flush())


def later(index: int) -> Sighting:
    return sighting(index + 1)


def test_rows_are_joined_by_the_place_of_the_frame_in_its_file(
    videos: Pair[Path], tmp_path: Path
) -> None:
    source = ScriptSource(script(tmp_path, SCRIPT), videos)
    readings = pushed(source)
    assert [reading.index for reading in readings] == list(range(14))
    for index, reading in zip(range(2, 30, 2), readings, strict=True):
        assert reading.fault is None
        assert reading.values == "post-processed"
        assert reading.time == sighting(index).frame.elapsed
        assert_is(reading.units.original, index, online=False)
        assert_is(reading.units.deidentified, index + 1 + 1000, online=False)
    record = source.record()
    assert (record["name"], record["file"]) == ("openface", "openface.sh")
    assert (record["values"], record["fault"]) == ("post-processed", None)


FAULTS = {
    "import sys; sys.exit('no docker here')": "with exit code 1; its last words were 'no docker",
    "import os; os.kill(os.getpid(), 9)": "ended by signal SIGKILL",
    "print('done')": "must leave one CSV file in its folder; it left none",
    "import sys, pathlib as p\nfor n in '12': (p.Path(sys.argv[2]) / (n + '.csv')).touch()": (
        "must leave one CSV file in its folder; it left 1.csv, 2.csv"
    ),
    "import sys, pathlib as p\n(p.Path(sys.argv[2]) / 'x.csv').write_text('frame,time')": (
        "wrote a header without the column success"
    ),
    SCRIPT.replace("range(40)", "range(20)"): "wrote rows up to frame 20, but there are",
    SCRIPT.replace("online=False", "online=True"): "rows that are not post-processed",
    "import time; time.sleep(3600)": "printed and wrote nothing for 0.2 s after the videos had",
}


@pytest.mark.parametrize("code", FAULTS, ids=range(len(FAULTS)))
def test_what_goes_wrong_with_a_script_is_said_in_one_sentence(
    code: str, videos: Pair[Path], tmp_path: Path
) -> None:
    patience_s = 0.2 if "3600" in code else 60
    source = ScriptSource(script(tmp_path, code), videos, patience_s=patience_s)
    readings = pushed(source)
    assert source.fault is not None
    assert FAULTS[code] in source.fault, source.fault
    assert " on the original video " in source.fault
    assert source.fault.count("\n") == 0
    assert source.fault.endswith(".")
    assert len(readings) == 14
    assert readings[-1].fault == source.fault
    assert readings[-1].units == Pair(None, None)


def test_a_script_that_cannot_be_run_is_a_fault_of_all_readings(
    videos: Pair[Path], tmp_path: Path
) -> None:
    made = script(tmp_path, SCRIPT)
    made.path.unlink()
    faults = {reading.fault for reading in pushed(ScriptSource(made, videos))}
    assert faults == {"openface.sh cannot be started: No such file or directory."}


def test_closing_in_the_middle_ends_the_scripts(videos: Pair[Path], tmp_path: Path) -> None:
    source = ScriptSource(script(tmp_path, "import time; time.sleep(3600)"), videos)
    source.push(Pair(sighting(0), sighting(0)))
    source.close()
    assert processes_of(tmp_path) == []


def test_a_run_without_frames_starts_no_script(videos: Pair[Path], tmp_path: Path) -> None:
    source = ScriptSource(script(tmp_path, "import time; time.sleep(3600)"), videos)
    assert list(source.flush()) == []
    assert processes_of(tmp_path) == []
