"""OpenFaceSource gives each frame pair its action units, and survives whatever OpenFace does."""

from __future__ import annotations

import re
import shlex
import sys
import time
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import pytest

from streamdeid.observations import ExpressionReading
from streamdeid.stages.action_units.openface import OpenFaceSource
from streamdeid.stages.action_units.program import OpenFaceProgram, find_program
from tests.stages.action_units import fake_openface as fake
from tests.stages.action_units.conftest import MakeProgram, assert_is, pair, processes_of

pytestmark = pytest.mark.usefixtures("nothing_is_left")

LENGTH = 30
OVERWRITTEN = "OpenFace overwrote this frame's row before it was read."


def run(source: OpenFaceSource, length: int = LENGTH) -> list[ExpressionReading]:
    """All readings of a run of that many pairs."""
    with source:
        readings = [reading for index in range(length) for reading in source.push(pair(index))]
        return readings + list(source.flush())


def split(readings: Iterable[ExpressionReading]) -> tuple[list[ExpressionReading], ...]:
    """Online and post-processed ones; these come last."""
    readings = list(readings)
    online = [reading for reading in readings if reading.values == "online"]
    assert [reading.values for reading in readings[: len(online)]] == ["online"] * len(online)
    return online, readings[len(online) :]


def assert_are(readings: list[ExpressionReading], *, online: bool) -> None:
    """One reading for each pair from the first on, in order and with the units of its frames."""
    assert [reading.index for reading in readings] == list(range(len(readings)))
    for reading in readings:
        assert reading.fault is None
        assert reading.time == Fraction(reading.index, 25)
        assert_is(reading.units.original, reading.index, online=online)
        assert_is(reading.units.deidentified, reading.index + 1000, online=online)


@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("how", [(), ("comma",), ("comma", "faces=3"), ("faces=2",)])
def test_each_pair_has_one_post_processed_reading_at_the_end(
    how: tuple[str, ...], generation: int, program: MakeProgram
) -> None:
    source = OpenFaceSource(program(*how, generation=generation))
    online, finished = split(run(source))
    assert_are(finished, online=False)
    assert len(online) == len(finished) == LENGTH
    assert source.fault is None
    late = [reading for reading in online if reading.fault is not None]
    assert_are(online[: LENGTH - len(late)], online=True)
    assert {reading.fault for reading in late} <= {OVERWRITTEN}
    assert not late or generation == 2
    assert source.origin.source == f"OpenFace {generation}.x"


def test_online_rows_are_at_most_three_frames_late(program: MakeProgram) -> None:
    with OpenFaceSource(program()) as source:
        newest = -1
        for index in range(60):
            for reading in source.push(pair(index, 120, 160)):
                newest = reading.index
            assert index - newest <= 3


def test_rows_that_are_kept_back_are_not_waited_for(program: MakeProgram) -> None:
    with OpenFaceSource(program("buffered")) as source:
        assert [list(source.push(pair(index))) for index in range(20)] == [[]] * 20
        online, finished = split(source.flush())
        assert [reading.fault for reading in online] == [OVERWRITTEN] * 20
        assert_are(finished, online=False)
        assert len(finished) == 20


def test_frames_without_a_face_have_no_units_and_no_fault(program: MakeProgram) -> None:
    readings = run(OpenFaceSource(program("lost=3", "only=deidentified")))
    assert len(readings) == 2 * LENGTH
    for reading in readings:
        assert reading.fault is None
        assert reading.units.original is not None
        assert (reading.units.deidentified is None) == (reading.index % 3 == 2)


def test_a_run_without_frames_starts_nothing(program: MakeProgram, tmp_path: Path) -> None:
    with OpenFaceSource(program()) as source:
        assert list(source.flush()) == []
        assert processes_of(tmp_path) == []


