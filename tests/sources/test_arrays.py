"""ArraySource: frames from memory."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from streamdeid.errors import SourceError
from streamdeid.sources.arrays import ArraySource

BLACK = np.zeros((5, 4, 6, 3), np.uint8)


def test_frames_come_at_the_given_rate_or_times() -> None:
    with ArraySource(BLACK, frame_rate=Fraction(30000, 1001)) as source:
        assert [frame.time for frame in source] == [Fraction(1001 * k, 30000) for k in range(5)]
    with ArraySource(BLACK, pts=[3, 4, 9, 9, 20], time_base=Fraction(1, 10)) as source:
        assert [frame.pts for frame in source] == [3, 4, 9, 9, 20]


def test_it_says_what_it_holds() -> None:
    info = ArraySource(BLACK, frame_rate=25, name="mine").info
    assert (info.uri, info.width, info.height, info.frames) == ("mine", 6, 4, 5)
    assert info.duration == Fraction(1, 5)
    assert ArraySource(iter(BLACK), frame_rate=25).info.frames is None


def test_frames_are_read_only_views_and_the_callers_arrays_stay_as_they_were() -> None:
    images = BLACK.copy()
    frame = next(iter(ArraySource(images, frame_rate=25)))
    assert np.shares_memory(frame.image, images)
    with pytest.raises(ValueError, match="read-only"):
        frame.image[0] = 1
    images[0] = 1


def test_an_iterator_is_read_as_needed_and_no_further() -> None:
    taken = []

    def images() -> Any:
        for number, image in enumerate(BLACK):
            taken.append(number)
            yield image

    frames = iter(ArraySource(images(), frame_rate=25))
    assert taken == [0]
    next(frames), next(frames)
    assert taken == [0, 1]


def test_skimming_tells_the_corrupt_frames_that_are_left() -> None:
    source = ArraySource(BLACK, frame_rate=25, corrupt=[0, 3])
    assert next(iter(source)).corrupt
    assert list(source.skim()) == [False, False, True, False]
    assert list(source) == []


def test_after_closing_there_are_no_frames() -> None:
    source = ArraySource(BLACK, frame_rate=25)
    source.close()
    assert list(source) == []


@pytest.mark.parametrize(
    ("images", "how", "says"),
    [
        ([], {"frame_rate": 25}, "no pictures"),
        (BLACK, {}, "either frame_rate"),
        (BLACK, {"frame_rate": 25, "pts": [0], "time_base": Fraction(1)}, "either frame_rate"),
        (BLACK, {"pts": [0]}, "either frame_rate"),
        (BLACK, {"frame_rate": 0}, "above 0"),
        (BLACK, {"pts": [0, 1], "time_base": Fraction(1)}, "5 pictures but 2 pts"),
        (iter(BLACK), {"pts": [0, 1], "time_base": Fraction(1)}, "more pictures than pts"),
        (BLACK, {"pts": [0, 2, 1, 3, 4], "time_base": Fraction(1)}, "order of time"),
        (BLACK[..., 0], {"frame_rate": 25}, "height, width, 3"),
        (BLACK[..., :2], {"frame_rate": 25}, "height, width, 3"),
        (BLACK.astype(np.float32), {"frame_rate": 25}, "uint8"),
        (BLACK.tolist(), {"frame_rate": 25}, "picture 0 is a list; give numpy arrays"),
        ([BLACK[0], BLACK[1].tolist()], {"frame_rate": 25}, "picture 1 is a list"),
        ([[1, 2], [3]], {"frame_rate": 25}, "numpy arrays"),
        (7, {"frame_rate": 25}, "int is no series of pictures"),
        (BLACK[:, :0, :0], {"frame_rate": 25}, "all above 0"),
        (BLACK, {"frame_rate": float("nan")}, "above 0, not nan"),
        (BLACK, {"frame_rate": float("inf")}, "above 0, not inf"),
        (BLACK, {"frame_rate": "fast"}, "above 0, not 'fast'"),
        ([BLACK[0], BLACK[0, :2]], {"frame_rate": 25}, "all of one size"),
    ],
)
def test_what_makes_no_video_is_refused(images: Any, how: dict[str, Any], says: str) -> None:
    with pytest.raises(SourceError, match=says):
        list(ArraySource(images, **how))
