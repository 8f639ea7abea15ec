"""FaceFinder and FindFaces: who is followed, when a track ends, and what the two sides share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from streamdeid.frame import Image
from streamdeid.observations import Box, Face, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.detection import BlazeFace, CenterFace, Detection
from streamdeid.stages.faces import Choice, FaceFinder, FindFaces
from streamdeid.stages.landmarks import LandmarkModel, Region
from tests.stages.conftest import as_frame, on_canvas, pixelate
from tests.stages.record_references import enlarge

MakeFinder = Callable[..., FaceFinder]


class Counting:
    """A detector that counts its looks, and can be made blind."""

    def __init__(self, detector: BlazeFace | CenterFace) -> None:
        self._detector = detector
        self.looks = 0
        self.blind = False

    def detect(self, image: Image) -> list[Detection]:
        self.looks += 1
        return [] if self.blind else self._detector.detect(image)


class FalseAlarm:
    """A detector that always sees one face where there is none."""

    def detect(self, image: Image) -> list[Detection]:  # noqa: ARG002
        return [Detection(Box(0, 0, 20, 20), 0.9, Region((10, 10), 30))]


@pytest.fixture
def quick(blazeface: BlazeFace) -> Counting:
    return Counting(blazeface)


@pytest.fixture
def thorough(centerface: CenterFace) -> Counting:
    return Counting(centerface)


@pytest.fixture
def make_finder(landmarks: LandmarkModel, quick: Counting, thorough: Counting) -> MakeFinder:
    def make(
        choice: Choice = "largest", confirm_every: int = 15, search_every: int = 5
    ) -> FaceFinder:
        return FaceFinder(
            landmarks,
            quick,
            thorough,
            choice=choice,
            confirm_every=confirm_every,
            search_every=search_every,
        )

    return make


@pytest.fixture(scope="session")
def couple(carphone: list[Image]) -> list[Image]:
    """Two men in one picture: the left one further off, in front of a gray wall."""
    images = []
    for near, far in zip(carphone[:12], carphone[60:72], strict=True):
        canvas = on_canvas(far, 480, 288, 0, 100)
        canvas[:, 180:] = enlarge(near, 2)[:, 20:320]
        images.append(canvas)
    return images


def see(finder: FaceFinder, images: Iterable[Image]) -> list[Sighting]:
    sightings = []
    for index, image in enumerate(images):
        sighting = finder.follow(as_frame(image, index))
        sightings.append(sighting if sighting.face else finder.search(sighting))
    return sightings


def center(sighting: Sighting) -> tuple[float, float]:
    assert sighting.face is not None
    return sighting.face.box.center


def cover(image: Image, face: Face, block: int) -> Image:
    box = face.box
    left, top = int(box.left) - 12, int(box.top) - 20
    return pixelate(image, left, top, int(box.right) + 12, int(box.bottom) + 12, block)


def black(image: Image, box: Box) -> Image:
    covered = image.copy()
    covered[int(box.top) - 10 : int(box.bottom) + 10, int(box.left) - 10 : int(box.right) + 10] = 0
    return covered


def test_a_face_is_followed_without_detectors_until_it_must_be_confirmed(
    carphone: list[Image], make_finder: MakeFinder, quick: Counting, thorough: Counting
) -> None:
    sightings = see(make_finder(confirm_every=15), carphone[:40])
    assert all(sighting.face for sighting in sightings)
    assert [i for i, sighting in enumerate(sightings) if sighting.detected] == [0, 15, 30]
    assert quick.looks == 3
    assert thorough.looks == 0


def test_a_followed_face_is_the_one_that_is_found_anew(
    carphone: list[Image], make_finder: MakeFinder, find_face: Callable[[Image], Face]
) -> None:
    for image, sighting in zip(carphone[:30], see(make_finder(), carphone[:30]), strict=True):
        assert sighting.face is not None
        away = sighting.face.landmarks[:, :2] - find_face(image).landmarks[:, :2]
        # Seen: 0.3 pixels at most, of a face that is 45 to 50 pixels wide.
        assert np.median(np.hypot(*away.T)) < 1


def test_a_lost_face_is_found_again_where_it_comes_back(
    carphone: list[Image], make_finder: MakeFinder
) -> None:
    gray = np.full_like(carphone[0], 110)
    away = [on_canvas(image[20:, :150], 300, 200, 140, 60) for image in carphone[5:8]]
    sightings = see(make_finder(), [*carphone[:3], gray, gray, *away])
    assert [sighting.face is not None for sighting in sightings] == [True] * 3 + [False] * 2 + [
        True
    ] * 3
    assert sightings[5].detected
    assert center(sightings[5])[0] == pytest.approx(center(sightings[2])[0] + 140, abs=10)


def test_while_there_is_no_face_the_thorough_detector_looks_now_and_then(
    carphone: list[Image], make_finder: MakeFinder, quick: Counting, thorough: Counting
) -> None:
    gray = np.full_like(carphone[0], 110)
    sightings = see(make_finder(search_every=4), [gray] * 12)
    assert not any(sighting.face or sighting.faces_in_view for sighting in sightings)
    assert quick.looks == 12
    assert thorough.looks == 3


def test_a_track_that_no_detector_confirms_is_given_up(
    carphone: list[Image], make_finder: MakeFinder, quick: Counting, thorough: Counting
) -> None:
    finder = make_finder(confirm_every=5)
    assert all(sighting.face for sighting in see(finder, carphone[:3]))
    quick.blind = thorough.blind = True
    sightings = see(finder, carphone[3:8])
    # The tracker alone goes on believing until its fifth frame.
    assert [sighting.face is not None for sighting in sightings] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert [sighting.track_dropped for sighting in sightings] == [False, False, True, False, False]
    quick.blind = False
    (again,) = see(finder, carphone[8:9])
    assert again.face is not None
    assert again.detected


def test_a_coarse_mosaic_is_no_face_after_the_next_confirmation(
    carphone: list[Image], make_finder: MakeFinder, find_face: Callable[[Image], Face]
) -> None:
    face = find_face(carphone[0])
    covered = [cover(image, face, block=16) for image in carphone[6:30]]
    sightings = see(make_finder(confirm_every=5), [*carphone[:6], *covered])
    assert all(sighting.face for sighting in sightings[:6])
    assert not any(sighting.face for sighting in sightings[11:])


def test_a_false_alarm_of_the_quick_detector_does_not_hide_the_face(
    carphone: list[Image], landmarks: LandmarkModel, thorough: Counting
) -> None:
    (sighting,) = see(FaceFinder(landmarks, FalseAlarm(), thorough), carphone[:1])
    assert sighting.face is not None
    assert sighting.faces_in_view == 1


def test_a_detector_alone_that_errs_finds_nobody(
    carphone: list[Image], landmarks: LandmarkModel
) -> None:
    sightings = see(FaceFinder(landmarks, FalseAlarm()), carphone[:3])
    assert not any(sighting.face for sighting in sightings)


@pytest.mark.parametrize(
    ("choice", "left_one"), [("largest", False), ("nearest", False), (0, True), (1, False)]
)
def test_of_two_faces_the_chosen_one_is_followed(
    couple: list[Image], make_finder: MakeFinder, choice: Choice, left_one: bool
) -> None:
    for sighting in see(make_finder(choice, confirm_every=4), couple):
        assert (center(sighting)[0] < 180) == left_one


def test_the_faces_in_view_are_counted(carphone: list[Image], make_finder: MakeFinder) -> None:
    for images in (carphone[:1], carphone[:2], carphone[:3]):
        (sighting,) = see(make_finder(0), [np.concatenate(images, axis=1)])
        assert sighting.faces_in_view == len(images)


def test_a_choice_does_not_depend_on_the_order_of_detections(
    carphone: list[Image], landmarks: LandmarkModel, blazeface: BlazeFace
) -> None:
    class Backwards:
        def detect(self, image: Image) -> list[Detection]:
            return blazeface.detect(image)[::-1]

    twins = [np.concatenate([carphone[0], carphone[0]], axis=1)]
    choices: tuple[Choice, ...] = ("largest", "nearest", 0, 1)
    for choice in choices:
        forth = see(FaceFinder(landmarks, blazeface, choice=choice), twins)
        back = see(FaceFinder(landmarks, Backwards(), choice=choice), twins)
        assert center(forth[0]) == center(back[0])


def test_nearest_stays_with_the_place_where_the_face_was_last(
    couple: list[Image], make_finder: MakeFinder
) -> None:
    gray = np.full_like(couple[0], 110)
    alone = couple[0].copy()
    alone[:, 180:] = 110  # at first there is only the man on the left
    sightings = see(make_finder("nearest"), [alone, gray, couple[1]])
    assert center(sightings[2])[0] < 180


def test_a_number_beyond_the_faces_in_view_is_nobody(
    couple: list[Image], make_finder: MakeFinder
) -> None:
    (sighting,) = see(make_finder(2), couple[:1])
    assert sighting.face is None
    assert sighting.faces_in_view == 2


def test_reset_forgets_the_track(
    carphone: list[Image], make_finder: MakeFinder, quick: Counting
) -> None:
    finder = make_finder()
    see(finder, carphone[:3])
    finder.reset()
    looks = quick.looks
    (sighting,) = see(finder, carphone[3:4])
    assert sighting.detected
    assert quick.looks == looks + 1


def test_nothing_is_found_in_tiny_frames(make_finder: MakeFinder) -> None:
    for shape in [(1, 1), (2, 3), (5, 7), (1, 2000), (2000, 1)]:
        noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        assert not any(sighting.face for sighting in see(make_finder(), [noise] * 3))


# --- both sides ---


@pytest.fixture
def find_faces(make_finder: MakeFinder) -> Iterable[FindFaces]:
    stage = FindFaces(Pair(make_finder(confirm_every=5), make_finder(confirm_every=5)))
    yield stage
    stage.flush()


def push_all(
    stage: FindFaces, original: Iterable[Image], deidentified: Iterable[Image]
) -> list[Pair[Sighting]]:
    return [
        seen
        for index, (a, b) in enumerate(zip(original, deidentified, strict=True))
        for seen in stage.push(Pair(as_frame(a, index), as_frame(b, index)))
    ]


def test_equal_sides_are_seen_equally(carphone: list[Image], find_faces: FindFaces) -> None:
    for seen in push_all(find_faces, carphone[:12], carphone[:12]):
        assert seen.original.face is not None
        assert seen.deidentified.face is not None
        np.testing.assert_array_equal(
            seen.original.face.landmarks, seen.deidentified.face.landmarks
        )


def test_sides_of_different_sizes_find_the_face_each_at_its_scale(
    carphone: list[Image], find_faces: FindFaces
) -> None:
    larger = [enlarge(image, 3) for image in carphone[:8]]
    for seen in push_all(find_faces, carphone[:8], larger):
        expected = [3 * edge for edge in center(seen.original)]
        assert center(seen.deidentified) == pytest.approx(expected, abs=6)


def test_the_deidentified_side_takes_up_the_face_at_the_originals_place(
    couple: list[Image], make_finder: MakeFinder
) -> None:
    # Left to itself it would take the larger one, on the right.
    stage = FindFaces(Pair(make_finder(0), make_finder("largest")))
    for seen in push_all(stage, couple[:6], couple[:6]):
        assert center(seen.original)[0] < 180
        assert center(seen.deidentified)[0] < 180
    stage.flush()


def test_a_bystander_does_not_stand_in_for_a_face_that_was_blacked_out(
    couple: list[Image], find_faces: FindFaces
) -> None:
    covered = [black(image, Box(240, 60, 420, 240)) for image in couple]
    for seen in push_all(find_faces, couple, covered):
        assert center(seen.original)[0] > 180
        assert seen.deidentified.face is None


def test_a_side_that_follows_somebody_else_is_called_back(
    couple: list[Image], find_faces: FindFaces
) -> None:
    # At first both see only the man on the left; then he leaves the original.
    alone, gone = [image.copy() for image in couple[:3]], [image.copy() for image in couple[3:5]]
    for image in alone:
        image[:, 180:] = 110
    for image in gone:
        image[:, :180] = 110
    sightings = push_all(find_faces, [*alone, *gone], [*alone, *couple[3:5]])
    assert all(center(seen.deidentified)[0] < 180 for seen in sightings[:3])
    assert all(center(seen.original)[0] > 180 for seen in sightings[3:])
    assert all(center(seen.deidentified)[0] > 180 for seen in sightings[3:])
    assert not any(seen.deidentified.track_dropped for seen in sightings)


def test_a_cropped_side_with_one_face_is_followed_although_it_lies_elsewhere(
    carphone: list[Image], find_faces: FindFaces
) -> None:
    whole = [on_canvas(image, 500, 300, 300, 120) for image in carphone[:4]]
    cropped = [image[:, 30:140] for image in carphone[:4]]
    for seen in push_all(find_faces, whole, cropped):
        assert seen.original.face is not None
        assert seen.deidentified.face is not None


def test_reset_forgets_both_tracks(carphone: list[Image], find_faces: FindFaces) -> None:
    push_all(find_faces, carphone[:2], carphone[:2])
    find_faces.reset()
    (seen,) = push_all(find_faces, carphone[2:3], carphone[2:3])
    assert seen.original.detected
    assert seen.deidentified.detected
