"""FaceChips and IdentityEmbedder: who is embedded, at whose points, and what is not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageFilter

from streamdeid.engine.models import Models
from streamdeid.frame import Image
from streamdeid.inference.manifest import EmbeddingSpec
from streamdeid.inference.preprocess import unit_length
from streamdeid.observations import Face, IdentityReading, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.alignment import Alignment
from streamdeid.stages.chips import FaceChips, every_pair, is_flat, relative_detail
from streamdeid.stages.identity import FaceEmbedder, IdentityEmbedder
from streamdeid.stages.sampling import Planes
from tests.stages.conftest import as_frame, pixelate
from tests.stages.record_references import enlarge

Look = Callable[[Image, Image], IdentityReading]


class Counting:
    """An embedder that counts its chips."""

    def __init__(self, embedder: FaceEmbedder) -> None:
        self._embedder = embedder
        self.spec: EmbeddingSpec = embedder.spec
        self.chips = 0

    def embed(self, chips: Sequence[Planes]) -> NDArray[np.float32]:
        self.chips += len(chips)
        return self._embedder.embed(chips)


@pytest.fixture
def embedder(models: Models) -> Counting:
    return Counting(models.embedder())


@pytest.fixture
def alignment(models: Models, embedder: Counting) -> Alignment:
    return models.alignment(embedder)


class InTurn:
    """The stages one after the other, as a plan has them."""

    def __init__(
        self,
        alignment: Alignment,
        embedder: FaceEmbedder,
        wants: Callable[[int], bool] = every_pair,
    ) -> None:
        self.chips = FaceChips(alignment, wants)
        self.embedder = IdentityEmbedder(embedder, wants)

    def push(self, item: Pair[Sighting]) -> list[IdentityReading]:
        return [reading for c in self.chips.push(item) for reading in self.embedder.push(c)]

    def reset(self) -> None:
        self.chips.reset()
        self.embedder.reset()


@pytest.fixture
def stage(alignment: Alignment, embedder: Counting) -> InTurn:
    return InTurn(alignment, embedder)


@pytest.fixture
def look(stage: InTurn, find_face: Callable[[Image], Face]) -> Look:
    """The reading of two pictures, each of which has a face."""

    def read(original: Image, deidentified: Image) -> IdentityReading:
        (reading,) = stage.push(
            Pair(seen(original, find_face(original)), seen(deidentified, find_face(deidentified)))
        )
        return reading

    return read


@pytest.fixture
def look_at_place(stage: InTurn, find_face: Callable[[Image], Face]) -> Look:
    """The reading of two pictures, in the second of which no face was found."""

    def read(original: Image, deidentified: Image) -> IdentityReading:
        (reading,) = stage.push(Pair(seen(original, find_face(original)), seen(deidentified, None)))
        return reading

    return read


def seen(image: Image, face: Face | None, index: int = 0) -> Sighting:
    return Sighting(as_frame(image, index), face)


def distance(a: NDArray[np.float32] | None, b: NDArray[np.float32] | None) -> float:
    assert a is not None
    assert b is not None
    return float(np.linalg.norm(a - b))


def test_equal_sides_are_at_distance_0_in_both_ways(carphone: list[Image], look: Look) -> None:
    for image in carphone[::40]:
        reading = look(image, image)
        assert distance(reading.own.original, reading.own.deidentified) == 0
        assert distance(reading.own.original, reading.paired) == 0
        assert reading.paired_detail == 1
        assert not reading.paired_flat


def test_a_chip_has_the_same_embedding_alone_and_among_others(
    carphone: list[Image],
    alignment: Alignment,
    embedder: Counting,
    find_face: Callable[[Image], Face],
) -> None:
    images = carphone[:3]
    chips = [alignment.chip(i, alignment.points(i, find_face(i))) for i in images]
    alone = [embedder.embed([chip])[0] for chip in chips]
    np.testing.assert_array_equal(embedder.embed(chips), alone)
    np.testing.assert_array_equal(embedder.embed(chips[1:]), alone[1:])


def test_another_size_is_the_same_person_at_the_same_place(
    carphone: list[Image], look: Look
) -> None:
    for factor in (2, 3):
        reading = look(carphone[0], enlarge(carphone[0], factor))
        # Seen: 0.06 to 0.09. Enlarged pixels have edges that the original has not.
        assert distance(reading.own.original, reading.own.deidentified) < 0.2
        assert distance(reading.own.original, reading.paired) < 0.2
    smaller = np.asarray(PillowImage.fromarray(carphone[0]).resize((132, 108)))
    reading = look(carphone[0], smaller)
    assert distance(reading.own.original, reading.paired) < 0.3  # seen: 0.15


def test_without_a_face_on_the_other_side_its_place_is_embedded(
    carphone: list[Image], look_at_place: Look, embedder: Counting
) -> None:
    reading = look_at_place(carphone[0], carphone[1])
    assert reading.own.deidentified is None
    assert distance(reading.own.original, reading.paired) < 0.3
    assert embedder.chips == 2


def test_without_a_face_in_the_original_there_is_no_paired_embedding(
    carphone: list[Image], stage: InTurn, find_face: Callable[[Image], Face]
) -> None:
    face = find_face(carphone[0])
    (reading,) = stage.push(Pair(seen(carphone[0], None), seen(carphone[0], face)))
    assert reading.own.original is None
    assert reading.own.deidentified is not None
    assert (reading.paired, reading.paired_flat, reading.paired_detail) == (None, False, None)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_painted_box_is_flat_and_not_embedded(
    carphone: list[Image],
    look_at_place: Look,
    embedder: Counting,
    find_face: Callable[[Image], Face],
    level: int,
) -> None:
    box = find_face(carphone[0]).box
    covered = carphone[0].copy()
    noise = np.random.default_rng(0).normal(0, 2, covered.shape)  # as a video codec leaves it
    painted = np.clip(level + noise, 0, 255).astype(np.uint8)
    rows = slice(int(box.top) - 15, int(box.bottom) + 10)
    columns = slice(int(box.left) - 10, int(box.right) + 10)
    covered[rows, columns] = painted[rows, columns]
    reading = look_at_place(carphone[0], covered)
    assert reading.paired_flat
    assert (reading.paired, reading.paired_detail) == (None, None)
    assert embedder.chips == 1


def test_a_face_that_was_found_in_a_flat_crop_is_not_embedded(
    carphone: list[Image], stage: InTurn, find_face: Callable[[Image], Face]
) -> None:
    face = find_face(carphone[0])
    gray = np.full_like(carphone[0], 110)
    (reading,) = stage.push(Pair(seen(carphone[0], face), seen(gray, face)))
    assert reading.own.deidentified is None
    assert reading.paired_flat


def test_detail_falls_with_the_strength_of_a_blur(
    carphone: list[Image], look_at_place: Look
) -> None:
    picture = PillowImage.fromarray(carphone[0])
    details = []
    for radius in (1, 2, 4, 8):
        blurred = np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)))
        detail = look_at_place(carphone[0], blurred).paired_detail
        assert detail is not None
        details.append(detail)
    assert details == sorted(details, reverse=True)
    assert details[0] < 0.9
    assert details[-1] < 0.2


def test_a_coarse_mosaic_has_little_detail(carphone: list[Image], look_at_place: Look) -> None:
    reading = look_at_place(carphone[0], pixelate(carphone[0], 0, 0, 176, 144, 12))
    assert reading.paired_detail is not None
    assert reading.paired_detail < 0.2


def test_frames_that_nobody_wants_are_not_embedded(
    carphone: list[Image],
    alignment: Alignment,
    embedder: Counting,
    find_face: Callable[[Image], Face],
) -> None:
    stage = InTurn(alignment, embedder, wants=lambda index: index == 2)
    face = find_face(carphone[0])
    readings = [
        reading
        for index in range(4)
        for reading in stage.push(
            Pair(seen(carphone[0], face, index), seen(carphone[0], face, index))
        )
    ]
    assert embedder.chips == 3  # original, de-identified, paired
    assert [reading.index for reading in readings] == [0, 1, 2, 3]
    assert [reading.paired is not None for reading in readings] == [False, False, True, False]
    assert readings[0].own == Pair(None, None)


def test_of_frames_that_nobody_wants_no_chips_are_cut(
    carphone: list[Image], alignment: Alignment, find_face: Callable[[Image], Face]
) -> None:
    sighting = seen(carphone[0], find_face(carphone[0]))
    stage = FaceChips(alignment, wants=lambda index: index == 1)
    spared, cut = (chips for _ in range(2) for chips in stage.push(Pair(sighting, sighting)))
    assert (spared.own, spared.paired) == (Pair(None, None), None)
    assert cut.paired is not None


def test_chips_that_nobody_wants_any_more_are_not_embedded(
    carphone: list[Image],
    alignment: Alignment,
    embedder: Counting,
    find_face: Callable[[Image], Face],
) -> None:
    face = find_face(carphone[0])
    sighting = seen(carphone[0], face)
    (chips,) = FaceChips(alignment).push(Pair(sighting, sighting))
    assert chips.paired is not None
    (reading,) = IdentityEmbedder(embedder, wants=lambda index: index != 0).push(chips)
    assert embedder.chips == 0
    assert (reading.own, reading.paired, reading.paired_detail) == (Pair(None, None), None, None)


def test_time_runs_from_the_first_frame_of_the_original(
    carphone: list[Image], stage: InTurn
) -> None:
    def sighting(index: int, first: int) -> Sighting:
        frame = as_frame(carphone[0], index)
        return Sighting(replace(frame, start=first * frame.time_base), None)

    times = [
        reading.time
        for index in (50, 51, 76)  # frames 40 to 49 found no partner
        for reading in stage.push(Pair(sighting(index, 40), sighting(index + 7, 0)))
    ]
    assert times == [Fraction(10, 25), Fraction(11, 25), Fraction(36, 25)]


def test_a_reset_does_not_restart_the_count(carphone: list[Image], stage: InTurn) -> None:
    nobody = Pair(seen(carphone[0], None), seen(carphone[0], None))
    list(stage.push(nobody))
    stage.reset()
    (reading,) = stage.push(nobody)
    assert reading.index == 1


def test_only_a_chip_that_is_flat_in_its_middle_is_flat() -> None:
    chip = np.zeros((3, 150, 150), np.float32)
    assert is_flat(chip)
    chip[:, :20] = 255  # around the box
    assert is_flat(chip)
    chip[1, 60:90, 60:90] = 60  # in one colour only
    assert not is_flat(chip)


def test_relative_detail_of_a_flat_reference_is_0() -> None:
    flat = np.zeros((3, 112, 112), np.float32)
    noise = np.random.default_rng(0).random((3, 112, 112)).astype(np.float32)
    assert relative_detail(noise, flat) == 0
    assert relative_detail(noise, noise) == 1
    assert relative_detail(noise * np.float32(0.5), noise) == pytest.approx(0.5)


@given(st.lists(st.lists(st.floats(-1e3, 1e3, width=32), min_size=4, max_size=4), min_size=1))
def test_unit_length_keeps_directions_and_null_vectors(rows: list[list[float]]) -> None:
    vectors = np.array(rows, np.float32)
    unit = unit_length(vectors)
    assert unit.dtype == np.float32
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    for before, after, length in zip(vectors, unit, lengths, strict=True):
        if length > 1e-15:
            np.testing.assert_allclose(after, before / length, atol=1e-6)
        elif length == 0:
            assert not after.any()
