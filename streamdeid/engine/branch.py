"""Branch: a stage, the metrics that read what it sees, and the branches that go on from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from threading import Lock
from time import perf_counter
from typing import Any, Final, Generic, TypeVar

from streamdeid.engine.windows import Panes, merged
from streamdeid.metrics.batched import Batched
from streamdeid.metrics.metric import Metric
from streamdeid.report.timeline import Timeline
from streamdeid.score import Score
from streamdeid.stages.stage import RunsProgram, Stage
from streamdeid.stats import State, StateReader

_HANDFUL: Final = 64

In = TypeVar("In")
Out = TypeVar("Out")


class Branch(Generic[In, Out]):
    """One step of an analysis and everything that hangs on it.

    A branch is a plan until it is run; `engine.lanes` runs each on a thread of its own.

    Args:
        stage: turns items into observations.
        metrics: each is updated with every observation.
        branches: each is handed every observation.

    Attributes:
        seconds: wall time spent in the stage and the metrics so far.
    """

    def __init__(
        self,
        stage: Stage[In, Out],
        metrics: Sequence[Metric[Out]] = (),
        branches: Sequence[Branch[Out, Any]] = (),
    ) -> None:
        self.stage = stage
        self.metrics = tuple(metrics)
        self.branches = tuple(branches)
        self.seconds = 0.0
        self._rows: Timeline | None = None
        self._told = [0] * len(self.metrics)  # rows of which each metric has told its part
        self._panes: list[Panes] = []
        self._lock = Lock()  # between update and result: figures are read while the run goes on

    def step(self, item: In) -> list[Out]:
        """Push one item through the stage and into the metrics; give the observations."""
        return self._observe(lambda: self.stage.push(item))

    def flush(self) -> Iterator[list[Out]]:
        """As `step`, with what the stage held back: in handfuls, for it may be a whole video's."""
        held = iter(self.stage.flush())
        while seen := self._observe(lambda: islice(held, _HANDFUL)):
            yield seen
        with self._lock:
            for metric in self.metrics:
                if isinstance(metric, Batched):
                    metric.settle()  # nothing more comes: figures need no settled copy any more

    def scores(self, *, live: bool = False) -> list[Score]:
        """What the metrics say now; may be asked from any thread.

        Args:
            live: only those whose answer does not hold up the run.
        """
        asked = [metric for metric in self.metrics if metric.live or not live]
        with self._lock:
            return [score for metric in asked for score in metric.result()]

    def keep_panes(self, spans: int) -> None:
        """From now on keep panes of so many spans, too; call it before anything was seen."""
        self._panes = [Panes(self.metrics) for _ in range(spans)]

    def turn_pane(self, span: int, times: int = 1) -> None:
        """Begin a new pane of one span, of those numbered from 0; after some that stay empty."""
        with self._lock:
            for _ in range(times):
                self._panes[span].turn()

    def window(self, span: int) -> list[Metric[Any]]:
        """What the live metrics have seen of late, within one span; from any thread."""
        with self._lock:
            panes = self._panes[span].snapshot()
        return merged(panes)

    def to_state(self) -> State:
        """What the metrics have seen; may be asked from any thread."""
        with self._lock:
            metrics = [metric.to_state() for metric in self.metrics]
        return {"stage": self.stage.name, "metrics": {str(n): s for n, s in enumerate(metrics)}}

    def load_state(self, state: State) -> None:
        """Let the metrics take over what others have seen, in place of what they have.

        Raises:
            ValueError: it does not fit, or comes of other settings.
        """
        read = StateReader(state, f"the branch {self.stage.name}")
        read.expect("stage", self.stage.name)
        states = StateReader(read.child("metrics"), f"the branch {self.stage.name}")
        with self._lock:
            for number, metric in enumerate(self.metrics):
                metric.load_state(states.child(str(number)))

    def merge(self, other: Branch[In, Out]) -> None:
        """Let the metrics add what those of `other`, a branch of the same plan, have seen later.

        Raises:
            ValueError: they were built with different settings.
        """
        for metric, later in zip(self.metrics, other.metrics, strict=True):
            metric.merge(later)

    def record_rows(self, timeline: Timeline) -> None:
        """Give the columns of each metric that has some to `timeline`, a part of a row each.

        Each counts the rows by itself: a stage may give several observations of one frame pair,
        early and late ones, and a metric has columns for one kind of them only.
        """
        self._rows = timeline

    def programs(self) -> list[RunsProgram]:
        """The stages of this branch and below that have a program run beside us."""
        return [b.stage for b in self.walk() if isinstance(b.stage, RunsProgram)]

    def faults(self) -> list[str]:
        """What went wrong with those programs."""
        return [stage.fault for stage in self.programs() if stage.fault is not None]

    def close(self) -> None:
        """End all that the stages have running."""
        for stage in self.programs():
            stage.close()

    def walk(self) -> Iterator[Branch[Any, Any]]:
        """This branch and all that hang on it, parents first."""
        yield self
        for branch in self.branches:
            yield from branch.walk()

    def _observe(self, look: Callable[[], Iterable[Out]]) -> list[Out]:
        begin = perf_counter()
        seen = list(look())
        with self._lock:
            for observation in seen:
                for metric in self.metrics:
                    metric.update(observation)
                for panes in self._panes:
                    panes.update(observation)
        if self._rows is not None:
            for observation in seen:
                self._write_row(observation, self._rows)
        self.seconds += perf_counter() - begin
        return seen

    def _write_row(self, observation: Out, rows: Timeline) -> None:
        for number, metric in enumerate(self.metrics):
            cells = metric.columns(observation)
            if cells:
                rows.append(self._told[number], cells)
                self._told[number] += 1
