"""Lanes: every branch of a plan on a thread of its own, joined by short queues.

The models compute outside Python's lock, so while one lane embeds the faces of a frame pair the
next pair's faces are being found. Each branch still sees every item in order and alone, so a run's
figures do not depend on how the threads took turns. No more lanes compute at the same time than
there are cores. A full queue makes the lane before it wait:
what is in flight is bounded by the depth of the queues.

A mark passes through the lanes as items do: so something can be done with every branch after the
very same frame pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, Final, Self

from streamdeid.closing import Closing
from streamdeid.cores import CORES
from streamdeid.engine.branch import Branch

DEPTH: Final = 3
_END: Final = object()


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to do with every branch, in its lane, after the items that were pushed before."""

    do: Callable[[Branch[Any, Any]], None]


RESET: Final = Mark(lambda branch: branch.stage.reset())
"""Makes every stage forget its context."""


class Lanes(Closing):
    """Runs a plan. Enter it, `push` what the root branch takes, `finish`.

    Args:
        root: the first branch; each of its descendants gets a lane, too.
        depth: items that wait at most before a lane that leads to a stage with a stride, which
            does nothing for most items and much for some. Before any other waits one: more hold
            more memory, and save no time.
    """

    def __init__(self, root: Branch[Any, Any], depth: int = DEPTH) -> None:
        self._failed = Event()
        self._depth = depth
        self._lanes: list[_Lane] = []
        self._root = self._lane(root)

    def __enter__(self) -> Self:
        for lane in self._lanes:
            lane.start()
        return self

    def close(self) -> None:
        """Let everything run out, flush every stage, and end the threads; may be called twice."""
        self._root.put(_END)
        for lane in self._lanes:
            lane.join()

    def push(self, item: Any, timeout_s: float | None = None) -> bool:
        """Hand one item, or a `Mark`, to the root branch; waits while the lanes are busy.

        Returns:
            Whether there was room for it within the time.

        Raises:
            Exception: whatever a stage or metric raised, on this or an earlier item.
        """
        self._raise_if_failed()
        return self._root.put(item, timeout_s)

    def finish(self) -> None:
        """Close, and say how it went.

        Raises:
            Exception: whatever a stage or metric raised.
        """
        self.close()
        self._raise_if_failed()

    def _lane(self, branch: Branch[Any, Any]) -> _Lane:
        children = [self._lane(child) for child in branch.branches]
        uneven = any(below.stage.stride > 1 for below in branch.walk())
        lane = _Lane(branch, children, self._failed, self._depth if uneven else 1)
        self._lanes.append(lane)
        return lane

    def _raise_if_failed(self) -> None:
        if self._failed.is_set():
            for lane in self._lanes:
                if lane.error is not None:
                    raise lane.error


class _Lane(Thread):
    def __init__(
        self, branch: Branch[Any, Any], children: list[_Lane], failed: Event, depth: int
    ) -> None:
        super().__init__(name=f"lane-{branch.stage.name}", daemon=True)
        self._branch = branch
        self._children = children
        self._failed = failed
        self._queue: Queue[Any] = Queue(depth)
        self.error: BaseException | None = None

    def put(self, item: Any, timeout_s: float | None = None) -> bool:
        try:
            self._queue.put(item, timeout=timeout_s)
        except Full:
            return False
        return True

    def run(self) -> None:
        while True:
            item = self._queue.get()
            if not self._failed.is_set():
                try:
                    self._take(item)
                except BaseException as error:  # noqa: BLE001  it is raised again by push or finish
                    self.error = error
                    self._failed.set()
            if item is _END:
                for child in self._children:
                    child.put(_END)
                return

    def _take(self, item: Any) -> None:
        with CORES:
            if isinstance(item, Mark):
                item.do(self._branch)
                seen: list[Any] = [item]
            elif item is _END:
                for handful in self._branch.flush():
                    with CORES.waiting():
                        self._hand_on(handful)
                return
            else:
                seen = self._branch.step(item)
        self._hand_on(seen)

    def _hand_on(self, seen: list[Any]) -> None:
        for observation in seen:
            for child in self._children:
                child.put(observation)
