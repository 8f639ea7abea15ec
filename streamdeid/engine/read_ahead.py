"""ReadAhead: iterate in a thread of its own, a bounded number of items ahead."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from streamdeid.closing import Closing

T = TypeVar("T")

Crowding: TypeAlias = Literal["wait", "drop-oldest", "drop-newest", "blocks"]
"""What to do when items come faster than they are taken.

"wait": make no more until there is room. "drop-oldest" and "drop-newest": make all, and drop one
of those that wait or the one that has come, so that what is taken is spread evenly. "blocks": drop
what comes, from the moment that there is no more room until all that waits was taken: so as many
items as there is room for, and more, follow each other without a gap.
"""

LONGEST_END_S: Final = 1.0
"""How long closing waits for an item in the making before it leaves the thread to itself."""


class ReadAhead(Closing, Generic[T]):
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

    def __init__(self, items: Iterable[T], depth: int, crowding: Crowding = "wait") -> None:
        """Start reading `items`.

        Raises:
            ValueError: `depth` is less than 1.
        """
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        self.waited_s = 0.0
        self._shelf: _Shelf[T] = _Shelf(depth, crowding)
        # The thread knows the shelf and not this object, so that forgetting this object ends it.
        # A daemon, because the interpreter waits for others before it runs finalizers.
        self._thread = threading.Thread(
            target=_fill, args=(items, self._shelf), name="read-ahead", daemon=True
        )
        self._end = weakref.finalize(self, _end, items, self._shelf, self._thread)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Items that were made and dropped so far."""
        return self._shelf.dropped

    @property
    def after_gap(self) -> bool:
        """Whether the item last taken begins a new block."""
        return self._shelf.after_gap

    @property
    def age_s(self) -> float:
        """Seconds that the item last taken had waited."""
        return self._shelf.age_s

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
    """Where items wait between the two threads.

    Attributes:
        dropped: items that were put and not kept.
        after_gap: items were dropped before the one last taken, which is the first of a block.
        age_s: seconds that the item last taken had waited.
    """

    def __init__(self, depth: int, crowding: Crowding) -> None:
        self.dropped = 0
        self.after_gap = False
        self.age_s = 0.0
        self._depth = depth
        self._crowding = crowding
        self._items: deque[tuple[T, float, bool]] = deque()  # item, moment, first of a block
        self._skipping = False  # in between two blocks
        self._changed = threading.Condition()
        self._closed = False
        self._finished = False
        self._error: BaseException | None = None

    def wait_for_room(self) -> bool:
        """Wait until an item may be put; False if none is wanted any more."""
        with self._changed:
            if self._crowding == "wait":
                self._changed.wait_for(lambda: self._closed or len(self._items) < self._depth)
            return not self._closed

    def put(self, item: T) -> None:
        with self._changed:
            if self._closed:
                return
            begins = self._skipping and not self._items
            self._skipping &= not begins
            if self._skipping or len(self._items) >= self._depth:
                self.dropped += 1
                self._skipping = self._crowding == "blocks"
                if self._crowding != "drop-oldest":
                    return
                self._items.popleft()
            self._items.append((item, time.monotonic(), begins))
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
                item, put_at, self.after_gap = self._items.popleft()
                self.age_s = time.monotonic() - put_at
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
