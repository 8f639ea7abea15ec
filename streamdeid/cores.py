"""Cores: as many threads compute at the same time as there are cores, and no more.

A thread that is put aside in the middle of its work holds Python's lock and warm caches that the
others need: with a free choice of threads, two cores did the same evaluation 20 % slower.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from threading import BoundedSemaphore, Lock, Semaphore, local
from types import TracebackType
from typing import Any, Final, TypeVar

from threadpoolctl import threadpool_limits

A = TypeVar("A")
B = TypeVar("B")


class Cores(AbstractContextManager[None]):
    """Turns at computing. Hold one (`with cores:`) while you compute, not while you wait.

    Args:
        count: threads that compute at the same time, at least 1.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.renew()

    def renew(self) -> None:
        """Begin anew, with all turns free: in a forked process, which has no other threads."""
        self._free = BoundedSemaphore(self._count)
        self._mine = local()
        # Threads are made when they are first needed, and wait idle when they are not. Whoever asks
        # holds a turn, so there is one fewer: with more, one is made for a turn that is free a
        # moment before the thread that had it.
        self._aside = ThreadPoolExecutor(max(self._count - 1, 1), "aside")

    def __enter__(self) -> None:
        self._free.acquire()
        self._mine.turn = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._mine.turn = False
        self._free.release()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Lend this thread's turn, if it holds one, to others while it waits for something."""
        if not getattr(self._mine, "turn", False):
            yield
            return
        self.__exit__(None, None, None)
        try:
            yield
        finally:
            self.__enter__()

    def both(self, first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
        """What the two give: side by side if another core is free now, else one after the other.

        To be called by a thread that holds a turn. Both have ended when it returns or raises. What
        is called in `first` or `second` does its own two one after the other: the threads that
        work aside never wait for each other.

        Raises:
            Exception: what either raised; the one of `first` if both did.
        """
        if getattr(self._mine, "aside", False) or not self._free.acquire(blocking=False):
            return first(), second()
        aside = self._aside.submit(self._on_its_turn, first)
        try:
            ours = second()
        finally:
            with self.waiting():
                theirs = aside.result()
        return theirs, ours

    @contextmanager
    def few(self, permits: Semaphore) -> Iterator[None]:
        """Take one of `permits`, for work of which only so much may go on at the same time.

        Who waits for one lends its turn at computing to others.
        """
        if not permits.acquire(blocking=False):
            with self.waiting():
                permits.acquire()
        try:
            yield
        finally:
            permits.release()

    def _on_its_turn(self, work: Callable[[], A]) -> A:
        self._mine.turn = self._mine.aside = True
        try:
            return work()
        finally:
            self.__exit__(None, None, None)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let numpy's products and factorings be computed by the thread that asks for them.

    OpenBLAS waits for its own threads by spinning: where lanes hold the cores, as here, a Fréchet
    distance took 24 to 37 s with them, and 1 s without. Concerns the whole process, until the last
    of those who have entered leaves.
    """
    with _BLAS.lock:
        if _BLAS.users == 0:
            _BLAS.limits = threadpool_limits(limits=1, user_api="blas")
        _BLAS.users += 1
    try:
        yield
    finally:
        with _BLAS.lock:
            _BLAS.users -= 1
            if _BLAS.users == 0:
                _BLAS.limits.restore_original_limits()


class _Blas:
    def __init__(self) -> None:
        self.lock = Lock()
        self.users = 0
        self.limits: Any = None


_BLAS: Final = _Blas()


def usable_cores() -> int:
    """The cores that this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


CORES: Final = Cores(usable_cores())
"""Those of this machine, shared by whatever runs in this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=CORES.renew)
