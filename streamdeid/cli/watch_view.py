"""A live run → what a person sees while it goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Full, Queue
from threading import Event as Flag
from threading import Thread
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from streamdeid.cli.console import forget_standard_error
from streamdeid.cli.progress import FIGURES, clock, figures, score_kind, score_value
from streamdeid.closing import Closing
from streamdeid.engine.live.status import Event, SideStatus, Status
from streamdeid.report.printable import printable

BARS: Final = "▁▂▃▄▅▆▇█"
HISTORY: Final = 30
REFRESH_S: Final = 1.0
_EVENTS_SHOWN: Final = 5
_MOST_WAITING: Final = 100
_LONGEST_END_S: Final = 2.0


class View(Protocol):
    """Shows a run while its context lasts."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def begin(self, status: Callable[[], Status]) -> None:
        """Frames flow; from now on `status` says how the run stands."""
        ...

    def line(self, status: Status) -> None:
        """Time for a line."""
        ...

    def event(self, event: Event) -> None:
        """Something happened; from any thread."""
        ...


def view_on(console: Console, *, quiet: bool, live: bool) -> View:
    """What shows a run: a display where `live` and there is a terminal, else lines."""
    if quiet:
        return QuietView()
    return LiveView(console) if live and console.is_terminal else PlainView(console)


class QuietView(Closing):
    """Nothing."""

    def close(self) -> None: ...

    def begin(self, status: Callable[[], Status]) -> None: ...

    def line(self, status: Status) -> None: ...

    def event(self, event: Event) -> None: ...


class PlainView(QuietView):
    """A line now and then, as logs want them; what happens at once.

    Lines are written in a thread of their own: a log that takes no more holds up no frame, and
    costs lines.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._waiting: Queue[str | None] = Queue(_MOST_WAITING)
        self._thread = Thread(target=self._write_all, name="view", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(Full):
            self._waiting.put_nowait(None)
            self._thread.join(_LONGEST_END_S)
        if self._thread.is_alive():
            forget_standard_error()

    def line(self, status: Status) -> None:
        parts = [clock(status.wall_s), f"{status.pairs:,} pairs", f"lag {status.lag_s:.1f} s"]
        parts += [f"{name} {side_words(side)}" for name, side in status.sides.items()]
        parts += figures(tuple(status.window))
        self._print(", ".join(parts))

    def event(self, event: Event) -> None:
        self._print(f"{event.time} {printable(event.text)}")

    def _print(self, text: str) -> None:
        with suppress(Full):
            self._waiting.put_nowait(text)

    def _write_all(self) -> None:
        while (text := self._waiting.get()) is not None:
            self._console.print(text, soft_wrap=True, markup=False, highlight=False)


class LiveView(Closing):
    """Both streams, the scores and what happened last, drawn anew every second."""

    def __init__(self, console: Console) -> None:
        self._status: Callable[[], Status] | None = None
        self._events: deque[Event] = deque(maxlen=_EVENTS_SHOWN)
        self._past: dict[str, deque[float]] = {}
        self._over = Flag()
        self._live = Live(
            Text("waiting for frames"), console=console, transient=True, auto_refresh=False
        )
        self._thread = Thread(target=self._redraw, name="view", daemon=True)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        self._thread.start()
        return self

    def close(self) -> None:
        self._over.set()
        self._thread.join(_LONGEST_END_S)
        if not self._thread.is_alive():  # a terminal that is held would hold us
            self._live.stop()

    def begin(self, status: Callable[[], Status]) -> None:
        self._status = status

    def line(self, status: Status) -> None:
        """Nothing: it is seen anyway."""

    def event(self, event: Event) -> None:
        self._events.append(event)

    def _redraw(self) -> None:
        while not self._over.wait(REFRESH_S):
            if self._status is not None:
                self._live.update(self._drawn(self._status()), refresh=True)
            elif self._events:
                self._live.update(Group("waiting for frames", *self._happened()), refresh=True)

    def _drawn(self, status: Status) -> RenderableType:
        head = Text(
            f"watching for {clock(status.wall_s)} · {status.pairs:,} pairs · "
            f"{status.pairs_per_s:.1f} pairs/s · lag {status.lag_s:.1f} s",
            style="bold",
        )
        return Group(
            head,
            _sides_table(status),
            self._scores_table(status),
            *self._happened(),
        )

    def _happened(self) -> list[Text]:
        return [Text(f"{e.time} {printable(e.text)}", style="dim") for e in tuple(self._events)]

    def _scores_table(self, status: Status) -> Table:
        table = Table(box=None, pad_edge=False)
        for column in ("score", "since the start", f"last {status.window_s:g} s", ""):
            table.add_column(column)
        totals = {score.name: score for score in status.totals}
        window = {score.name: score for score in status.window}
        for name, label in FIGURES.items():
            now, whole = window.get(name), totals.get(name)
            if whole is None or whole.value is None:
                continue
            past = self._past.setdefault(name, deque(maxlen=HISTORY))
            if now is not None and now.value is not None:
                past.append(now.value)
            shown = score_value(now) if now is not None and now.value is not None else "–"
            table.add_row(label + score_kind(whole), score_value(whole), shown, sparkline(past))
        return table


def side_words(side: SideStatus) -> str:
    """How one side is, in few words: "up, 29.9 fps, 12 skipped"."""
    words = [] if not side.live else ["up" if side.up else "DOWN"]
    if side.fps_in is not None:
        words.append(f"{side.fps_in:.1f} fps")
    skipped = sum(side.account.skipped.values())
    words.append(f"{side.account.used:,} used")
    if skipped:
        words.append(f"{skipped:,} skipped")
    if side.account.reconnects:
        words.append(f"{side.account.reconnects} reconnects")
    return " ".join(words)


def sparkline(values: deque[float]) -> str:
    """The course of some numbers, between their least and their greatest.

    >>> sparkline(deque([0.0, 1.0, 0.5]))
    '▁█▅'
    """
    if not values:
        return ""
    least, most = min(values), max(values)
    if most == least:
        return BARS[0] * len(values)
    steps = len(BARS) - 1
    return "".join(BARS[round((v - least) / (most - least) * steps)] for v in values)


def _sides_table(status: Status) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("", "stream", "fps in", "frames", "used", "skipped", "reconnects"):
        table.add_column(column)
    for name, side in status.sides.items():
        state = Text("file") if not side.live else Text("up", style="green")
        if not side.up:
            state = Text("DOWN", style="bold red")
        account = side.account
        table.add_row(
            name,
            state,
            "" if side.fps_in is None else f"{side.fps_in:.1f}",
            f"{account.seen:,}",
            f"{account.used:,}",
            _reasons(account.skipped),
            str(account.reconnects),
        )
    return table


def _reasons(skipped: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in skipped.items()) or "0"
