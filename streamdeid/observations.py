"""What stages see in frames: Box, Face, Sighting, Chips, IdentityReading, ActionUnits, …"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamdeid.frame import Frame
from streamdeid.pair import Pair

Embedding: TypeAlias = NDArray[np.float32]
"""Shape (dim,)."""

ACTION_UNITS: Final = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
"""Those whose intensity OpenFace gives, by their numbers in the Facial Action Coding System."""


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in pixels of the frame; the centre of the first pixel is (0, 0)."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def center(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @property
    def area(self) -> float:
        return max(self.width, 0.0) * max(self.height, 0.0)

    def iou(self, other: Box) -> float:
        """Intersection over union, 0..1."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        shared = max(width, 0.0) * max(height, 0.0)
        union = self.area + other.area - shared
        return shared / union if union > 0 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A face in one frame.

    Attributes:
        landmarks: shape (478, 3), float32: x, y in pixels of the frame, z in the same unit.
            Points 468..477 are the irises. Order: MediaPipe's face mesh.
        box: the upright rectangle around the first 468 landmarks.
        presence: the landmark model's own belief that it looks at a face, 0..1.
            It is not a detection: it is high on coarse mosaics too.
    """

    landmarks: NDArray[np.float32]
    box: Box
    presence: float


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """One frame and the face that is followed in it, if there is one.

    Attributes:
        frame: the frame itself.
        face: the followed face, or None: nobody was found.
        detected: a detector (not only the tracker) saw the face in this very frame.
        faces_in_view: faces that the last look of a detector found, in this or an earlier frame.
        track_dropped: a track was given up at this frame because no detector would confirm it.
    """

    frame: Frame
    face: Face | None
    detected: bool = False
    faces_in_view: int = 0
    track_dropped: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Chips:
    """The upright crops of one frame pair that an embedder wants: float32, (3, size, size), RGB.

    Attributes:
        index, time, paired_flat, paired_detail: as of the `IdentityReading` that comes of it.
        own: each side's face at its own landmarks; None where no face was found, or the crop is a
            flat colour.
        paired: of the de-identified frame at the *original's* landmarks.
    """

    index: int
    time: Fraction
    own: Pair[NDArray[np.float32] | None]
    paired: NDArray[np.float32] | None = None
    paired_flat: bool = False
    paired_detail: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class IdentityReading:
    """The face embeddings of one frame pair.

    Attributes:
        index: pairs before this one.
        time: seconds of the original video since its first frame.
        own: each side's face at its own landmarks; None where no face was found, or only in a crop
            of one flat colour.
        paired: the de-identified frame embedded at the *original's* landmarks, whether or not a
            face was found there; None where the original has no face or the crop is a flat colour.
        paired_flat: the crop for `paired` was a flat colour, so that it was not embedded.
        paired_detail: detail (median gradient) of that crop over that of the original's crop;
            None without a crop. Near 0: a blur or a mosaic, for which embeddings mean little.
    """

    index: int
    time: Fraction
    own: Pair[Embedding | None]
    paired: Embedding | None = None
    paired_flat: bool = False
    paired_detail: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ActionUnits:
    """How much each action unit moves one face in one frame.

    Attributes:
        intensity: shape (17,), float64, in order of `ACTION_UNITS`; in the unit of its source
            (OpenFace post-processed: 0..5; OpenFace online: about 0..5, unclipped; blendshape
            proxies: none of FACS, only their course in time means something).
        present: shape (17,), bool: whether the source sees the unit at all; None if it does not
            say.
    """

    intensity: NDArray[np.float64]
    present: NDArray[np.bool_] | None = None


AuValues: TypeAlias = Literal["post-processed", "online", "proxy"]
"""What intensities are, which decides what they may be compared with: OpenFace's after its run
(less the person's own offset, clipped to 0..5, smoothed), OpenFace's while it runs (raw), or
stand-ins computed of blendshapes. They differ by more than two videos do: never mix them."""


@dataclass(frozen=True, slots=True)
class AuOrigin:
    """Where action units come from, and what their intensities mean.

    Attributes:
        source: what to call it: "OpenFace 2.2.0", "blendshape proxy".
        values: what its values are: while the video goes by, and then, where it has others, at the
            end.
        unit: of the intensities.
        one_unit: a difference of 1 means as much in one action unit as in another.
        reliability: by number of the unit, "good", "marginal" or "weak": how well a stand-in
            follows the unit that it stands for. Empty: they are the units themselves.
    """

    source: str
    values: tuple[AuValues, ...]
    unit: str
    one_unit: bool = True
    reliability: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ExpressionReading:
    """The action units of a frame pair.

    Attributes:
        index: of the frame pair.
        time: seconds since the original began.
        units: of each side; None where its source gives none for this frame.
        values: what the intensities are.
        fault: what went wrong with the source of the units, if that is why a side has none: a
            sentence. None: no face was seen there.
        proxies: the stand-ins for the same units of the same faces, where both are computed, beside
            the values that are final.
    """

    index: int
    time: Fraction
    units: Pair[ActionUnits | None]
    values: AuValues
    fault: str | None = None
    proxies: Pair[ActionUnits | None] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FaceCrop:
    """The square around the face, cut from one frame.

    Attributes:
        planes: float32, shape (3, size, size), RGB, 0..255, not rounded.
        index: pairs before this one.
        after_gap: frames are missing just before this one, where nobody was seen: what goes by
            equal steps in time must begin anew.
        held: no face was seen in this pair; the box is that of an earlier one.
    """

    planes: NDArray[np.float32]
    index: int
    after_gap: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class MotionFeatures:
    """What I3D makes of some frames of face crops.

    Attributes:
        features: shape (1024,), float32, >= 0: the last layer, averaged over place and time.
        logits: shape (400,), float32: the classes of Kinetics-400, before the softmax.
        first: index of the first crop that these stand for.
        length: number of crops that they stand for. The network sees further than that, into the
            crops before and behind, as far as its context reaches.
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32]
    first: int
    length: int = 16


@dataclass(frozen=True, slots=True)
class Likeness:
    """How like one region of a frame pair's pictures is, in luma.

    Attributes:
        ssim: structural similarity, -1..1; None where no window fits.
        ms_ssim: the same over five scales, 0..1; None where no window of the widest fits.
        mse: mean squared difference, 0..65025.
    """

    ssim: float | None
    ms_ssim: float | None
    mse: float


REGIONS = ("face", "frame", "background")


@dataclass(frozen=True, slots=True, eq=False)
class QualityReading:
    """How like the two pictures of a frame pair are.

    Attributes:
        regions: by name, of `REGIONS`, those that there are in this pair: "frame", the whole
            picture; "face", the box around the original's face; "background", what lies well
            outside the faces of both sides. Empty: this pair was not measured.
        shorter_side: pixels of the original picture's shorter side.
        resized: the de-identified picture had another size, and was given the original's.
    """

    regions: Mapping[str, Likeness]
    shorter_side: int
    resized: bool = False
