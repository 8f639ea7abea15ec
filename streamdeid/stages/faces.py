"""FindFaces: frames → the one face that is followed in each of the two videos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import dist
from typing import Literal, TypeAlias

from streamdeid.cores import CORES
from streamdeid.frame import Frame, FramePair
from streamdeid.observations import Box, Face, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.detection import Detection, Detector
from streamdeid.stages.landmarks import LandmarkModel, Region, region_of

Choice: TypeAlias = Literal["largest", "nearest"] | int
"""Which face to follow: the largest, the nearest to where it was, or the n-th from the left."""

# MediaPipe's own threshold: below it the landmark model does not believe in a face.
_PRESENT = 0.5
# A detector confirms a track if its box overlaps the landmarks' by at least this (IoU). The two
# frame a face differently: on true faces the overlap is 0.5 to 0.9.
_CONFIRMS = 0.25
# Frame pairs. Not the first: of what it takes while alone, the other models then take parts, and it
# takes 6 MiB more when it is next needed.
_WARM_AFTER = 20


class FaceFinder:
    """Follows one face through one video.

    The landmark model follows the face from frame to frame. When it loses it, the detectors look
    for it again. What it believes is no detection (it "sees" faces in 43 % of the frames of a
    coarse mosaic), so every `confirm_every` frames a detector must see the face as well, or the
    track is given up.

    Args:
        landmarks: the model that follows.
        quick: looks at every frame in which no face is followed.
        thorough: looks at the first such frame, and then every `search_every` frames, where the
            quick one finds nothing; None: there is only one detector.
        choice: which of several faces is taken up. Of "largest" and "nearest", the next one where
            the landmark model does not believe in the first; a number stands for that face only,
            and is counted among the faces that the thorough detector sees.
    """

    def __init__(
        self,
        landmarks: LandmarkModel,
        quick: Detector,
        thorough: Detector | None = None,
        *,
        choice: Choice = "largest",
        confirm_every: int = 15,
        search_every: int = 5,
    ) -> None:
        self._landmarks = landmarks
        self._quick = quick
        self._thorough = thorough
        self._choice = choice
        self._confirm_every = confirm_every
        self._search_every = search_every
        self._faces_in_view = 0
        self._last_center: tuple[float, float] | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the track: the next frame has nothing to do with the last."""
        self._region: Region | None = None
        self._unconfirmed = 0
        self._until_search = 0

    def warm_up(self, frame: Frame) -> None:
        """Let the thorough detector look once, for the memory that its runtime then keeps.

        By itself that would happen at the first frame that needs it, maybe after an hour: that a
        machine has no 60 MiB left is better known at once.
        """
        if self._thorough is not None:
            self._thorough.detect(frame.image)

    def follow(self, frame: Frame) -> Sighting:
        """The face in `frame` where the track leads; without a face if it leads nowhere."""
        if self._region is None:
            return self._sighting(frame)
        face = self._landmarks.find(frame.image, self._region)
        if face.presence < _PRESENT:
            self.reset()
            return self._sighting(frame)
        self._unconfirmed += 1
        detected = False
        if self._unconfirmed >= self._confirm_every:
            detected = self._is_seen(frame, face.box)
            if not detected:
                self.reset()
                # The thorough detector has just looked and found nothing there.
                self._until_search = self._search_every
                return self._sighting(frame, dropped=True)
            self._unconfirmed = 0
        self._region = region_of(face)
        self._last_center = face.box.center
        return Sighting(frame, face, detected, self._faces_in_view)

    def search(
        self, lost: Sighting, near: Box | None = None, *, only_there: bool = False
    ) -> Sighting:
        """Look for a face in a frame where `follow` found none.

        Args:
            lost: what `follow` returned.
            near: take the face nearest to this place (pixels) instead of the chosen one.
            only_there: take none that does not overlap `near`.
        """
        frame = lost.frame
        # The quick detector misses small faces: a number would now count them and now not.
        numbered = near is None and isinstance(self._choice, int) and self._thorough is not None
        face = None if numbered else self._look(self._quick, frame, near, only_there)
        if face is None and self._thorough is not None:
            if self._until_search <= 0:
                face = self._look(self._thorough, frame, near, only_there)
                self._until_search = self._search_every
            self._until_search -= 1
        if face is None:
            return self._sighting(frame, dropped=lost.track_dropped)
        self._region = region_of(face)
        self._unconfirmed = 0
        self._until_search = 0
        self._last_center = face.box.center
        return Sighting(frame, face, True, self._faces_in_view, lost.track_dropped)

    def _look(
        self, detector: Detector, frame: Frame, near: Box | None, only_there: bool
    ) -> Face | None:
        """The first of the faces that `detector` sees in which the landmark model believes, too."""
        found = detector.detect(frame.image)
        self._faces_in_view = len(found)
        for detection in self._candidates(found, frame, near):
            if only_there and near is not None and detection.box.iou(near) == 0:
                continue
            face = self._landmarks.find(frame.image, detection.region)
            for _ in range(detection.refinements):
                face = self._landmarks.find(frame.image, region_of(face))
            if face.presence >= _PRESENT and face.box.iou(detection.box) >= _CONFIRMS:
                return face
        return None

    def _sighting(self, frame: Frame, *, dropped: bool = False) -> Sighting:
        return Sighting(frame, None, faces_in_view=self._faces_in_view, track_dropped=dropped)

    def _is_seen(self, frame: Frame, box: Box) -> bool:
        for detector in (self._quick, self._thorough):
            if detector is not None:
                found = detector.detect(frame.image)
                self._faces_in_view = len(found)
                if any(detection.box.iou(box) >= _CONFIRMS for detection in found):
                    return True
        return False

    def _candidates(
        self, found: Sequence[Detection], frame: Frame, near: Box | None
    ) -> Sequence[Detection]:
        """Those of `found` that may be taken up, the best first; of equals the one further left."""
        by_place = sorted(found, key=lambda detection: detection.box.center)
        if near is None and isinstance(self._choice, int):
            return by_place[self._choice : self._choice + 1]
        if near is None and self._choice == "largest":
            return sorted(by_place, key=lambda detection: -detection.box.area)
        height, width = frame.image.shape[:2]
        last = self._last_center or (width / 2, height / 2)
        place = last if near is None else near.center
        return sorted(by_place, key=lambda detection: dist(detection.box.center, place))


