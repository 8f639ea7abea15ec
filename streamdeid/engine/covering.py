"""CoveredSource: a video whose face is covered while it is read, the plainest de-identification."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFilter

from streamdeid.closing import Closing
from streamdeid.engine.models import Models
from streamdeid.errors import SettingsError
from streamdeid.frame import Frame, Image
from streamdeid.observations import Box
from streamdeid.settings import Settings
from streamdeid.sources.source import Source, open_source
from streamdeid.stages.faces import FaceFinder

Method: TypeAlias = Literal["pixelate", "blur", "blackout"]

MAX_STRENGTH: Final = 100.0
"""Blocks of 12 faces' width: beyond, nothing changes any more but the time that a blur takes."""

_MARGIN: Final = 0.2  # of the landmarks' box, on each side: hair line and chin


def save_first_frame(uri: str, path: Path) -> None:
    """Write the first frame of a video as a picture; the suffix of `path` says of what kind.

    Raises:
        SourceError: the video cannot be opened.
    """
    with open_source(uri) as source:
        PillowImage.fromarray(next(iter(source)).image).save(path)


class CoveredSource(Closing):
    """Another source with its face pixelated, blurred or blacked out.

    The cover stays where the face was last seen while the face is lost.

    Args:
        uri: the video to cover.
        method: what to do with the face.
        strength: above 0, 100 at most. Pixelate: blocks have `strength` / 8 of the face's width,
            1 by default (8 blocks across). Blur: its radius is `strength` / 8 of the face's width.
            Blackout has none.
        settings: which models find the face.

    Raises:
        SettingsError: method or strength make no sense.
        SourceError: the video cannot be opened.
    """

    def __init__(
        self,
        uri: str,
        method: Method = "pixelate",
        strength: float = 1.0,
        settings: Settings | None = None,
    ) -> None:
        if method not in get_args(Method):
            raise SettingsError(
                f"--method is {method!r}: it must be one of {', '.join(get_args(Method))}."
            )
        if not 0 < strength <= MAX_STRENGTH:
            raise SettingsError(
                f"--strength is {strength:g}: it must be above 0, and {MAX_STRENGTH:g} at most."
            )
        settings = settings or Settings()
        models = Models(settings)
        self._finder = FaceFinder(models.landmarks(), *models.detectors(), choice=settings.face)
        self._method: Method = method
        self._strength = strength
        self._source: Source = open_source(uri)
        self.notes = self._source.notes
        self.info = replace(self._source.info, uri=f"{self._source.info.uri} ({method})")

    def __iter__(self) -> Iterator[Frame]:
        where: Box | None = None
        for frame in self._source:
            sighting = self._finder.follow(frame)
            if sighting.face is None:
                sighting = self._finder.search(sighting)
            if sighting.face is not None:
                where = sighting.face.box
            yield frame if where is None else replace(frame, image=self._cover(frame.image, where))

    def skim(self) -> Iterator[bool]:
        return self._source.skim()

    def close(self) -> None:
        self._source.close()

    def _cover(self, image: Image, box: Box) -> Image:
        height, width = image.shape[:2]
        left = max(int(box.left - _MARGIN * box.width), 0)
        top = max(int(box.top - _MARGIN * box.height), 0)
        right = min(int(box.right + _MARGIN * box.width) + 1, width)
        bottom = min(int(box.bottom + _MARGIN * box.height) + 1, height)
        if left >= right or top >= bottom:
            return image
        covered = image.copy()
        region = PillowImage.fromarray(image[top:bottom, left:right])
        unit = max(self._strength * box.width / 8, 1.0)
        if self._method == "blackout":
            covered[top:bottom, left:right] = 0
        elif self._method == "blur":
            covered[top:bottom, left:right] = np.asarray(
                region.filter(ImageFilter.GaussianBlur(unit))
            )
        else:
            blocks = (max(round(region.width / unit), 1), max(round(region.height / unit), 1))
            small = region.resize(blocks, PillowImage.Resampling.BOX)
            covered[top:bottom, left:right] = np.asarray(
                small.resize(region.size, PillowImage.Resampling.NEAREST)
            )
        covered.flags.writeable = False
        return covered
