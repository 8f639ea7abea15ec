"""Reports on a terminal: what a person reads first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from streamdeid.pair import SIDES
from streamdeid.report.report import Report
from streamdeid.score import Score

HEADS: Final = {"original": "original", "deidentified": "de-identified"}
TITLES: Final = {
    "identity": "Identity, at the face found in each video",
    "identity_paired": "Identity, where the original's face is (paired alignment)",
}
LABELS: Final = {
    "rms_distance_all_pairs": "RMS distance, all frame pairs",
}
LABEL_WIDTH: Final = 38
VALUE_WIDTH: Final = 18
RANGE_WIDTH: Final = 14
WIDE: Final = LABEL_WIDTH + 2 * (VALUE_WIDTH + RANGE_WIDTH) + 8


def show(report: Report, console: Console) -> None:
    """Print `report`; nothing is lost without colour, and 80 columns are enough."""
    page = _Page(console)
    if not report.complete:
        page.say(Text("INCOMPLETE: this is what was seen before the end.", style="bold red"))
        page.say()
    page.streams(report.streams)
    for group, lines in _grouped(report.scores).items():
        page.title(TITLES.get(group, _words(group).capitalize()))
        for kind, sides in lines.items():
            page.scores(LABELS.get(kind, _words(kind)), sides)
    if report.coverage:
        page.title("Frames")
        for label, counts in _counts(report.coverage):
            page.row(label, {side: Text(f"{count:,}") for side, count in counts.items()})
    page.speed(report.performance)
    page.notes(report.notes)


class _Page:
    """Lines in columns: a label, and what stands for each side."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._wide = console.width >= WIDE  # room for the quantiles beside the means

    def say(self, text: Text | str = "") -> None:
        self._console.print(text, markup=False, highlight=False)

    def title(self, text: str) -> None:
        """A heading, with the names of the columns beside it or, if it is long, below."""
        heads = {side: Text(head, style="dim") for side, head in HEADS.items()}
        title = Text(text, style="bold")
        self.say()
        if len(text) > LABEL_WIDTH:
            self.say(title)
            title = Text()
        self.row(title, heads, dict.fromkeys(HEADS, "5 … 95 %"), indent=0)

    def row(
        self,
        label: Text | str,
        values: Mapping[str, Text],
        ranges: Mapping[str, str] | None = None,
        indent: int = 2,
    ) -> None:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=LABEL_WIDTH - indent)
        cells: list[Text | str] = [label]
        for side in SIDES:
            grid.add_column(width=VALUE_WIDTH)
            cells.append(values.get(side, ""))
            if self._wide:
                grid.add_column(width=RANGE_WIDTH)
                cells.append(Text((ranges or {}).get(side, ""), style="dim"))
        grid.add_row(*cells)
        self._console.print(Padding(grid, (0, 0, 0, indent), expand=False), highlight=False)

    def scores(self, label: str, sides: Mapping[str, Score]) -> None:
        """One kind of score; where there is no value, the reason why not."""
        reasons = {side: score.reason for side, score in sides.items() if score.reason}
        if all(score.value is None for score in sides.values()) and len(set(reasons.values())) == 1:
            self._reason(label, next(iter(reasons.values())))
            return
        values = {_column(side): _value(score) for side, score in sides.items()}
        ranges = {_column(side): _range(score) for side, score in sides.items()}
        self.row(label, values, ranges)
        for side, reason in reasons.items():
            self._reason("", f"{HEADS[side]}: {reason}" if len(sides) > 1 else reason)

    def streams(self, streams: Mapping[str, Any]) -> None:
        for side in SIDES:
            stream = streams.get(side) or {}
            head, uri = f"{HEADS[side]:15}", str(stream.get("uri", ""))
            facts = ", ".join(_stream_facts(stream))
            fits = cell_len(head + uri + facts) + 2 <= self._console.width
            text = Text(head, style="dim").append(uri, style="not dim")
            self.say(text.append(f"{'  ' if fits else chr(10) + ' ' * len(head)}{facts}"))

    def speed(self, performance: Mapping[str, Any]) -> None:
        formats = {
            "pairs_per_s": "{:.1f} frame pairs/s",
            "wall_s": "{:.1f} s in all",
            "peak_rss_mb": "{:.0f} MB of memory at most",
        }
        facts = [
            words.format(performance[name])
            for name, words in formats.items()
            if performance.get(name) is not None
        ]
        if facts:
            self.say()
            self.say(Text("Speed  ", style="bold").append(", ".join(facts), style="not bold"))

    def notes(self, notes: Iterable[str]) -> None:
        grid = Table.grid(padding=(0, 1, 0, 0))
        for note in notes:
            grid.add_row(Text("-"), Text(note))
        if grid.row_count:
            self.say()
            self.say(Text("Notes", style="bold"))
            self._console.print(grid, highlight=False)

    def _reason(self, label: str, reason: str) -> None:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=LABEL_WIDTH - 2)
        grid.add_column()
        grid.add_row(label, Text(reason, style="dim"))
        self._console.print(Padding(grid, (0, 0, 0, 2), expand=False), highlight=False)


def _grouped(scores: Iterable[Score]) -> dict[str, dict[str, dict[str, Score]]]:
    """Group → kind → side; the side is "" of what is said of both videos together."""
    groups: dict[str, dict[str, dict[str, Score]]] = {}
    for score in scores:
        group, _, rest = score.name.partition(".")
        kind, _, side = rest.rpartition(".")
        if side not in SIDES:
            kind, side = rest, ""
        groups.setdefault(group, {}).setdefault(kind, {})[side] = score
    return groups


def _counts(coverage: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, int]]]:
    """Counts of each side by name; a count of both together stands under the second."""
    rows: dict[str, dict[str, int]] = {}
    for key, entry in coverage.items():
        if key in SIDES:
            for name, count in entry.items():
                rows.setdefault(name, {})[key] = count
        elif isinstance(entry, Mapping):
            rows[key] = {side: entry[side] for side in SIDES if side in entry}
        else:
            rows[key] = {SIDES[-1]: entry}
    for name, counts in rows.items():
        numbers = {side: count for side, count in counts.items() if isinstance(count, int | float)}
        if numbers:
            yield _words(name), numbers


def _stream_facts(stream: Mapping[str, Any]) -> Iterator[str]:
    if stream.get("width"):
        yield f"{stream['width']}×{stream['height']}"
    if stream.get("frame_rate"):
        yield f"{stream['frame_rate']:.4g} fps"
    if stream.get("duration"):
        yield f"{stream['duration']:.1f} s"
    if stream.get("codec"):
        yield str(stream["codec"])


def _value(score: Score) -> Text:
    if score.value is None:
        return Text("—", style="dim")
    if score.unit == "rate":
        return Text(f"{score.value:.1%}", style="bold")
    text = Text(f"{score.value:.3f}", style="bold")
    if score.std is not None:
        text.append(f" ± {score.std:.3f}", style="not bold")
    return text


def _range(score: Score) -> str:
    low, high = score.details.get("q05"), score.details.get("q95")
    return "" if low is None or high is None else f"{low:.2f} … {high:.2f}"


def _column(side: str) -> str:
    """What is said of both sides stands under the de-identified one: it is judged by it."""
    return side or SIDES[-1]


def _words(name: str) -> str:
    return name.replace("_", " ").replace("deidentified", "de-identified")
