"""Statistic: numbers in, a summary of fixed size out, and two summaries make one."""

from __future__ import annotations

from typing import Any, Protocol, Self

from streamdeid.stats.state import State

__all__ = ["State", "Statistic"]


class Statistic(Protocol):
    """What `Running…` classes and the `Reservoir` have in common.

    A stream cut anywhere, summarised in pieces and merged, gives what one pass over it gives.
    Whatever divides raises `NotEnoughSamples` when there is too little data, never 0.0 or NaN.
    """

    @property
    def count(self) -> int:
        """Observations seen."""
        ...

    # (*args: Any, **kwargs: Any) stands for any signature: some take pairs, some take ids too.
    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add a batch of observations along the first axis; it may be empty."""
        ...

    def merge(self, other: Self) -> None:
        """Add all that `other` has seen; `other` stays as it was.

        Raises:
            ValueError: if the two were built with different settings.
        """
        ...

    def to_state(self) -> State:
        """All that was seen, with the settings; shares no memory with the statistic."""
        ...

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The statistic that gave `state`.

        Raises:
            ValueError: if something in it is missing or has a wrong type, shape or range.
        """
        ...
