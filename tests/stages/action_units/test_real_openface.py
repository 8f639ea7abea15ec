"""The same, with the real OpenFace: for machines that have one, named by $STREAMDEID_OPENFACE."""

from __future__ import annotations

import csv
import os
import subprocess
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamdeid.frame import Frame, Image
from streamdeid.observations import ACTION_UNITS, ExpressionReading, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.action_units.openface import OpenFaceSource
from streamdeid.stages.action_units.program import OpenFaceProgram, find_program
from tests.stages.action_units.conftest import processes_of
from tests.videos import write_video

pytestmark = [
    pytest.mark.usefixtures("nothing_is_left"),
    pytest.mark.skipif(
        not os.environ.get("STREAMDEID_OPENFACE"),
        reason="no OpenFace: set STREAMDEID_OPENFACE to its FeatureExtraction",
    ),
]


@pytest.fixture
def openface() -> OpenFaceProgram:
    found = find_program(None)
    if not isinstance(found, OpenFaceProgram) or found.image is not None:
        pytest.skip("STREAMDEID_OPENFACE is a script or Docker")
    found.check()
    return found


@pytest.fixture
def videos(carphone: list[Image]) -> Pair[list[Image]]:
    """A face, and the same backwards."""
    return Pair(carphone[:60], carphone[59::-1])


def sightings(videos: Pair[list[Image]], index: int) -> Pair[Sighting]:
    return videos.map(
        lambda images: Sighting(Frame(images[index], index, index, Fraction(1, 25)), None)
    )


def run(source: OpenFaceSource, videos: Pair[list[Image]]) -> list[ExpressionReading]:
    with source:
        readings = []
        for index in range(len(videos.original)):
            readings += source.push(sightings(videos, index))
        return readings + list(source.flush())


def whole_file(
    program: OpenFaceProgram, images: list[Image], folder: Path, *, au_static: bool
) -> list[dict[str, str]]:
    """The rows that it writes of a lossless file, run as everybody runs it."""
    video = write_video(folder / "video.mkv", images, codec="ffv1", pixel_format="bgr0")
    rows = folder / "whole.csv"
    command = program.command(rows, au_static=au_static)
    command[command.index("/dev/stdin")] = str(video)
    subprocess.run(command, cwd=program.folder, check=True, capture_output=True)
    with rows.open(newline="") as file:
        return list(csv.DictReader(file, skipinitialspace=True))


@pytest.mark.parametrize("au_static", [False, True])
def test_streamed_values_are_those_of_a_run_on_the_file(
    au_static: bool, openface: OpenFaceProgram, videos: Pair[list[Image]], tmp_path: Path
) -> None:
    source = OpenFaceSource(openface, au_static=au_static)
    finished = [r for r in run(source, videos) if r.values == "post-processed"]
    assert source.fault is None
    assert len(finished) == len(videos.original)
    sides = (
        (videos.original, [reading.units.original for reading in finished]),
        (videos.deidentified, [reading.units.deidentified for reading in finished]),
    )
    faces = 0
    for images, seen in sides:
        expected = whole_file(openface, images, tmp_path, au_static=au_static)
        for cells, units in zip(expected, seen, strict=True):
            assert (units is not None) == (float(cells["success"]) == 1)
            if units is not None:
                faces += 1
                intensity = [float(cells[f"AU{unit:02}_r"]) for unit in ACTION_UNITS]
                np.testing.assert_array_equal(units.intensity, intensity)
                present = [float(cells[f"AU{unit:02}_c"]) == 1 for unit in ACTION_UNITS]
                assert units.present is not None
                assert units.present.tolist() == present
    assert faces > len(videos.original)


def test_online_rows_of_one_that_flushes_are_at_most_three_frames_late(
    openface: OpenFaceProgram, videos: Pair[list[Image]]
) -> None:
    if not openface.flushes:
        pytest.skip("version 2 does not flush its rows")
    large = videos.map(lambda images: [image.repeat(3, 0).repeat(3, 1) for image in images])
    with OpenFaceSource(openface) as source:
        newest = -1
        for index in range(len(large.original)):
            for reading in source.push(sightings(large, index)):
                newest = reading.index
            assert index - newest <= 3
        assert source.fault is None


def test_a_live_run_gives_online_values(
    openface: OpenFaceProgram, videos: Pair[list[Image]]
) -> None:
    readings = []
    with OpenFaceSource(openface, live=True) as source:
        readings += source.push(sightings(videos, 0))
        time.sleep(5)  # while it loads its models
        for index in range(1, len(videos.original)):
            readings += source.push(sightings(videos, index))
            time.sleep(0.15)
        readings += source.flush()
        assert source.fault is None
    assert [reading.index for reading in readings] == list(range(len(videos.original)))
    assert {reading.values for reading in readings} == {"online"}
    assert sum(reading.fault is not None for reading in readings) == source.dropped < 30


def test_closing_in_the_middle_leaves_nothing_behind(
    openface: OpenFaceProgram, videos: Pair[list[Image]], tmp_path: Path
) -> None:
    with OpenFaceSource(openface) as source:
        for index in range(10):
            source.push(sightings(videos, index))
    assert processes_of(tmp_path) == []
