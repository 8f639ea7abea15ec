"""Stand-ins for action units: how a face moves matters, whose and where it is does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from streamdeid.engine.models import Models
from streamdeid.frame import Image
from streamdeid.observations import ACTION_UNITS, ExpressionReading, Face, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.action_units.blendshapes import BlendshapeSource
from streamdeid.stages.action_units.proxies import BLENDSHAPES, ORIGIN, PROXIES, proxies
from tests.stages.conftest import as_frame

FindFace = Callable[[Image], Face]


@pytest.fixture
def source(models: Models) -> BlendshapeSource:
    return BlendshapeSource(models.blendshapes())


@pytest.fixture(scope="module")
def face(carphone: list[Image], find_face: FindFace) -> Face:
    return find_face(carphone[0])


def only(source: BlendshapeSource, item: Pair[Sighting]) -> ExpressionReading:
    (reading,) = source.push(item)
    return reading


def test_each_action_unit_has_a_proxy_and_says_how_good_it_is() -> None:
    assert tuple(PROXIES) == ACTION_UNITS
    assert [unit for unit, word in ORIGIN.reliability.items() if word == "weak"] == [
        4, 9, 17, 20, 23,
    ]  # fmt: skip
    for proxy in PROXIES.values():
        assert (proxy.reliability == "weak") == ((proxy.correlation or 0) < 0.3)
        assert (proxy.reliability == "good") == ((proxy.correlation or 0) >= 0.6)


def test_a_proxy_is_its_blendshape_or_the_mean_of_both_sides(face: Face) -> None:
    shapes = np.zeros(len(BLENDSHAPES), np.float32)
    shapes[BLENDSHAPES.index("jawOpen")] = 0.75
    shapes[BLENDSHAPES.index("eyeBlinkLeft")] = 0.5
    before = proxies(np.zeros_like(shapes), face.landmarks)
    moved = proxies(shapes, face.landmarks) - before
    expected = {26: 0.75, 45: 0.25}
    for unit, change in zip(ACTION_UNITS, moved, strict=True):
        assert change == pytest.approx(expected.get(unit, 0.0), abs=1e-9)


def test_place_size_and_tilt_of_the_head_do_not_matter(face: Face) -> None:
    shapes = np.linspace(0, 1, len(BLENDSHAPES), dtype=np.float32)
    turn = np.deg2rad(25)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = face.landmarks.copy()
    moved[:, :2] = 3.5 * face.landmarks[:, :2] @ turned.T + [40, -300]
    np.testing.assert_allclose(
        proxies(shapes, moved), proxies(shapes, face.landmarks), rtol=1e-4, atol=1e-4
    )


def test_lips_that_part_are_au25_and_nothing_else_of_the_mouth(face: Face) -> None:
    shapes = np.zeros(len(BLENDSHAPES), np.float32)
    parted = face.landmarks.copy()
    parted[[14, 87, 317], 1] += 4
    before, after = proxies(shapes, face.landmarks), proxies(shapes, parted)
    changed = {
        unit for unit, a, b in zip(ACTION_UNITS, before, after, strict=True) if abs(a - b) > 1e-6
    }
    assert changed == {6, 25}  # 14 is one of the points that the corners are compared with
    assert after[ACTION_UNITS.index(25)] > before[ACTION_UNITS.index(25)]


def test_a_side_without_a_face_has_no_action_units(source: BlendshapeSource, face: Face) -> None:
    frame = as_frame(np.zeros((8, 8, 3), np.uint8), 50)
    reading = only(source, Pair(Sighting(frame, face), Sighting(frame, None)))
    assert reading.units.original is not None
    assert reading.units.original.present is None
    assert reading.units.deidentified is None
    assert reading.fault is None
    assert (reading.index, reading.time, reading.values) == (0, 2, "proxy")


def test_the_same_faces_give_the_same_figures(
    source: BlendshapeSource, models: Models, face: Face
) -> None:
    seen = Sighting(as_frame(np.zeros((8, 8, 3), np.uint8)), face)
    once, again = (
        only(source, Pair(seen, seen)),
        only(BlendshapeSource(models.blendshapes()), Pair(seen, seen)),
    )
    for units in (once.units.deidentified, again.units.original, again.units.deidentified):
        assert units is not None
        assert once.units.original is not None
        np.testing.assert_array_equal(units.intensity, once.units.original.intensity)


def test_a_mirrored_face_shows_the_same_symmetric_units(
    source: BlendshapeSource, carphone: list[Image], find_face: FindFace
) -> None:
    def units(image: Image) -> NDArray[np.float64]:
        seen = Sighting(as_frame(image), find_face(image))
        found = only(source, Pair(seen, seen)).units.original
        assert found is not None
        return found.intensity

    frames = carphone[::3]
    here = np.array([units(frame) for frame in frames])
    there = np.array([units(np.ascontiguousarray(frame[:, ::-1])) for frame in frames])
    for unit in (1, 2, 25, 26, 45):  # those that move in this clip
        column = ACTION_UNITS.index(unit)
        assert np.corrcoef(here[:, column], there[:, column])[0, 1] > 0.8, unit
