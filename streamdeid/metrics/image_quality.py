"""ImageQuality: how much of the picture is left as it was."""

from __future__ import annotations

from collections.abc import Mapping
from math import log10
from typing import Any, ClassVar, Final, Self

from streamdeid.metrics.batched import Batched
from streamdeid.metrics.metric import Cell
from streamdeid.observations import REGIONS, Likeness, QualityReading
from streamdeid.score import Score
from streamdeid.stats import RunningMoments, State, StateReader

_MEASURES = ("ssim", "ms_ssim", "psnr")
_SIMILARITIES = _MEASURES[:2]
_LARGEST = 255.0
_WIDEST = 176  # pixels: the windows of the coarsest of five scales

_LUMA: Final = "BT.601 of full-range RGB, 0..255"
_NO_FACE = {
    "face": "no face was found in the original video",
    "background": "no face was found in either video, from which a background could be told",
}


def psnr(mse: float) -> float | None:
    """Peak signal-to-noise ratio of 8-bit luma in dB: 10·log10(255² / mse); None if mse is 0."""
    return 10 * log10(_LARGEST**2 / mse) if mse > 0 else None


class ImageQuality(Batched[QualityReading]):
    """SSIM, MS-SSIM and PSNR of the face, of the frame, and of the background.

    SSIM and MS-SSIM are means over frames. PSNR is that of the mean squared error over all frames,
    so that a frame without any error, whose PSNR is infinite, can be part of it; `frame_mean` is
    the mean of the PSNR of the frames that do differ. Videos without any difference have no PSNR.

    fsmetric's figures are of something else: of N random frames, the same of both videos, the box
    that a Haar cascade finds on each side is stretched to 250 x 250 pixels, and scikit-image
    compares these two: SSIM in a flat window of 7 x 7, of grey values and of the three colours, and
    PSNR over the colours; each is a mean over frames.
    """

    name: ClassVar[str] = "quality"
    live: ClassVar[bool] = True
    column_names: ClassVar[tuple[str, ...]] = tuple(f"{m}.{r}" for m in _MEASURES for r in REGIONS)

    def __init__(self) -> None:
        super().__init__()
        self._regions = {region: _Region() for region in REGIONS}
        self._frames = 0
        self._resized = 0
        self._shorter_side = 0

    def columns(self, item: QualityReading) -> Mapping[str, Cell]:
        cells: dict[str, Cell] = dict.fromkeys(self.column_names)
        for region, likeness in item.regions.items():
            cells[f"ssim.{region}"] = likeness.ssim
            cells[f"ms_ssim.{region}"] = likeness.ms_ssim
            cells[f"psnr.{region}"] = psnr(likeness.mse)
        return cells

    def update(self, item: QualityReading) -> None:
        if not item.regions:
            return
        self._frames += 1
        self._resized += item.resized
        self._shorter_side = max(self._shorter_side, item.shorter_side)
        self._wait(item)

    def merge(self, other: Self) -> None:
        self.settle()
        settled = other.settled()
        for name, region in self._regions.items():
            region.merge(settled._regions[name])
        self._frames += settled._frames
        self._resized += settled._resized
        self._shorter_side = max(self._shorter_side, settled._shorter_side)

    def result(self) -> list[Score]:
        settled = self.settled()
        return [settled._score(measure, name) for measure in _MEASURES for name in REGIONS]

    def to_state(self) -> State:
        settled = self.settled()
        return {
            "frames": settled._frames,
            "resized": settled._resized,
            "shorter_side": settled._shorter_side,
            **{name: region.to_state() for name, region in settled._regions.items()},
        }

    def load_state(self, state: State) -> None:
        read = StateReader(state, type(self).__name__)
        frames, resized = read.integer("frames", minimum=0), read.integer("resized", minimum=0)
        shorter_side = read.integer("shorter_side", minimum=0)
        regions = {name: _Region.from_state(read.child(name)) for name in REGIONS}
        self._regions, self._waiting = regions, []
        self._frames, self._resized, self._shorter_side = frames, resized, shorter_side

    def _take(self, readings: list[QualityReading]) -> None:
        for name, region in self._regions.items():
            region.update([r.regions[name] for r in readings if name in r.regions])

    def _score(self, measure: str, name: str) -> Score:
        region = self._regions[name]
        details: dict[str, Any] = {"luma": _LUMA, "resized_frames": self._resized}
        if self._resized:
            details["resized"] = "the de-identified picture, to the size of the original's"
        full_name = f"quality.{measure}.{name}"
        unit = "dB" if measure == "psnr" else "similarity"
        value, count, std, more = region.figures(measure)
        reason = None if value is not None else self._why_none(measure, name)
        return Score(full_name, value, unit, count, std, reason, {**details, **more})

    def _why_none(self, measure: str, name: str) -> str:
        if not self._frames:
            return "no frame pair was analysed"
        if not self._regions[name].count:
            return _NO_FACE[name]
        if measure == "psnr":
            return "the pictures are identical: there is no noise, and the ratio is infinite"
        if measure == "ms_ssim" and self._shorter_side < _WIDEST:
            needed, there = f"{_WIDEST} pixels", self._shorter_side
            return f"MS-SSIM needs {needed} on the pictures' shorter side; there are {there}"
        where = "picture" if name == "frame" else name
        return f"the {where} is too small, or too near the edge, for a window"


class _Region:
    """What is known of one region over all frames."""

    def __init__(self) -> None:
        # "psnr" is of the frames that differ, "mse" of all.
        self._of = {name: RunningMoments() for name in (*_MEASURES, "mse")}

    @property
    def count(self) -> int:
        """Frames that have this region."""
        return self._of["mse"].count

    def update(self, likenesses: list[Likeness]) -> None:
        for measure in _SIMILARITIES:
            values = [getattr(likeness, measure) for likeness in likenesses]
            self._of[measure].update([value for value in values if value is not None])
        errors = [likeness.mse for likeness in likenesses]
        self._of["mse"].update(errors)
        self._of["psnr"].update([value for mse in errors if (value := psnr(mse)) is not None])

    def merge(self, other: Self) -> None:
        for name, moments in self._of.items():
            moments.merge(other._of[name])

    def figures(self, measure: str) -> tuple[float | None, int, float | None, dict[str, Any]]:
        """Value, count, standard deviation, and details of a measure."""
        of = self._of[measure]
        some, several = of.count > 0, of.count > 1
        extremes = {"min": of.min if some else None, "max": of.max if some else None}
        if measure != "psnr":
            return of.mean if some else None, of.count, of.std() if several else None, extremes
        mse = self._of["mse"].mean if self.count else 0.0
        value = psnr(mse)
        identical = self.count - of.count
        details = {
            "mse": mse if self.count else None,
            "frame_mean": of.mean if some else None,
            "frame_std": of.std() if several else None,
            "identical_frames": identical,
            **extremes,
        }
        return value, self.count if value is not None else 0, None, details

    def to_state(self) -> State:
        return {name: moments.to_state() for name, moments in self._of.items()}

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, "ImageQuality region")
        region = cls()
        region._of = {name: RunningMoments.from_state(read.child(name)) for name in region._of}
        if region._of["psnr"].count > region.count:
            raise ValueError("state of ImageQuality: more frames differ than there are")
        return region
