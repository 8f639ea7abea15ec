"""ClipBuffer: the last `length` items, every `stride`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class ClipBuffer(Generic[Item]):
    """Lets out clips of `length` items, each beginning `stride` items after the one before.

    Only the items themselves are kept, at most `length` of them; nothing is copied before a clip is
    full. A clip that the end of the stream cuts short is not let out.

    >>> clips = ClipBuffer[int](length=3, stride=2)
    >>> [clip for item in range(7) for clip in clips.push(item)]
    [(0, 1, 2), (2, 3, 4), (4, 5, 6)]

    Args:
        length, stride: at least 1. A stride above the length leaves items out.
    """

    name = "clips"

    def __init__(self, length: int, stride: int) -> None:
        if length < 1 or stride < 1:
            raise ValueError(f"length and stride must be at least 1, not {length} and {stride}")
        self.delay = length - 1
        self.stride = stride
        self._items: deque[Item] = deque(maxlen=length)
        self._until_full = length

    def push(self, item: Item) -> Iterable[tuple[Item, ...]]:
        self._until_full -= 1
        if self._until_full >= self.delay + 1:
            return  # between two clips
        self._items.append(item)
        if self._until_full == 0:
            self._until_full = self.stride
            yield tuple(self._items)

    def flush(self) -> Iterable[tuple[Item, ...]]:
        return ()

    def reset(self) -> None:
        self._items.clear()
        self._until_full = self.delay + 1
