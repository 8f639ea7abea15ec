"""ReadAhead: iterate in a thread of its own, a bounded number of items ahead."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")

LONGEST_END_S = 1.0
"""How long closing waits for an item in the making before it leaves the thread to itself."""


class ReadAhead(Generic[T]):
    """The items of an iterable, made in a thread of their own, at most `depth` ahead.

    When `depth` items wait, the thread waits. An error in the thread is raised where the item
    would have come, with its traceback. However it ends (all items taken, an error, `close`,
    leaving the `with` block, the object forgotten, the interpreter ending), the thread ends, and
    it is the thread that closes: the iterator and the iterable, where they have `close`. If the
    iterable has `stop`, that is called from the consumer's side, to end a long search for the
    next item; it must be safe to call from another thread.

    Attributes:
        waited_s: seconds that the consumer has waited for items so far.
    """

    def __init__(self, items: Iterable[T], depth: int) -> None:
        """Start reading `items`.

        Raises:
            ValueError: `depth` is less than 1.
        """
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        self.waited_s = 0.0
        self._shelf: _Shelf[T] = _Shelf(depth)
        # The thread knows the shelf and not this object, so that forgetting this object ends it.
        # A daemon, because the interpreter waits for others before it runs finalizers.
        self._thread = threading.Thread(
            target=_fill, args=(items, self._shelf), name="read-ahead", daemon=True
        )
        self._end = weakref.finalize(self, _end, items, self._shelf, self._thread)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        started = time.perf_counter()
        try:
            return self._shelf.take(None)
        finally:
            self.waited_s += time.perf_counter() - started

    def or_none(self, timeout_s: float) -> Iterator[T | None]:
        """The items, and None whenever there was none for `timeout_s`: for who must look around."""
        while True:
            started = time.perf_counter()
            try:
                item = self._shelf.take(timeout_s)
            except StopIteration:
                return
            except Late:
                item = None
            finally:
                self.waited_s += time.perf_counter() - started
            yield item
            del item  # else it lives until the next one is there

    def close(self) -> None:
        """End the thread and wait for it; items not yet taken are dropped. May be called twice."""
        self._end()


class Late(Exception):  # noqa: N818  not a fault, and never an error of the items
    """No item came in time."""


class _Shelf(Generic[T]):
    """Where items wait between the two threads."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._finished = False
        self._error: BaseException | None = None

    def wait_for_room(self) -> bool:
        """Wait until an item may be put; False if none is wanted any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._depth)
            return not self._closed

    def put(self, item: T) -> None:
        with self._changed:
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()

    def finish(self, error: BaseException | None) -> None:
        with self._changed:
            self._error = error
            self._finished = True
            self._changed.notify_all()

    def take(self, timeout_s: float | None) -> T:
        """The next item; raises StopIteration after the last, and the thread's error.

        Raises:
            Late: there was none for `timeout_s`.
        """
        with self._changed:
            if not self._changed.wait_for(self._has_news, timeout_s):
                raise Late
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            error, self._error = self._error, None
        if error is None:
            raise StopIteration
        try:
            raise error
        finally:
            del error  # else it holds this frame, and this frame holds it

    def _has_news(self) -> bool:
        return bool(self._items) or self._finished or self._closed

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()


def _fill(items: Iterable[T], shelf: _Shelf[T]) -> None:
    """What the thread does."""
    error: BaseException | None = None
    iterator: Iterator[T] | None = None
    try:
        iterator = iter(items)
        while shelf.wait_for_room():
            try:
                item = next(iterator)
            except StopIteration:
                break
            shelf.put(item)
    except BaseException as problem:  # noqa: BLE001  it is raised in the consumer's thread
        error = problem
    for closable in (iterator, items):
        try:
            _call(closable, "close")
        except BaseException as problem:  # noqa: BLE001  as above; the first error counts
            error = error or problem
    shelf.finish(error)


def _end(items: Any, shelf: _Shelf[Any], thread: threading.Thread) -> None:
    shelf.close()
    if thread.is_alive():
        _call(items, "stop")
    # Forgotten inside the thread itself: garbage collection runs wherever it likes.
    if thread is not threading.current_thread():
        thread.join(LONGEST_END_S)


def _call(thing: Any, name: str) -> None:
    method = getattr(thing, name, None)
    if callable(method):
        method()
