"""Metric: observations in, scores out, and two metrics make one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, Self, TypeAlias, TypeVar

from streamdeid.score import Score
from streamdeid.stats import State

__all__ = ["Cell", "Metric", "State"]

Item = TypeVar("Item", contravariant=True)

Cell: TypeAlias = float | int | bool | None
"""What a row of the timeline holds in one column; None where there is nothing to say."""


class Metric(Protocol[Item]):
    """A measure of one kind of observation, over as many of them as there are.

    A metric is built from its settings (references, thresholds) and keeps what it has seen in
    statistics of fixed size. Settings are not restored from a state but checked against it: build
    the metric as before, then `load_state`.
    """

    name: ClassVar[str]
    live: ClassVar[bool]
    """`result` takes less than some milliseconds, so that it can be watched while a run goes on."""

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns that this metric adds to each row of the timeline, known before any item."""
        ...

    def columns(self, item: Item) -> Mapping[str, Cell]:
        """What `item` adds to its row of the timeline: exactly `column_names`. Changes nothing.

        Empty for an item that is no row's, because another one has told of this frame pair.
        """
        ...

    def update(self, item: Item) -> None:
        """Add one observation."""
        ...

    def merge(self, other: Self) -> None:
        """Add all that `other` has seen, which came later in time; `other` stays as it was.

        Raises:
            ValueError: if the two were built with different settings.
        """
        ...

    def result(self) -> Sequence[Score]:
        """The scores of what was seen so far; may be asked for at any time, and changes nothing.

        The same names every time: where data or a reference is missing, a score has the value None
        and says why. It never raises for lack of data.
        """
        ...

    def to_state(self) -> State:
        """All that was seen, and the settings; shares no memory with the metric."""
        ...

    def load_state(self, state: State) -> None:
        """Take over what `state` has seen in place of what this metric has seen.

        Raises:
            ValueError: if it does not fit or comes of other settings; the metric stays as it was.
        """
        ...
