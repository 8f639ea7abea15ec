"""Clips: every window that fits, and nothing held that is not needed."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdeid.stages.clips import ClipBuffer

SMALL = st.integers(1, 9)


@given(SMALL, SMALL, st.integers(0, 40))
def test_clips_are_the_windows_of_the_stream(length: int, stride: int, count: int) -> None:
    clips = ClipBuffer[int](length, stride)
    found = [clip for item in range(count) for clip in clips.push(item)]
    found += clips.flush()
    starts = range(0, count - length + 1, stride)
    assert found == [tuple(range(start, start + length)) for start in starts]


@given(SMALL, SMALL, st.integers(0, 20))
def test_after_a_reset_a_buffer_is_as_new(length: int, stride: int, before: int) -> None:
    used, fresh = ClipBuffer[int](length, stride), ClipBuffer[int](length, stride)
    for item in range(before):
        list(used.push(-item))
    used.reset()
    for item in range(20):
        assert list(used.push(item)) == list(fresh.push(item))


class Item:
    """Something that can be counted while it lives."""


@given(SMALL, SMALL)
def test_no_more_than_one_clip_is_kept(length: int, stride: int) -> None:
    clips = ClipBuffer[Item](length, stride)
    alive: weakref.WeakSet[Item] = weakref.WeakSet()
    for _ in range(30):
        item = Item()
        alive.add(item)
        list(clips.push(item))
        del item
        gc.collect(0)
        assert len(alive) <= length


@pytest.mark.parametrize(("length", "stride"), [(0, 1), (1, 0), (-2, 3)])
def test_a_clip_has_a_length_and_a_stride(length: int, stride: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ClipBuffer(length, stride)


def test_delay_and_stride_are_told() -> None:
    clips = ClipBuffer[int](16, 8)
    assert (clips.delay, clips.stride) == (15, 8)