class FindFaces:
    """Follows the same face in both videos, the two side by side where two cores are free.

    Where the de-identified video has lost its face and the original has not, the face nearest to
    the original's place is taken up. Between frames of like shape it must overlap that place, and a
    track that has strayed from it is given up: else a person who was blacked out on one side would
    be compared with a bystander on the other. Frames of another shape are cut out of the original
    somewhere, and places mean nothing.
    """

    name = "faces"
    delay: int | None = None
    stride = 1

    def __init__(self, finders: Pair[FaceFinder]) -> None:
        self._finders = finders
        self._until_warm = _WARM_AFTER

    def push(self, item: FramePair) -> Iterable[Pair[Sighting]]:
        finder = self._finders.deidentified
        self._until_warm -= 1
        if self._until_warm == 0:
            self._finders.original.warm_up(item.original)
            finder.warm_up(item.deidentified)
        original, deidentified = CORES.both(
            lambda: self._find_in_original(item.original),
            lambda: finder.follow(item.deidentified),
        )
        place = _same_place(original, item.deidentified)
        same_view = _same_shape(item)
        if same_view and _strayed(deidentified, place):
            finder.reset()
            deidentified = replace(deidentified, face=None, detected=False)
        if deidentified.face is None:
            deidentified = finder.search(deidentified, place, only_there=same_view)
        yield Pair(original, deidentified)

    def flush(self) -> Iterable[Pair[Sighting]]:
        return ()

    def reset(self) -> None:
        self._finders.original.reset()
        self._finders.deidentified.reset()

    def _find_in_original(self, frame: Frame) -> Sighting:
        sighting = self._finders.original.follow(frame)
        return sighting if sighting.face else self._finders.original.search(sighting)


def _same_shape(frames: FramePair) -> bool:
    """Whether the frames have the same aspect ratio, up to a rounding of their sides."""
    height, width = frames.original.image.shape[:2]
    rows, columns = frames.deidentified.image.shape[:2]
    return bool(abs(height * columns - width * rows) <= 0.02 * width * rows)


def _strayed(sighting: Sighting, place: Box | None) -> bool:
    """Whether the followed face lies beside the place where it ought to be."""
    return sighting.face is not None and place is not None and sighting.face.box.iou(place) == 0


def _same_place(sighting: Sighting, other: Frame) -> Box | None:
    """The box of the face in pixels of the other side's frame, which may have another size."""
    if sighting.face is None:
        return None
    height, width = sighting.frame.image.shape[:2]
    rows, columns = other.image.shape[:2]
    across, down = columns / width, rows / height
    box = sighting.face.box
    return Box(box.left * across, box.top * down, box.right * across, box.bottom * down)
