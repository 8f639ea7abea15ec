"""Engine events → what a person sees while waiting."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from streamdeid.closing import Closing
from streamdeid.engine.events import OnProgress, Progress
from streamdeid.report.printable import printable
from streamdeid.score import Score

FIGURES: Final[Mapping[str, str]] = {
    "identity.distance_between_sides": "distance between sides",
    "identity.verified_as_source.deidentified": "verified as source",
    "identity.distance_to_source.deidentified": "distance to source",
    "identity_paired.distance_between_sides": "paired distance",
    "expression.mean.pcc": "expression PCC",
}
PLAIN_EVERY_S: Final = 5.0


def display(console: Console, *, quiet: bool) -> AbstractContextManager[OnProgress | None]:
    """What shows a run while its context lasts: a live display, or lines where no terminal is.

    None if `quiet`: where nobody listens, no scores are computed in vain.
    """
    if quiet:
        return nullcontext()
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


class PlainDisplay(Closing):
    """A line every few seconds, as logs want them; messages at once."""

    def __init__(self, console: Console, every_s: float = PLAIN_EVERY_S) -> None:
        self._console = console
        self._every_s = every_s
        self._next_s = monotonic() + every_s

    def close(self) -> None:
        """Nothing: lines stay."""

    def __call__(self, progress: Progress) -> None:
        if progress.message:
            message = printable(progress.message)
            self._console.print(message, soft_wrap=True, markup=False, highlight=False)
        if monotonic() >= self._next_s:
            self._next_s = monotonic() + self._every_s
            parts = [_share(progress), *_pace(progress), *figures(progress.scores)]
            self._console.print(", ".join(parts), soft_wrap=True, markup=False, highlight=False)


class LiveDisplay(Closing):
    """A bar with rate and time left, and the figures as they stand; gone when the run ends."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[pace]}"),
            console=console,
            expand=True,
        )
        self._task = self._bars.add_task("evaluating", total=None, pace="loading the models")
        self._figures = Text(style="dim", overflow="ellipsis", no_wrap=True)
        self._live = Live(Group(self._bars, self._figures), console=console, transient=True)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def close(self) -> None:
        self._live.stop()

    def __call__(self, progress: Progress) -> None:
        if progress.message:
            self._live.console.print(printable(progress.message), markup=False, highlight=False)
        self._bars.update(
            self._task,
            total=progress.duration_s,
            completed=progress.time_s,
            pace=" · ".join(_pace(progress)),
        )
        self._figures.plain = " · ".join(figures(progress.scores))


def figures(scores: tuple[Score, ...]) -> list[str]:
    """The few scores worth watching, in words."""
    found = {score.name: score for score in scores if score.value is not None}
    return [
        f"{label}{score_kind(found[name])} {score_value(found[name])}"
        for name, label in FIGURES.items()
        if name in found
    ]


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any: 0:07, 12:30, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _share(progress: Progress) -> str:
    if not progress.duration_s:
        return f"{clock(progress.time_s)} of video"
    share = min(progress.time_s / progress.duration_s, 1.0)
    return f"{clock(progress.time_s)} of {clock(progress.duration_s)} ({share:.0%})"


def _pace(progress: Progress) -> list[str]:
    parts = [f"{progress.pairs:,} pairs", f"{progress.pairs_per_s:.1f} pairs/s"]
    if progress.left_s is not None:
        parts.append(f"{clock(progress.left_s)} left")
    return parts


def score_kind(score: Score) -> str:
    """OpenFace's values on the way are others than those at the end."""
    return " (online values)" if score.details.get("values") == "online" else ""


def score_value(score: Score) -> str:
    """A score that has a value, as it is shown: 12.3%, or 0.456."""
    return f"{score.value:.1%}" if score.unit == "rate" else f"{score.value:.3f}"
