"""BothSides: a stage built twice, one for each side of a Pair."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from streamdeid.cores import CORES
from streamdeid.pair import Pair
from streamdeid.stages.stage import Stage

In = TypeVar("In")
Out = TypeVar("Out")


class BothSides(Generic[In, Out]):
    """Does the same to both videos, side by side where two cores are free.

    The two stages share nothing but what `build` gives both of them, such as a model's session.

    Args:
        build: makes the stage of one side. Both must let out equally many items for each one
            that they take.
    """

    def __init__(self, build: Callable[[], Stage[In, Out]]) -> None:
        self._stages = Pair(build(), build())
        self.name = self._stages.original.name
        self.delay = self._stages.original.delay
        self.stride = self._stages.original.stride

    def push(self, item: Pair[In]) -> Iterable[Pair[Out]]:
        """As the stages do, on both sides.

        Raises:
            ValueError: one side let out more than the other.
        """
        stages = self._stages
        return self._side_by_side(
            lambda: list(stages.original.push(item.original)),
            lambda: list(stages.deidentified.push(item.deidentified)),
        )

    def flush(self) -> Iterable[Pair[Out]]:
        stages = self._stages
        return self._side_by_side(
            lambda: list(stages.original.flush()), lambda: list(stages.deidentified.flush())
        )

    def reset(self) -> None:
        self._stages.original.reset()
        self._stages.deidentified.reset()

    def _side_by_side(
        self, original: Callable[[], list[Out]], deidentified: Callable[[], list[Out]]
    ) -> list[Pair[Out]]:
        theirs, ours = CORES.both(original, deidentified)
        if len(theirs) != len(ours):
            raise ValueError(
                f"{self.name} let out {len(theirs)} items of the original video, but {len(ours)} "
                "of the de-identified one"
            )
        return [Pair(a, b) for a, b in zip(theirs, ours, strict=True)]
