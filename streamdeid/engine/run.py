"""Run: the loop that drives frame pairs through a plan, and what it knows when it ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any, Final

from streamdeid.engine.accounts import Account, accounts_of, coverage_of
from streamdeid.engine.branch import Branch
from streamdeid.engine.events import OnProgress, Progress
from streamdeid.engine.lanes import DEPTH, RESET, Lanes, Mark
from streamdeid.engine.read_ahead import Crowding, ReadAhead
from streamdeid.errors import PairingError, StreamdeidError
from streamdeid.frame import FramePair
from streamdeid.memory import give_back, peak_rss_mb
from streamdeid.pair import Pair
from streamdeid.report.timeline import Timeline
from streamdeid.score import Score
from streamdeid.sources.pairing import FramePairs

_AHEAD: Final = 1  # frame pairs decoded before they are asked for; more are no faster
_QUEUE_BYTES: Final = 64 * 2**20  # of pictures that wait in one place: 5 pairs of 1920x1080
_CROWD: Final = 30  # a second: frames that were held for a common clock come all at once
_BLOCK: Final = 160  # pairs: I3D tells something of 64 that follow each other, and of each 8 more
_BLOCK_BYTES: Final = 512 * 2**20  # 146 pairs of 640x480, 43 of 1920x1080
_LOOK_EVERY_S: Final = 0.1  # for a stop, while no pair comes
_TELL_EVERY_S: Final = 0.5
_TELL_SHARE: Final = 20  # telling takes a twentieth of the time at most


class Run:
    """Drives frame pairs through a plan.

    Args:
        root: the plan.
        pairs: the two videos, joined; nobody has iterated it yet.
        duration: seconds of the original that will be covered; None if nobody knows.
        began: `perf_counter` when the evaluation began.
        on_progress: called in the driving thread.
        stop: set it to end early.
        crowding: what to do when pairs come faster than they are analysed.

    Attributes:
        attend: called in the driving thread before each pair, and every tenth of a second while
            none comes.
        notes: sentences about what broke off the run.
        analysed: pairs so far.
        time_s: seconds of the original that they cover.
        lag_s: seconds that the last pair had waited to be analysed.
        blocks: how often pairs were left out between two blocks.
        enough: whoever attends has ended it.
        crowding: as given.
    """

    def __init__(
        self,
        root: Branch[FramePair, Any],
        pairs: FramePairs,
        *,
        duration: float | None,
        began: float,
        on_progress: OnProgress | None,
        stop: Event,
        crowding: Crowding = "wait",
    ) -> None:
        self.attend: Callable[[], None] = _nothing
        self.notes: list[str] = []
        self.analysed = 0
        self.time_s = 0.0
        self.lag_s = 0.0
        self.blocks = 0
        self.enough = False
        self._root = root
        self._pairs = pairs
        self._duration = duration
        self._began = self._flowing = self._ended = began
        self._tell_at = began + _TELL_EVERY_S
        self._on_progress = on_progress
        self._stop = stop
        self.crowding: Crowding = crowding
        self._behind = 0
        self._marks: deque[Mark] = deque()
        self._waited_s = 0.0

    def drive(self, rows: Path | None = None, *, append: bool = False) -> bool:
        """Analyse all pairs; write their rows to the file `rows`, or `append` them.

        Returns:
            Whether both videos were analysed to their ends.

        Raises:
            PairingError: the videos have no moment in common.
            OutputError: `rows` cannot be opened.
        """
        stack = ExitStack()
        timeline = None if rows is None else stack.enter_context(self._open_rows(rows, append))
        try:
            with stack:
                complete = self._analyse(timeline)
            self._note_what_was_left_out()
            return complete
        except PairingError:
            raise
        except StreamdeidError as error:
            self.notes.append(f"The run broke off: {error}")
        except Exception as error:  # noqa: BLE001  what was computed must not be lost to a fault
            self.notes.append(f"The run broke off by an error inside: {error!r}")
        finally:
            self._ended = perf_counter()
        return False

    def finish(self) -> None:
        """End as if the videos ended here; for whoever attends."""
        self.enough = True

    def mark(self, do: Callable[[Branch[Any, Any]], None]) -> None:
        """Call `do` with every branch, in its thread, after the pairs analysed so far."""
        self._marks.append(Mark(do))

    def accounts(self) -> Pair[Account]:
        """What became of each side's frames so far."""
        return accounts_of(self._pairs, self.analysed, self._behind)

    def scores(self, *, live: bool = False) -> list[Score]:
        """What the metrics of all branches say now; of `live` ones, those that say it at once."""
        return [score for branch in self._root.walk() for score in branch.scores(live=live)]

    def coverage(self) -> dict[str, Any]:
        """Which frames were read, which were paired, and in which of them a face was found."""
        ended = self.accounts().map(lambda account: account.closed("ended"))
        return coverage_of(self._root, self.analysed, ended)

    def performance(self) -> dict[str, Any]:
        """How long it took, and where; stages work side by side, so theirs do not add up.

        `wall_s` is all of it; `pairs_per_s` is the pace once the models were loaded.
        """
        analysis = self._ended - self._flowing
        seconds = {"loading": self._flowing - self._began, "waiting_for_frames": self._waited_s}
        for branch in self._root.walk():
            name = branch.stage.name
            seconds[name] = seconds.get(name, 0.0) + branch.seconds
        return {
            "wall_s": self._ended - self._began,
            "pairs_per_s": self.analysed / analysis if analysis > 0 else 0.0,
            "peak_rss_mb": peak_rss_mb(),
            "seconds": seconds,
        }

    def _open_rows(self, path: Path, append: bool) -> Timeline:
        """The timeline, entered by nobody yet; every metric that has columns gives it a part."""
        branches = list(self._root.walk())
        telling = [m for branch in branches for m in branch.metrics if m.column_names]
        columns = [name for metric in telling for name in metric.column_names]
        timeline = Timeline(path, columns, parts=len(telling) + 1, append=append)
        for branch in branches:
            branch.record_rows(timeline)
        return timeline

    def _analyse(self, timeline: Timeline | None) -> bool:
        self._flowing = perf_counter()
        stopped = False
        deep = self._depth(DEPTH)
        with (
            Lanes(self._root, deep) as lanes,
            ReadAhead(self._pairs, self._ahead(), self.crowding) as ahead,
        ):
            try:
                for pair in ahead.or_none(_LOOK_EVERY_S):
                    self._behind = ahead.dropped
                    if self._stop.is_set():
                        stopped = True
                        self.notes.append("The run was stopped before the end.")
                    else:
                        self._tell()
                        self.attend()
                    if stopped or self.enough:
                        self._pairs.stop()
                        break
                    if pair is not None:
                        self.blocks += ahead.after_gap
                        if any(frame.after_gap for _, frame in pair.items()) or ahead.after_gap:
                            self._marks.append(RESET)
                    if not self._deliver(lanes, pair) or pair is None:
                        continue
                    self.time_s, self.lag_s = float(self._pairs.time(pair)), ahead.age_s
                    if timeline is not None:
                        timeline.append(self.analysed, {"time_s": self.time_s})
                    self.analysed += 1
            finally:
                self._waited_s = ahead.waited_s
            if stopped or self.enough:
                for stage in self._root.programs():
                    stage.hurry()
            lanes.finish()
        self._behind = ahead.dropped
        # The last figures, of which some take tens of MiB, then find room in what the stages leave.
        give_back()
        return not stopped

    def _deliver(self, lanes: Lanes, pair: FramePair | None) -> bool:
        """Push the marks and then the pair, if there is one.

        Returns:
            Whether there was room for all of it before the run is to end: a stage may wait long
            for a program that hangs.
        """
        while True:
            item = self._marks[0] if self._marks else pair
            if item is None:
                return True
            if lanes.push(item, _LOOK_EVERY_S):
                if item is pair:
                    return True
                self._marks.popleft()
            elif self._stop.is_set() or self.enough:
                return False
            else:
                self._tell()
                self.attend()

    def _note_what_was_left_out(self) -> None:
        behind = self.accounts().original.skipped.get("behind", 0)
        if behind:
            blocks = f"between blocks of pairs (blocks: {self.blocks + 1})"
            how = blocks if self.crowding == "blocks" else "one by one"
            self.notes.append(
                f"The analysis was slower than the streams: {behind} original frames were left "
                f"out, {how}."
            )

    def _ahead(self) -> int:
        """How many frame pairs may wait to be analysed."""
        if self.crowding != "blocks":
            return self._depth(_AHEAD if self.crowding == "wait" else _CROWD)
        return max(min(_BLOCK, _BLOCK_BYTES // max(self._pairs.bytes_each, 1)), 1)

    def _depth(self, most: int) -> int:
        """How many frame pairs may wait in one place: fewer of very large ones, and at least 1."""
        return max(min(most, _QUEUE_BYTES // max(self._pairs.bytes_each, 1)), 1)

    def _tell(self) -> None:
        now = perf_counter()
        if self._on_progress is None or now < self._tell_at:
            return
        self._on_progress(
            Progress(
                self.analysed,
                self.time_s,
                self._duration,
                now - self._began,
                tuple(self.scores(live=True)),
            )
        )
        told = perf_counter()
        self._tell_at = told + max(_TELL_EVERY_S, _TELL_SHARE * (told - now))


def _nothing() -> None:
    """What nobody who attends does."""
