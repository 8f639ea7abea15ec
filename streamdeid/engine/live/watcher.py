"""Watcher: looks at a run while it goes on, and tells of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from threading import Lock
from time import monotonic
from typing import Any, Final, Literal

from streamdeid.engine.accounts import Account
from streamdeid.engine.branch import Branch
from streamdeid.engine.live.alerts import Alert, Watchman
from streamdeid.engine.live.status import Event, SideStatus, Status
from streamdeid.engine.run import Run
from streamdeid.engine.run_state import RunState, moment
from streamdeid.engine.windows import PANES
from streamdeid.errors import SettingsError
from streamdeid.metrics.coverage import Coverage
from streamdeid.pair import SIDES, Pair
from streamdeid.score import Score
from streamdeid.sources.connecting import Transport
from streamdeid.sources.health import Health, WhenBehind
from streamdeid.sources.live import LiveSource
from streamdeid.sources.live_pairing import LivePairs
from streamdeid.sources.pairing import FramePairs
from streamdeid.sources.source import Source

LOOK_EVERY_S: Final = 0.5
RATE_S: Final = 5.0
MOST_EVENTS: Final = 1000
"""That wait for the next line; the oldest go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How a live run is to be watched.

    Attributes:
        window_s: span of the rolling scores.
        every_s: between two lines.
        duration_s: until the run ends; None: when the streams do.
        give_up_after_s: without a frame of a stream, until the run ends; None: never.
        transport: what RTSP sends pictures by.
        when_behind: what becomes of pairs that come faster than they can be analysed.
        alerts: to be told of.

    Raises:
        SettingsError: a time is not above 0.
    """

    window_s: float = 60.0
    every_s: float = 10.0
    duration_s: float | None = None
    give_up_after_s: float | None = 600.0
    transport: Transport = "tcp"
    when_behind: WhenBehind = "drop-oldest"
    alerts: tuple[Alert, ...] = ()

    def __post_init__(self) -> None:
        for name in ("window_s", "every_s", "duration_s", "give_up_after_s"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                flag = "--" + name.removesuffix("_s").replace("_", "-")
                raise SettingsError(f"{flag} is {value:g}: it must be above 0.")


class Watcher:
    """Turns panes, judges alerts, notices streams that go down, and tells how the run stands.

    Its `attend` is called by the thread that drives the run, between two frame pairs; `status` may
    be asked from any thread.

    Args:
        run, root: the run and its plan, which keeps panes from now on.
        sources, pairs: what it reads.
        watching: the spans of time, and the alerts.
        earlier: what was seen before this process took the run up.
        on_line: called with the status every `every_s`, and at the end.
        on_event: called with each event at once.

    Attributes:
        pairs: what the run reads.
    """

    def __init__(
        self,
        run: Run,
        root: Branch[Any, Any],
        sources: Pair[Source],
        pairs: FramePairs,
        watching: Watching,
        *,
        earlier: RunState | None,
        on_line: Callable[[Status], None],
        on_event: Callable[[Event], None],
    ) -> None:
        self._run = run
        self._branches = list(root.walk())
        self._sources = sources
        self.pairs = pairs
        self._watching = watching
        self._earlier = earlier
        self._on_line = on_line
        self._on_event = on_event
        self._watchmen = [Watchman(alert) for alert in watching.alerts]
        spans = {watching.window_s, *(alert.over_s for alert in watching.alerts)}
        self._spans = {span: number for number, span in enumerate(sorted(spans))}
        self._turns = dict.fromkeys(spans, 0)
        for branch in self._branches:
            branch.keep_panes(len(spans))
        self._live = any(isinstance(source, LiveSource) for _, source in sources.items())
        self._down: dict[str, bool] = {}
        self._lock = Lock()
        self._events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self._noted = 0
        self._began = self._line_at = self._look_at = monotonic()
        self._line_at += watching.every_s
        self._rate: deque[tuple[float, int]] = deque()  # moment, pairs

    def attend(self) -> None:
        """Do what is due."""
        now = monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            self._look(now)
        clock = now - self._began if self._live else self._run.time_s
        for span_s, number in self._spans.items():
            # Several at once after a pause, or where panes are shorter than a pair takes.
            times = int(clock * PANES / span_s) - self._turns[span_s]
            if times > 0:
                self._turns[span_s] += times
                self._judge(span_s, clock)
                self._run.mark(partial(Branch.turn_pane, span=number, times=min(times, PANES)))
        if now >= self._line_at:
            self._line_at += self._watching.every_s
            if self._line_at <= now:  # this thread was held up: no lines in a burst
                self._line_at = now + self._watching.every_s
            self._on_line(self.status(events=True))
        duration_s = self._watching.duration_s
        if duration_s is not None and now - self._began >= duration_s:
            self._run.finish()

    def end(self) -> None:
        """Tell the last status; the run has ended."""
        self._tell_notes()
        self._on_line(self.status(events=True, last=True))

    def raised(self) -> dict[str, bool]:
        """The alerts, and which of them are raised; from any thread."""
        return {str(watchman.alert): watchman.raised for watchman in self._watchmen}

    def tell(self, kind: str, text: str, **details: Any) -> None:
        """Have something happened; from any thread."""
        event = Event(moment(), kind, text, details)
        with self._lock:
            self._events.append(event)
        self._on_event(event)

    def status(self, *, events: bool = False, last: bool = False) -> Status:
        """How the run stands.

        Args:
            events: take those that happened since they were last taken.
            last: the run has ended.
        """
        told: tuple[Event, ...] = ()
        if events:
            with self._lock:
                told = tuple(self._events)
                self._events.clear()
        window, faces = self._window(self._watching.window_s)
        earlier = self._earlier
        return Status(
            time=moment(),
            wall_s=monotonic() - self._began,
            time_s=self._run.time_s,
            pairs=self._run.analysed + (earlier.pairs if earlier else 0),
            pairs_per_s=self._pairs_per_s(),
            lag_s=self._run.lag_s,
            blocks=self._run.blocks if self._run.crowding == "blocks" else None,
            sides=self.sides(last=last),
            alignment=alignment_record(self.pairs),
            totals=self._run.scores(live=True),
            window_s=self._watching.window_s,
            window=window,
            window_faces=faces,
            events=told,
            last=last,
        )

    def sides(self, *, last: bool = False) -> Pair[SideStatus]:
        """How both streams are, and what became of their frames."""
        accounts = self._run.accounts()
        before = self._earlier.sides if self._earlier else Pair(Account(), Account())
        sides = Pair(
            SideStatus.of(before.original + accounts.original, _health(self._sources.original)),
            SideStatus.of(
                before.deidentified + accounts.deidentified, _health(self._sources.deidentified)
            ),
        )
        if not last:
            return sides
        # Streams are closed by now: they are told as they were.
        down = Pair(*(self._down.get(name, False) for name in SIDES))
        return Pair(
            sides.original.closed(up=not down.original),
            sides.deidentified.closed(up=not down.deidentified),
        )

    @staticmethod
    def check_alerts(root: Branch[Any, Any], alerts: Sequence[Alert]) -> None:
        """Find out whether what alerts ask is told of a window.

        Raises:
            SettingsError: one could never be raised.
        """
        told = {score.name for branch in root.walk() for score in branch.scores(live=True)}
        for alert in alerts:
            if alert.condition.name not in told:
                raise SettingsError(
                    f"--alert '{alert}' could never be raised: {alert.condition.name} is not told "
                    "of a window. Ask for it at the end, by --fail-if."
                )

    def _window(self, span_s: float) -> tuple[list[Score], dict[str, Any]]:
        number = self._spans[span_s]
        metrics = [metric for branch in self._branches for metric in branch.window(number)]
        faces = [metric.to_record() for metric in metrics if isinstance(metric, Coverage)]
        return [s for metric in metrics for s in metric.result()], faces[0] if faces else {}

    def _judge(self, span_s: float, clock: float) -> None:
        """Judge the alerts that look back so far, once a whole span has been seen."""
        watchmen = [one for one in self._watchmen if one.alert.over_s == span_s]
        if not watchmen or self._turns[span_s] < PANES:
            return
        scores, _ = self._window(span_s)
        for watchman in watchmen:
            alert, score = watchman.alert, watchman.judge(scores, clock)
            if score is None:
                continue
            details = {"alert": str(alert), "value": score.value, "count": score.count}
            if watchman.raised:
                text = f"ALERT: {alert}: it is {score.value:.6g} (count {score.count})."
                self.tell("alert", text, **details)
            else:
                self.tell("alert over", f"The alert {alert} is over.", **details)

    def _look(self, now: float) -> None:
        """Notice what has changed since the last look."""
        self._rate.append((now, self._run.analysed))
        while len(self._rate) > 2 and now - self._rate[0][0] > RATE_S:
            self._rate.popleft()
        for name, side in self.sides().items():
            was_down = self._down.setdefault(name, False)
            seen = side.account.seen > 0
            if side.live and seen and side.up == was_down:
                self._down[name] = not side.up
                what = "gives frames again" if side.up else "gives no frames"
                self.tell("up" if side.up else "down", f"The {name} stream {what}.", side=name)
        self._tell_notes()

    def _tell_notes(self) -> None:
        for note in self._run.notes[self._noted :]:
            self._noted += 1
            self.tell("note", note)

    def _pairs_per_s(self) -> float:
        with suppress(IndexError):  # another thread may be looking
            (since, before), (until, after) = self._rate[0], self._rate[-1]
            return (after - before) / (until - since) if until > since else 0.0
        return 0.0


def alignment_record(pairs: FramePairs) -> dict[str, Any] | None:
    """How two sides of which one is live are aligned, as JSON values; None for two files."""
    if not isinstance(pairs, LivePairs):
        return None
    alignment = pairs.alignment()
    fits: Mapping[str, Any] = {
        side: None if fit is None else asdict(fit) for side, fit in alignment.fits.items()
    }
    kind: Literal["sender", "arrival", "first frame"] | None = alignment.clock
    return {"clock": kind, "gap_s": alignment.gap_s, "fits": fits}


def _health(source: Source) -> Health | None:
    return source.health() if isinstance(source, LiveSource) else None
