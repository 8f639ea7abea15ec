"""ArraySource: frames from memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import numpy as np

from streamdeid.closing import Closing
from streamdeid.errors import SourceError
from streamdeid.frame import Frame, Image, StreamInfo


class ArraySource(Closing):
    """Frames from arrays: for whoever has pictures in memory, and for every test.

    Arrays are not copied, so don't write to them while they are in use; frames are read-only
    views. All must have the size of the first.

    >>> with ArraySource(np.zeros((3, 8, 8, 3), np.uint8), frame_rate=25) as source:
    ...     [str(frame.time) for frame in source]
    ['0', '1/25', '2/25']

    Raises:
        SourceError: there is no picture, one has the wrong shape or type, or `pts` do not fit.
    """

    def __init__(
        self,
        images: Iterable[Image],
        *,
        frame_rate: Fraction | int | None = None,
        pts: Sequence[int] | None = None,
        time_base: Fraction | None = None,
        name: str = "arrays",
        corrupt: Iterable[int] = (),
    ) -> None:
        """Take pictures and their times: either `frame_rate`, or `pts` with `time_base`.

        Args:
            images: arrays of shape (height, width, 3), uint8 RGB; an iterator is read as needed.
            frame_rate: frames a second.
            pts: one time stamp for each image, never decreasing, in units of `time_base`.
            time_base: seconds.
            name: what messages call it.
            corrupt: indices of the frames to flag as corrupt.
        """
        if (frame_rate is None) == (pts is None) or (pts is None) != (time_base is None):
            raise SourceError(f"{name}: give either frame_rate, or both pts and time_base.")
        for number in (frame_rate, time_base):
            if number is not None and not _is_positive(number):
                raise SourceError(
                    f"{name}: frame rate and time base must be numbers above 0, not {number!r}."
                )
        self.notes: list[str] = []
        self._name = name
        self._pts = pts
        self._time_base = 1 / Fraction(frame_rate) if frame_rate else Fraction(time_base or 1)
        self._corrupt = frozenset(corrupt)
        count = len(images) if isinstance(images, Sequence | np.ndarray) else None
        if pts is not None and count is not None and len(pts) != count:
            raise SourceError(f"{name}: {count} pictures but {len(pts)} pts; give one for each.")
        if not isinstance(images, Iterable):
            raise SourceError(f"{name}: {type(images).__name__} is no series of pictures.")
        self._images = iter(images)
        first = next(self._images, None)
        if first is None:
            raise SourceError(f"{name} holds no pictures; give at least one.")
        if not isinstance(first, np.ndarray):
            raise SourceError(f"{name}: picture 0 is a {type(first).__name__}; give numpy arrays.")
        self._shape = first.shape
        self._waiting: Image | None = first
        self._index = 0
        if len(self._shape) != 3 or 0 in self._shape or first.dtype != np.uint8:
            raise SourceError(
                f"{name}: picture 0 has shape {self._shape} and type {first.dtype}; "
                "give (height, width, 3), all above 0, uint8."
            )
        self.info = StreamInfo(
            uri=name,
            codec="",
            pixel_format="rgb24",
            width=self._shape[1],
            height=self._shape[0],
            frame_rate=Fraction(frame_rate) if frame_rate else None,
            duration=count * self._time_base if frame_rate and count else None,
            frames=count,
        )

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        image, self._waiting = self._waiting, None
        if image is None:
            image = next(self._images)
        index = self._index
        if not isinstance(image, np.ndarray):
            raise SourceError(
                f"{self._name}: picture {index} is a {type(image).__name__}; give numpy arrays."
            )
        if image.shape != self._shape or image.shape[2] != 3 or image.dtype != np.uint8:
            raise SourceError(
                f"{self._name}: picture {index} has shape {image.shape} and type {image.dtype}; "
                f"give (height, width, 3), uint8, all of one size."
            )
        view = image.view()
        view.flags.writeable = False
        self._index += 1
        return Frame(
            view, index, self._time(index), self._time_base, corrupt=index in self._corrupt
        )

    def skim(self) -> Iterator[bool]:
        """Read on: for each remaining frame, whether it is corrupt."""
        for frame in self:
            yield frame.corrupt

    def close(self) -> None:
        """Let go of the pictures."""
        self._waiting = None
        self._images = iter(())

    def _time(self, index: int) -> int:
        if self._pts is None:
            return index
        if index >= len(self._pts):
            raise SourceError(f"{self._name}: there are more pictures than pts; give one for each.")
        if index > 0 and self._pts[index] < self._pts[index - 1]:
            raise SourceError(
                f"{self._name}: the pts of picture {index} is before its predecessor's; "
                "give pictures in order of time."
            )
        return self._pts[index]


def _is_positive(number: object) -> bool:
    try:
        return Fraction(number) > 0  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return False  # not a number, or not a finite one