@pytest.mark.parametrize("generation", [1, 2])
def test_it_runs_in_its_own_folder_with_the_options_of_its_generation(
    generation: int, program: MakeProgram, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    made = program(f"tell={told}", "only=original", generation=generation)
    run(OpenFaceSource(made, au_static=True), 2)
    options, folder = told.read_text().splitlines()
    assert folder == str(tmp_path / "bin")
    assert "-au_static" in options.split()
    assert ("-aus" in options.split()) == (generation == 2)
    record = OpenFaceSource(made, au_static=True).record()
    assert record["version"] == f"{generation}.x"
    assert "-au_static" in record["options"]
    assert str(tmp_path) not in str(record)


def test_frames_of_another_size_get_the_first_ones_size(program: MakeProgram) -> None:
    with OpenFaceSource(program()) as source:
        for index in range(10):
            source.push(pair(index))
        for index in range(10, 20):
            source.push(pair(index, 60, 82))
        _, finished = split(source.flush())
        assert source.fault is None
        assert_are(finished[:10], online=False)
        assert len(finished) == 20


def test_a_gap_in_the_stream_changes_nothing(program: MakeProgram) -> None:
    with OpenFaceSource(program()) as source:
        for index in range(10):
            source.push(pair(index))
            source.reset()
        _, finished = split(source.flush())
    assert_are(finished, online=False)


FAULTS = {
    "crash=5": '; its last words were "terminate called after throwing an instance of',
    "segfault=5": "ended by signal SIGSEGV",
    "leave=5": "ended with exit code 0 before the end of the video",
    "fail": '; its last words were "Can\'t find AU prediction files, exiting"',
    "silent": "neither read nor wrote anything for 1 s",
    "hang=5": "neither read nor wrote anything for 1 s",
    "hang-at-end": "neither read nor wrote anything for 1 s, after 30 of 30 frames",
    "garbage=5": "wrote a row that is none: '\\x00\\x01 this is, no row'",
    "backwards=5": "wrote frame 1 out of turn",
    "garbage-at-end=5": "wrote a row that is none: 'nan, rubbish'",
    "no-file": "ended as if all were well, but its rows end with frame 0 of 30",
    "few=20": "ended as if all were well, but its rows end with frame 20 of 30",
    "raw": "wrote rows that are not post-processed: an intensity of -0",
    "crash-at-end": "ended with exit code 139",
}


@pytest.mark.parametrize(("side", "generation"), [("original", 1), ("deidentified", 2)])
@pytest.mark.parametrize("how", FAULTS)
def test_what_goes_wrong_is_said_in_one_sentence_and_nothing_is_left_behind(
    how: str, side: str, generation: int, program: MakeProgram
) -> None:
    made = program(how, f"only={side}", "ignore-term", generation=generation)
    # A busy machine may need long to start the side that is well.
    hangs = how.startswith(("hang", "silent"))
    source = OpenFaceSource(made, patience_s=1 if hangs else 60)
    began = time.monotonic()
    online, finished = split(run(source))
    assert time.monotonic() - began < 30
    assert source.fault is not None
    video = "the original video" if side == "original" else "the de-identified video"
    assert source.fault.startswith(f"OpenFace on {video} "), source.fault
    # One that ends by itself may be found out by its missing rows.
    early = how.startswith("leave") and "its rows end with frame" in source.fault
    assert FAULTS[how] in source.fault or early, source.fault
    assert re.fullmatch(r"[^\n]+\.", source.fault)
    assert source.record()["fault"] == source.fault
    good = [reading for reading in online if reading.fault is None]
    assert_are(good, online=True)
    assert [reading.index for reading in online] == list(range(LENGTH))
    assert [reading.index for reading in finished] == list(range(LENGTH))
    sound = [reading for reading in finished if reading.fault is None]
    assert_are(sound, online=False)
    # Only what is found while finished rows are read may leave some of them before.
    late = how == "raw" or generation == 2 or how.startswith("garbage-at-end")
    assert sound == [] or late
    for reading in finished[len(sound) :]:
        assert reading.units.original is None
        assert reading.units.deidentified is None
        assert reading.fault == source.fault


def test_a_frame_without_a_row_is_left_out_alone(program: MakeProgram) -> None:
    source = OpenFaceSource(program("skip=7", "only=original"))
    _, finished = split(run(source))
    assert [reading.index for reading in finished if reading.fault is not None] == [6]
    assert finished[6].fault == "OpenFace wrote no row for frame 7 of the original video."
    assert finished[6].units.original is None
    assert_is(finished[6].units.deidentified, 1006, online=False)
    assert_is(finished[7].units.original, 7, online=False)


@pytest.mark.parametrize("how", ["flood", "ignore-term", "descendant"])
def test_noise_and_stubbornness_change_nothing(how: str, program: MakeProgram) -> None:
    source = OpenFaceSource(program(how))
    _, finished = split(run(source))
    assert source.fault is None
    assert_are(finished, online=False)
    assert len(finished) == LENGTH


def test_a_crash_is_survived_by_no_descendant(program: MakeProgram) -> None:
    source = OpenFaceSource(program("crash=3", "descendant"))
    run(source)
    assert source.fault is not None
    assert "ended with exit code 3" in source.fault


def test_a_slow_one_makes_push_wait(program: MakeProgram) -> None:
    with OpenFaceSource(program("slow=0.02")) as source:
        began = time.monotonic()
        for index in range(20):
            source.push(pair(index, 120, 160))
        assert time.monotonic() - began > 0.02 * (20 - 4)
        assert source.dropped == 0


def test_a_program_that_cannot_be_run_is_a_fault_of_all_readings(
    program: MakeProgram, tmp_path: Path
) -> None:
    made = program()
    (tmp_path / "bin" / "FeatureExtraction").unlink()
    online, finished = split(run(OpenFaceSource(made), 3))
    sentence = "OpenFace cannot be started: No such file or directory."
    assert [reading.fault for reading in online + finished] == [sentence] * 6


@pytest.mark.parametrize("generation", [1, 2])
def test_a_live_run_has_one_online_reading_for_each_pair(
    generation: int, program: MakeProgram
) -> None:
    with OpenFaceSource(program(generation=generation), live=True) as source:
        readings = []
        for index in range(LENGTH):
            readings += source.push(pair(index))
            time.sleep(0.01)
        readings += source.flush()
        assert source.values == "online"
    given = [reading for reading in readings if reading.fault is None]
    assert [reading.index for reading in readings] == list(range(LENGTH))
    assert {reading.values for reading in readings} == {"online"}
    assert len(given) == LENGTH - source.dropped >= 8
    for reading in given:
        assert_is(reading.units.original, reading.index, online=True)
        assert_is(reading.units.deidentified, reading.index + 1000, online=True)


def test_a_live_run_sees_the_rows_of_version_2_before_its_buffer_would_be_full(
    program: MakeProgram,
) -> None:
    with OpenFaceSource(program(generation=2), live=True) as source:
        index = 0
        while not any(reading.fault is None for reading in source.push(pair(index))):
            index += 1
            assert index - source.dropped < 30  # of short rows, more are in one buffer
            time.sleep(0.02)


def test_a_live_run_drops_what_is_too_fast_and_counts_it(program: MakeProgram) -> None:
    with OpenFaceSource(program("slow=0.05"), live=True) as source:
        began = time.monotonic()
        readings = [reading for index in range(100) for reading in source.push(pair(index))]
        assert time.monotonic() - began < 0.05 * 100
        readings += source.flush()
    assert [reading.index for reading in readings] == list(range(100))
    dropped = [reading for reading in readings if reading.fault is not None]
    assert len(dropped) == source.dropped > 0
    assert {reading.fault for reading in dropped} == {
        "OpenFace was slower than the video: this frame was dropped."
    }
    assert source.record()["dropped"] == source.dropped
    for reading in readings:
        if reading.fault is None:
            assert_is(reading.units.original, reading.index, online=True)


def test_a_live_run_does_not_let_its_openface_fall_far_behind(program: MakeProgram) -> None:
    """One that takes all frames at once and writes its rows late, as version 2 may."""
    with OpenFaceSource(program("few=0"), live=True, patience_s=2) as source:
        readings = []
        for index in range(300):
            readings += source.push(pair(index))
            time.sleep(0.01)
            if source.fault is not None:
                break
        assert source.fault == "OpenFace is 60 frames late with its rows."
        assert source.dropped > 0


@pytest.mark.parametrize("how", ["silent", "crash=5", "hang=5", "garbage=5"])
def test_a_live_run_goes_on_without_it(how: str, program: MakeProgram) -> None:
    with OpenFaceSource(program(how), live=True, patience_s=1) as source:
        readings = []
        for index in range(60):
            readings += source.push(pair(index))
            time.sleep(0.01)
        readings += source.flush()
        assert source.fault is not None
    assert [reading.index for reading in readings] == list(range(60))
    assert readings[-1].fault == source.fault


@pytest.mark.parametrize("how", [(), ("silent",), ("slow=0.1",), ("hang=3", "ignore-term")])
def test_closing_in_the_middle_leaves_nothing_behind(
    how: tuple[str, ...], program: MakeProgram, tmp_path: Path
) -> None:
    source = OpenFaceSource(program(*how))
    source.push(pair(0))
    source.close()
    source.close()
    assert processes_of(tmp_path) == []


def test_a_container_is_killed_with_its_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_it = shlex.join([sys.executable, "-S", "-E", fake.__file__, "--how", "hang=3"])
    docker = tmp_path / "path" / "docker"
    docker.parent.mkdir()
    docker.write_text(f"""#!/bin/sh
echo "$1 $2" >> {tmp_path}/calls
case $1 in
run) while [ "$1" != own/image ]; do [ "$1" = --name ] && echo $2 >> {tmp_path}/names; shift; done
    shift; exec {run_it} "$@" ;;
esac
""")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent), prepend=":")
    found = find_program("docker:own/image", {})
    assert isinstance(found, OpenFaceProgram)
    source = OpenFaceSource(found, patience_s=1)
    run(source)
    assert source.fault is not None
    assert "neither read nor wrote" in source.fault
    names = (tmp_path / "names").read_text().split()
    calls = (tmp_path / "calls").read_text().splitlines()
    ends = [f"kill {name}" for name in names]
    assert sorted(calls) == sorted(["image inspect", *ends, "run -i", "run -i"])
    assert len(set(names)) == 2


def test_without_room_for_temporary_files_all_readings_say_so(
    program: MakeProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "not there"))
    readings = run(OpenFaceSource(program()), 3)
    sentence = "OpenFace cannot be started: No such file or directory."
    assert [reading.fault for reading in readings] == [sentence] * 3


def test_a_first_frame_of_one_pixel_is_a_video(program: MakeProgram) -> None:
    with OpenFaceSource(program()) as source:
        source.push(pair(5, 1, 1))
        _, finished = split(source.flush())
    assert_is(finished[0].units.original, 5, online=False)
