"""OpenFaceSource: frame pairs → action units, by one OpenFace for each side."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from streamdeid.closing import Closing
from streamdeid.cores import CORES
from streamdeid.frame import Image
from streamdeid.observations import AuOrigin, AuValues, ExpressionReading, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.action_units.finished import UNIT, VIDEOS, FinishedRows, Spool, joined
from streamdeid.stages.action_units.guard import Guard
from streamdeid.stages.action_units.openface_run import OpenFaceRun
from streamdeid.stages.action_units.program import OpenFaceProgram

PATIENCE_S: Final = 120.0
"""Longer than any machine takes to load OpenFace's models."""

HURRIED_S: Final = 5.0
"""Patience with an OpenFace that does nothing, once the run is to end."""

# OpenFace 2 reads up to 200 MiB of pictures ahead: 13,653 of 64x64.
_LATEST: Final = 20_000
# Frames sent at the end of a live run to push out the rows that a buffer of 8 KiB holds back.
_PUSHERS: Final = 60
_QUIET_S: Final = 0.5  # without a row, and none is expected any more
_LOOK_EVERY_S: Final = 0.005
# OpenFace 2 would read on for hundreds of frames, which a live run must not be late. Its rows leave
# its buffer at once, being long; even short ones would after 47.
_LIVE_LATEST: Final = 60
_LIVE_DEPTH: Final = 8  # looking for a lost face takes OpenFace as long as ten other frames


@dataclass(frozen=True, slots=True)
class _Awaited:
    """A frame pair whose online rows are not there yet."""

    index: int
    time: Fraction
    frame: int | None  # as OpenFace counts; None: it was dropped


