"""Stand-ins for 17 action units, made of blendshapes and of distances between landmarks.

Each was chosen by its correlation with OpenFace's post-processed intensities over 11 videos and
3165 frames: `correlation` is the median over the videos in which the unit moves. (OpenFace itself,
on the same videos mirrored, rescaled or recompressed, correlates with itself at 0.70 on average.)
The obvious choice is not always the right one: mouthDimple follows AU14, the dimpler, at 0.07 only,
and the corners of the mouth nearing the eyes at 0.84.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamdeid.observations import ACTION_UNITS, AuOrigin

Floats: TypeAlias = NDArray[np.float64]

Reliability: TypeAlias = Literal["good", "marginal", "weak"]

BLENDSHAPES: Final = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft",
    "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft",
    "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft",
    "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft",
    "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft",
    "noseSneerRight",
)  # fmt: skip
"""The network's outputs, in order; left and right are the subject's."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """What stands in for one action unit: the sum of its terms, each times its weight.

    Attributes:
        terms: blendshapes (both sides' mean where there are two) and `_GEOMETRY`, with weights. In
            a sum of several, a weight is 1 over the term's typical standard deviation in a video.
        correlation: with OpenFace; None: none that is better than chance is known.
        reliability: "good" from 0.6 on, "weak" below 0.3.
    """

    terms: Mapping[str, float]
    correlation: float | None
    reliability: Reliability = "good"


_SMILE, _FROWN, _SHRUG = 1 / 0.169, 1 / 0.0046, 1 / 0.0445

PROXIES: Final[Mapping[int, Proxy]] = {
    1: Proxy({"browInnerUp": 1}, 0.77),
    2: Proxy({"browOuterUp": 1 / 0.083, "browInnerUp": 1 / 0.10}, 0.66),
    4: Proxy({"browDown": 1}, None, "weak"),
    5: Proxy({"eyeWide": 1}, 0.70),
    6: Proxy({"mouthSmile": _SMILE, "corners_below_lips": -1 / 0.021}, 0.86),
    7: Proxy({"mouthSmile": _SMILE, "lower_lids": -1 / 0.0051}, 0.87),
    9: Proxy({"nose_length": -1}, 0.25, "weak"),
    10: Proxy({"mouthUpperUp": 1}, 0.77),
    12: Proxy({"mouthSmile": _SMILE, "mouth_width": 1 / 0.046}, 0.92),
    14: Proxy({"corners_to_eyes": -1}, 0.84),
    15: Proxy({"mouthFrown": _FROWN, "mouthShrugLower": _SHRUG}, 0.47, "marginal"),
    17: Proxy({"mouthShrugLower": 1}, 0.27, "weak"),
    20: Proxy({"mouthStretch": 1}, None, "weak"),
    23: Proxy({"mouthPress": 1}, None, "weak"),
    25: Proxy({"lip_gap": 1}, 0.92),
    26: Proxy({"jawOpen": 1}, 0.71),
    45: Proxy({"eyeBlink": 1}, 0.87),
}

ORIGIN: Final = AuOrigin(
    source="blendshape proxy",
    values=("proxy",),
    unit="of the proxy",
    one_unit=False,
    reliability={unit: proxy.reliability for unit, proxy in PROXIES.items()},
)

_RIGHT_EYE, _LEFT_EYE = 33, 263  # outer corners; the subject's right is on the left of the picture
_RIGHT_CORNER, _LEFT_CORNER = 61, 291  # of the mouth
_EYE_CORNERS = (33, 133, 362, 263)
_INNER_EYE_CORNERS = (133, 362)
_LOWER_LIDS = (144, 145, 153, 373, 374, 380)
_MIDDLE_OF_LIPS = (13, 14, 0, 17)
_MOUTH_CORNERS = (_RIGHT_CORNER, _LEFT_CORNER)
_INNER_LIPS = ((13, 14), (82, 87), (312, 317))  # upper, lower
_NOSTRILS = (48, 64, 98, 278, 294, 327)


def proxies(blendshapes: NDArray[np.float32], landmarks: NDArray[np.float32]) -> Floats:
    """The stand-ins of one face, (17,), in order of `ACTION_UNITS`.

    Args:
        blendshapes: shape (52,).
        landmarks: shape (478, 3), in pixels; where the face is, how large, and how it is tilted to
            the shoulder does not matter.
    """
    terms = np.concatenate([blendshapes.astype(np.float64), _geometry(landmarks)])
    result: Floats = _WEIGHTS @ terms
    return result


def _geometry(landmarks: NDArray[np.float32]) -> Floats:
    """In order of `_GEOMETRY`; in distances between the outer corners of the eyes."""
    points = _upright(landmarks)
    y = points[:, 1]

    def height(of: tuple[int, ...], above: tuple[int, ...]) -> float:
        """How far the points `of` lie below the points `above`."""
        return float(y[list(of)].mean() - y[list(above)].mean())

    def distance(one: int, other: int) -> float:
        return float(np.hypot(*(points[one] - points[other])))

    to_eyes = (distance(_RIGHT_CORNER, _RIGHT_EYE), distance(_LEFT_CORNER, _LEFT_EYE))
    return np.array(
        [
            height(_MOUTH_CORNERS, _MIDDLE_OF_LIPS),
            height(_LOWER_LIDS, _EYE_CORNERS),
            distance(*_MOUTH_CORNERS),
            sum(to_eyes) / 2,
            sum(distance(upper, lower) for upper, lower in _INNER_LIPS),
            height(_NOSTRILS, _INNER_EYE_CORNERS),
        ]
    )


_GEOMETRY: Final = (
    "corners_below_lips", "lower_lids", "mouth_width", "corners_to_eyes", "lip_gap", "nose_length",
)  # fmt: skip


def _upright(landmarks: NDArray[np.float32]) -> Floats:
    """x, y with the outer corners of the eyes level and 1 apart; y grows downwards."""
    points = landmarks[:, :2].astype(np.float64)
    across = points[_LEFT_EYE] - points[_RIGHT_EYE]
    length = max(float(np.hypot(*across)), np.finfo(np.float32).tiny)
    c, s = across / length
    turned: Floats = (points - points[_RIGHT_EYE]) @ np.array([[c, -s], [s, c]]) / length
    return turned


def _weights() -> Floats:
    """What each blendshape and each distance counts in each proxy, (17, 52 + 6)."""
    names = (*BLENDSHAPES, *_GEOMETRY)
    weights = np.zeros((len(ACTION_UNITS), len(names)))
    for row, unit in zip(weights, ACTION_UNITS, strict=True):
        for term, weight in PROXIES[unit].terms.items():
            columns = [at for at, name in enumerate(names) if name in _variants(term)]
            if not columns:
                raise ValueError(f"the proxy of AU{unit} has a term {term!r} that nobody knows")
            row[columns] = weight / len(columns)
    return weights


def _variants(term: str) -> tuple[str, str, str]:
    return term, f"{term}Left", f"{term}Right"


_WEIGHTS: Final = _weights()
