"""Page: lines in columns on a terminal, a label and what stands for each side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from streamdeid.pair import SIDES

HEADS: Final = {"original": "original", "deidentified": "de-identified"}
LABEL_WIDTH: Final = 34
VALUE_WIDTH: Final = 20
RANGE_WIDTH: Final = 14
CELL_WIDTH: Final = 8
WIDE: Final = LABEL_WIDTH + 2 * (VALUE_WIDTH + RANGE_WIDTH) + 8
"""Columns from which on there is room for a range beside each value."""


class Page:
    """Writes to a console; nothing is lost without colour, and 80 columns are enough."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._wide = console.width >= WIDE

    @property
    def width(self) -> int:
        return self._console.width

    def say(self, text: Text | str = "") -> None:
        """A paragraph."""
        self._console.print(text, markup=False, highlight=False)

    def title(self, text: str, ranges: str = "") -> None:
        """A heading, with the names of the columns beside it or, if it is long, below."""
        heads = {side: Text(head, style="dim") for side, head in HEADS.items()}
        title = Text(text, style="bold")
        self.say()
        if len(text) > LABEL_WIDTH:
            self.say(title)
            title = Text()
        self.row(title, heads, dict.fromkeys(HEADS, ranges), indent=0)

    def row(
        self,
        label: Text | str,
        values: Mapping[str, Text],
        ranges: Mapping[str, str] | None = None,
        indent: int = 2,
    ) -> None:
        """A line of the table; `ranges` are shown where there is room for them."""
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
        self._indented(grid, indent)

    def columns(self, label: Text | str, cells: Sequence[Text | str], indent: int = 2) -> None:
        """A line of a table whose columns are not the two sides: a label and up to five cells.

        A label that is too long for its column stands on a line of its own.
        """
        if cell_len(str(label)) > LABEL_WIDTH - indent:
            self._indented(label if isinstance(label, Text) else Text(label), indent)
            label = ""
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=LABEL_WIDTH - indent)
        for _ in cells:
            grid.add_column(width=CELL_WIDTH, justify="right")
        grid.add_row(label, *cells)
        self._indented(grid, indent)

    def remark(self, text: str) -> None:
        """Small print below a line."""
        self._indented(Text(text, style="dim"), 4)

    def items(self, sentences: Iterable[str]) -> None:
        """A list."""
        grid = Table.grid(padding=(0, 1, 0, 0))
        for sentence in sentences:
            grid.add_row(Text("-"), Text(sentence))
        self._indented(grid, 0)

    def _indented(self, what: Table | Text, indent: int) -> None:
        self._console.print(Padding(what, (0, 0, 0, indent), expand=False), highlight=False)