class OpenFaceSource(Closing):
    """Feeds both videos' frames to one OpenFace each, and gives what it makes of them.

    Each pair has one online reading, which comes out of `push` or `flush` in order, as its rows
    arrive: nothing ever waits for a row. For files, `flush` ends with one post-processed reading
    for each pair; the last pairs' online ones may be without units then, because OpenFace
    overwrites its rows at the end.

    What goes wrong with OpenFace is no error of the run: from there on readings have no units, and
    say why. As one side's units are of no use without the other's, both are ended then.

    A gap in the stream (`reset`) is nothing to OpenFace, which looks for the face anew when it has
    lost it; a new start would cost it what it has learned of the person's neutral face.

    Args:
        program: which OpenFace.
        au_static: for videos that are short, or hold one expression.
        live: frames that come too fast for OpenFace are dropped; else `push` waits.
        patience_s: an OpenFace that does nothing for so long, though there is something to do, is
            given up.

    Attributes:
        origin: where the units come from.
        values: what the intensities of a whole run are.
        dropped: frame pairs that were not given to OpenFace.
        fault: what went wrong, a sentence; None: nothing.
    """

    name = "openface"
    delay: int | None = None
    stride = 1

    def __init__(
        self,
        program: OpenFaceProgram,
        *,
        au_static: bool = False,
        live: bool = False,
        patience_s: float = PATIENCE_S,
    ) -> None:
        values: tuple[AuValues, ...] = ("online",) if live else ("online", "post-processed")
        self.origin = AuOrigin(f"OpenFace {program.generation}.x", values, UNIT)
        self.values: AuValues = values[-1]
        self.dropped = 0
        self.fault: str | None = None
        self._program = program
        self._how = program.record(au_static=au_static, at_once=live)  # it may be gone at the end
        self._au_static = au_static
        self._live = live
        self._patience_s = patience_s
        self._index = 0
        self._awaited: deque[_Awaited] = deque()
        self._joined = 0  # frame whose online rows came last, and when
        self._joined_at = 0.0
        self._newest: Pair[Image]
        self._paths: Pair[Path]
        self._runs: Pair[OpenFaceRun] | None = None
        self._spool: Spool | None = None
        self._stack = ExitStack()

    def record(self) -> dict[str, Any]:
        """For the report: what was run, and how it went."""
        return self._how | {"values": self.values, "dropped": self.dropped, "fault": self.fault}

    def push(self, item: Pair[Sighting]) -> Iterable[ExpressionReading]:
        if self._index == 0:
            self._start()
        index, self._index = self._index, self._index + 1
        time = item.original.frame.elapsed
        frame = self._send(item.map(lambda sighting: sighting.frame.image))
        self._note(time, Pair(index + 1, index + 1))
        self._awaited.append(_Awaited(index, time, frame))
        return list(self._arrived())

    def flush(self) -> Iterable[ExpressionReading]:
        runs = self._runs
        if runs is not None:
            push_out = self._live and not self._program.flushes
            yield from self._last_rows(runs, _PUSHERS if push_out else 0)
        if self._live:
            yield from self._given_up("OpenFace had not come to this frame at the end.")
        else:
            if runs is not None:
                self._end(runs)
            yield from self._given_up("OpenFace overwrote this frame's row before it was read.")
            yield from self._post_processed()
        self.close()

    def reset(self) -> None:
        """Nothing to forget."""

    def hurry(self) -> None:
        self._patience_s = min(self._patience_s, HURRIED_S)
        if self._runs is not None:
            for _, run in self._runs.items():
                run.hurry(HURRIED_S)

    def close(self) -> None:
        """End what still runs and remove the files. May be called twice."""
        self._stack.close()

    def _start(self) -> None:
        self._joined_at = monotonic()
        try:
            folder = Path(tempfile.mkdtemp(prefix="streamdeid-openface-"))
            self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
            guard = self._stack.enter_context(Guard(folder))
            self._paths = Pair(folder / "original.csv", folder / "deidentified.csv")
            if not self._live:
                self._spool = self._stack.enter_context(Spool())
            self._runs = Pair(
                self._run(self._paths.original, VIDEOS.original, guard),
                self._run(self._paths.deidentified, VIDEOS.deidentified, guard),
            )
        except OSError as error:
            self._fail(f"OpenFace cannot be started: {error.strerror or error}")

    def _run(self, rows: Path, video: str, guard: Guard) -> OpenFaceRun:
        run = OpenFaceRun(
            self._program,
            rows,
            video,
            guard,
            au_static=self._au_static,
            at_once=self._live,
            depth=_LIVE_DEPTH if self._live else 1,
            patience_s=self._patience_s,
        )
        return self._stack.enter_context(run)

    def _send(self, images: Pair[Image]) -> int | None:
        """Give both sides their next frame; the number they have for it, None if it is dropped."""
        while (runs := self._healthy()) is not None:
            waits = next((run for _, run in runs.items() if not run.has_room), None)
            late = self._live and runs.original.sent - self._joined >= _LIVE_LATEST
            if late and monotonic() - self._joined_at > self._patience_s:
                self._fail(f"OpenFace is {_LIVE_LATEST} frames late with its rows")
                return None
            if waits is None and not late:
                runs.original.send(images.original)
                runs.deidentified.send(images.deidentified)
                self._newest = images
                return runs.original.sent
            if self._live:
                self.dropped += 1
                return None
            if waits is not None:
                with CORES.waiting():
                    waits.wait_for_room()
        return None

    def _note(self, time: Fraction, frames: Pair[int]) -> None:
        """Spool a pair for the post-processed readings."""
        if self._spool is not None:
            try:
                self._spool.add(time, frames)
            except OSError as error:
                self._fail(f"The temporary folder cannot be written to: {error.strerror or error}")
                self._spool = None

    def _healthy(self) -> Pair[OpenFaceRun] | None:
        """Both sides' runs, if there is nothing wrong with them."""
        if self._runs is not None and self.fault is None:
            for _, run in self._runs.items():
                run.look()
                if run.fault is not None:
                    self._fail(run.fault)
        return self._runs if self.fault is None else None

    def _fail(self, why: str) -> None:
        self.fault = self.fault or f"{why}."
        if self._runs is not None:
            for _, run in self._runs.items():
                run.give_up("was of no use without that on the other video")

    def _arrived(self) -> Iterator[ExpressionReading]:
        """The readings of the frame pairs that have waited longest and are complete."""
        while self._awaited:
            reading = self._reading(self._awaited[0])
            if reading is None:
                return
            self._awaited.popleft()
            yield reading

    def _reading(self, item: _Awaited) -> ExpressionReading | None:
        """What is to be said of a frame pair; None: its rows are still to come."""
        if self.fault is None and item.frame is None:
            return _without(item, "OpenFace was slower than the video: this frame was dropped.")
        if self.fault is None and item.frame is not None and self._runs is not None:
            frame = item.frame
            rows = self._runs.map(lambda run: run.find(frame))
            if self._healthy() is not None:
                if rows.original is not None and rows.deidentified is not None:
                    self._joined, self._joined_at = frame, monotonic()
                    found = Pair(rows.original, rows.deidentified)
                    return joined(item.index, item.time, found, Pair(frame, frame), "online")
                if len(self._awaited) <= _LATEST:
                    return None
                self._fail(f"OpenFace is more than {_LATEST} frames late with its rows")
        return _without(item, self.fault)

    def _last_rows(self, runs: Pair[OpenFaceRun], pushers: int) -> Iterator[ExpressionReading]:
        """Online readings of what was sent, while they come; `pushers` more frames follow.

        The children's input is still open, so that their files are not yet overwritten.
        """
        yield from self._arrived()
        quiet_s = _QUIET_S if pushers or self._program.flushes else 0.0
        quiet_since = monotonic()
        while self._awaited and (pushers or monotonic() - quiet_since < quiet_s):
            if self._healthy() is not None and pushers and all(r.has_room for _, r in runs.items()):
                runs.original.send(self._newest.original)
                runs.deidentified.send(self._newest.deidentified)
                pushers -= 1
            with CORES.waiting():
                sleep(_LOOK_EVERY_S)
            for reading in self._arrived():
                quiet_since = monotonic()
                yield reading
            if not all(run.idle for _, run in runs.items()):
                quiet_since = monotonic()

    def _end(self, runs: Pair[OpenFaceRun]) -> None:
        """Let both children come to their ends."""
        if self._healthy() is not None:
            for _, run in runs.items():
                run.end_input()
            for _, run in runs.items():
                run.wait()
                if run.fault is not None:
                    self._fail(run.fault)
                    return

    def _given_up(self, why: str) -> Iterator[ExpressionReading]:
        """Readings without units of all that still waits."""
        while self._awaited:
            yield _without(self._awaited.popleft(), self.fault or why)

    def _post_processed(self) -> Iterator[ExpressionReading]:
        if self._spool is not None:
            finished = FinishedRows(self._spool, self._paths, self.fault)
            try:
                yield from finished
            except OSError as error:
                self._fail(f"The temporary folder cannot be used: {error.strerror or error}")
            self.fault = self.fault or finished.fault


def _without(item: _Awaited, fault: str | None) -> ExpressionReading:
    return ExpressionReading(item.index, item.time, Pair(None, None), "online", fault)
