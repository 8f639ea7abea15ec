"""OpenFaceRun: one OpenFace on one video, fed picture by picture, and what goes wrong with it."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Final
from uuid import uuid4

from streamdeid.closing import Closing
from streamdeid.cores import CORES
from streamdeid.frame import Image
from streamdeid.stages.action_units.child import Child
from streamdeid.stages.action_units.feeder import Feeder
from streamdeid.stages.action_units.guard import Guard
from streamdeid.stages.action_units.program import OpenFaceProgram
from streamdeid.stages.action_units.rows import Row, RowFile, UnreadableRows, last_frame

_LOOK_EVERY_S: Final = 0.02
# While it post-processes nothing seems to move: 0.05 ms a frame, 5 s after an hour of video.
_PATIENCE_PER_FRAME_S: Final = 0.001


class OpenFaceRun(Closing):
    """A child that reads pictures and writes rows, of which online ones are read meanwhile.

    At the end of its input the child closes the file of its rows, reads it, empties it and writes
    it anew with post-processed values. So rows are read as online ones only while its input is
    open, and as post-processed ones only when it has ended well.

    Args:
        program: what to start.
        rows: file for it to write.
        video: what sentences call the video, such as "the original video".
        guard: of the folder of `rows`.
        au_static, at_once: as `OpenFaceProgram.command` takes them.
        depth: pictures that wait for it at most.
        patience_s: after so many seconds in which it neither reads nor writes, though there is
            something to do, it is given up.

    Attributes:
        sent: frames given to it.
        fault: what went wrong, as a sentence without its full stop; None: nothing so far.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        program: OpenFaceProgram,
        rows: Path,
        video: str,
        guard: Guard,
        *,
        au_static: bool,
        at_once: bool,
        depth: int,
        patience_s: float,
    ) -> None:
        self.sent = 0
        self.fault: str | None = None
        self._name = f"OpenFace on {video}"
        self._patience_s = patience_s
        self._path = rows
        self._online = RowFile(rows)
        self._size = -1
        self._grew_at = monotonic()
        self._input_ended = False
        container = f"streamdeid-{uuid4().hex[:12]}" if program.image else None
        self._child = Child(
            program.command(rows, au_static=au_static, at_once=at_once, container=container or ""),
            guard,
            folder=program.folder,
            container=container,
            feeds=True,
        )
        self._feeder = Feeder(self._child.stdin, depth)

    @property
    def has_room(self) -> bool:
        """Whether `send` would not make more pictures wait than may."""
        return self._feeder.has_room

    @property
    def idle(self) -> bool:
        """Whether all pictures that were sent are in its pipe or read."""
        return self._feeder.idle

    @property
    def running(self) -> bool:
        return self._child.exit_code is None

    def wait_for_room(self) -> None:
        """Wait a moment for room."""
        self._feeder.wait_for_room(_LOOK_EVERY_S)

    def send(self, image: Image) -> None:
        """Give it the next frame."""
        self._feeder.put(image)
        self.sent += 1

    def find(self, frame: int) -> Row | None:
        """The online row of that frame or the next one that there is; None: not yet."""
        try:
            return self._online.find(frame)
        except UnreadableRows as problem:
            self.give_up(f"wrote {problem}")
        return None

    def look(self) -> None:
        """See whether it has ended before its time, or hangs; set `fault`."""
        if self.fault is not None:
            return
        code = self._child.exit_code
        if code is not None:
            if code != 0 or not self._input_ended:
                early = "" if self._input_ended else " before the end of the video"
                self.fault = (
                    f"{self._name} ended {self._child.how_it_ended()}{early}, "
                    f"after {self._feeder.written} of {self.sent} frames were given to it"
                    f"{self._child.last_words()}"
                )
        elif self._hangs():
            self.give_up(
                f"neither read nor wrote anything for {self._patience_s:g} s, after "
                f"{self._feeder.written} of {self.sent} frames were given to it, and was killed"
            )

    def hurry(self, patience_s: float) -> None:
        """Be no more patient than that from now on."""
        self._patience_s = min(self._patience_s, patience_s)

    def give_up(self, why: str) -> None:
        """Kill it; `why` goes on after "OpenFace on the original video"."""
        if self.fault is None:
            self.fault = f"{self._name} {why}"
        self._child.kill()

    def end_input(self) -> None:
        """Say that there are no more frames. From here on online rows are not read."""
        self._grew_at = monotonic()
        self._input_ended = True
        self._feeder.end()

    def wait(self) -> None:
        """Wait until it has ended well, or set `fault`."""
        with CORES.waiting():
            while self.fault is None and self.running:
                self._child.wait(_LOOK_EVERY_S)
                self.look()
        self.look()
        if self.fault is None:
            self._count_rows()

    def close(self) -> None:
        """Kill it if it still runs, and end the threads. May be called twice."""
        self._child.kill()
        self._feeder.abandon()
        self._child.close()
        self._online.close()

    def _count_rows(self) -> None:
        """Input that ends too early for it, or is none, is no error to OpenFace."""
        try:
            last = last_frame(self._path)
        except UnreadableRows as problem:
            self.fault = f"{self._name} wrote {problem}"
            return
        if last != self.sent:
            self.fault = (
                f"{self._name} ended as if all were well, but its rows end with frame {last} of "
                f"{self.sent}{self._child.last_words()}"
            )

    def _hangs(self) -> bool:
        patience = self._patience_s
        if self._input_ended:
            patience += _PATIENCE_PER_FRAME_S * self.sent
        elif self._feeder.idle:
            return False  # it waits for us
        now = monotonic()
        if now - max(self._feeder.moved_at, self._grew_at) < patience / 4:
            return False
        try:
            size = self._path.stat().st_size
        except OSError:
            size = -1
        if size != self._size:
            self._size, self._grew_at = size, now
        return now - max(self._feeder.moved_at, self._grew_at) > patience
