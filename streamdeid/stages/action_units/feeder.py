"""Feeder: writes pictures to a child in a thread of its own, a few at most ahead of it."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from threading import Condition, Thread
from time import monotonic
from typing import Final

import numpy as np

from streamdeid.frame import Image
from streamdeid.stages.action_units.endless_avi import EndlessAvi
from streamdeid.stages.resizing import resized

_WAITING_BYTES: Final = 32 * 2**20  # fewer of very large pictures wait
_MOST_IN_PIPE: Final = 2**20  # what Linux gives to anybody
_LEAST_IN_PIPE: Final = 4096
_LONGEST_END_S: Final = 5.0


class Feeder:
    """The pipe into a child, as an endless AVI.

    A thread, because a full pipe makes who writes wait; and without taking a turn at the cores,
    because it spends its time in the system's copy from memory to memory.

    Args:
        descriptor: to write to; closed at the end of the input, and whatever happens.
        depth: pictures that wait at most, besides about one in the pipe.

    Attributes:
        written: pictures that went into the pipe.
        moved_at: `monotonic` when something last went into the pipe or was put to wait there.
        broken: the child has closed its end.
    """

    def __init__(self, descriptor: int, depth: int) -> None:
        self.written = 0
        self.moved_at = monotonic()
        self.broken = False
        self._descriptor = descriptor
        self._depth = depth
        self._images: deque[Image] = deque()
        self._ending = False
        self._changed = Condition()
        self._thread = Thread(target=self._run, name="child-input", daemon=True)
        self._thread.start()

    @property
    def has_room(self) -> bool:
        with self._changed:
            return self._has_room()

    @property
    def idle(self) -> bool:
        """Whether all that was put has gone into the pipe."""
        with self._changed:
            return not self._images or self.broken

    @property
    def ended(self) -> bool:
        """Whether the pipe is closed."""
        return not self._thread.is_alive()

    def wait_for_room(self, seconds: float) -> None:
        """Wait until there is room, so long at most."""
        with self._changed:
            self._changed.wait_for(self._has_room, seconds)

    def put(self, image: Image) -> None:
        """Send one picture; one of another size than the first gets the first one's size."""
        with self._changed:
            if not self._images:
                self.moved_at = monotonic()
            if not self.broken:
                self._images.append(image)
            self._changed.notify_all()

    def end(self) -> None:
        """No more pictures: close the pipe when those that wait are written."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Forget what waits and close the pipe; the child must be dead."""
        with self._changed:
            self._images.clear()
        self.end()
        # Something that left the child's process group could still hold the other end of the pipe.
        self._thread.join(_LONGEST_END_S)

    def _has_room(self) -> bool:
        waiting = self._images
        most = (
            self._depth
            if not waiting
            else min(self._depth, max(_WAITING_BYTES // waiting[0].nbytes, 1))
        )
        return self.broken or len(waiting) < most

    def _run(self) -> None:
        try:
            avi: EndlessAvi | None = None
            size = (0, 0)
            while (image := self._next()) is not None:
                if avi is None:
                    size = (image.shape[0], image.shape[1])
                    avi = EndlessAvi(*size)
                    _set_pipe_size(self._descriptor, image.nbytes)
                    self._write(memoryview(avi.header))
                self._write(avi.frame(_fitted(image, *size)))
                self._taken()
        except BrokenPipeError:
            pass
        finally:
            with suppress(OSError):
                os.close(self._descriptor)
            with self._changed:
                self.broken = not self._ending or bool(self._images)
                self._changed.notify_all()

    def _next(self) -> Image | None:
        """The picture that waits longest, which goes on waiting until it is written."""
        with self._changed:
            self._changed.wait_for(lambda: self._images or self._ending)
            return self._images[0] if self._images else None

    def _taken(self) -> None:
        with self._changed:
            self.written += 1
            if self._images:
                self._images.popleft()
            self._changed.notify_all()

    def _write(self, data: memoryview) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]
            self.moved_at = monotonic()


def _fitted(image: Image, height: int, width: int) -> Image:
    if image.shape[:2] == (height, width):
        return image
    planes = [resized(image[..., c].astype(np.float32), height, width) for c in range(3)]
    return np.clip(np.rint(np.stack(planes, axis=-1)), 0, 255).astype(np.uint8)


def _set_pipe_size(descriptor: int, picture: int) -> None:
    """Let the pipe hold one picture: fewer turns, and no rows that are late by what it holds."""
    import fcntl  # not on Windows

    if hasattr(fcntl, "F_SETPIPE_SZ"):  # on Linux
        size = min(max(picture, _LEAST_IN_PIPE), _MOST_IN_PIPE)
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, size)
