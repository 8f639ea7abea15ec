"""Recorder: keeps the state of a run in a file while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

from streamdeid.closing import Closing
from streamdeid.engine.accounts import Account
from streamdeid.engine.branch import Branch
from streamdeid.engine.checkpoint import StateWriter
from streamdeid.engine.run import Run
from streamdeid.engine.run_state import RunState, moment
from streamdeid.errors import OutputError
from streamdeid.pair import Pair
from streamdeid.stats import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What there was of a run before this process took it up, and what stays the same of it.

    Attributes:
        settings, models, streams: as in `RunState`.
        first_index: of the frame pairs of this process.
        earlier: what was seen before; None: this is the beginning.
        began: of this process, UTC, ISO 8601.
    """

    settings: Mapping[str, Any]
    models: Sequence[Mapping[str, Any]]
    streams: Mapping[str, Any]
    first_index: int
    earlier: RunState | None
    began: str

    def state(
        self,
        branches: Sequence[State],
        pairs: int,
        sides: Pair[Account],
        wall_s: float,
        *,
        complete: bool,
        notes: Sequence[str],
    ) -> RunState:
        """All of the run, of what this process has seen of it."""
        state = RunState(
            settings=self.settings,
            models=self.models,
            streams=self.streams,
            branches=branches,
            pairs=pairs,
            sides=sides,
            first_index=self.first_index,
            next_index=self.first_index + pairs,
            began=self.began,
            written=moment(),
            wall_s=wall_s,
            complete=complete,
            notes=tuple(notes),
        )
        return state if self.earlier is None else continued(self.earlier, state)


def continued(earlier: RunState, later: RunState) -> RunState:
    """`later`, whose metrics hold what `earlier` has seen already, with the counts of both."""
    before = dict(earlier.sides.items())
    return replace(
        later,
        pairs=earlier.pairs + later.pairs,
        sides=Pair(*(before[side] + account for side, account in later.sides.items())),
        first_index=earlier.first_index,
        began=earlier.began,
        wall_s=earlier.wall_s + later.wall_s,
        notes=(*earlier.notes, *later.notes),
    )


class Recorder(Closing):
    """Writes a state every some seconds, and one at the end.

    All branches tell what they have seen after the very same frame pair, without holding each other
    up: the question passes through the lanes as pairs do.

    Args:
        run, root: the run, and its plan.
        course: what else the states say.
        path: of the file.
        every_s: seconds between two states.
        notes: asked for the sentences that hold by now.
    """

    def __init__(
        self,
        run: Run,
        root: Branch[Any, Any],
        course: Course,
        path: Path,
        every_s: float,
        notes: Callable[[], Sequence[str]],
    ) -> None:
        self._run = run
        self._branches = list(root.walk())
        self._course = course
        self._every_s = every_s
        self._notes = notes
        self._began = monotonic()
        self._due = self._began + every_s
        self._file = StateWriter(path, run.notes.append)

    def close(self) -> None:
        """Write what was offered; may be called twice."""
        self._file.close()

    def attend(self) -> None:
        """Write a state if it is time; for the driving thread, between two frame pairs."""
        if monotonic() < self._due:
            return
        self._due = monotonic() + self._every_s
        pairs, sides, notes = self._run.analysed, self._run.accounts(), self._notes()
        wall_s = monotonic() - self._began
        seen: dict[int, State] = {}
        lock = Lock()

        def ask(branch: Branch[Any, Any]) -> None:
            state = branch.to_state()
            with lock:
                seen[id(branch)] = state
                complete = len(seen) == len(self._branches)
            if complete:
                states = [seen[id(branch)] for branch in self._branches]
                self._file.offer(
                    self._course.state(states, pairs, sides, wall_s, complete=False, notes=notes)
                )

        self._run.mark(ask)

    def finish(self, *, complete: bool) -> None:
        """Write the last state, when the run has ended; if it can't be, the run gets a note."""
        sides = self._run.accounts().map(lambda account: account.closed("ended"))
        state = self._course.state(
            [branch.to_state() for branch in self._branches],
            self._run.analysed,
            sides,
            monotonic() - self._began,
            complete=complete,
            notes=self._notes(),
        )
        try:
            self._file.finish(state)
        except OutputError as error:  # the report is not to be lost to it
            self._run.notes.append(str(error))
