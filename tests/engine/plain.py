"""A metric, a stage that passes on, and what they see: for tests of what is around them."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from streamdeid.metrics import IdentityDistance, References
from streamdeid.observations import IdentityReading
from streamdeid.pair import Pair

RNG = np.random.default_rng(8)
SOURCE = RNG.normal(size=8).astype(np.float32)


def fresh() -> IdentityDistance:
    return IdentityDistance(References(source=SOURCE), "euclidean", 2.0)


def reading(index: int) -> IdentityReading:
    noise = np.random.default_rng(index).normal(size=(3, 8)).astype(np.float32)
    near = [SOURCE + 0.7 * one for one in noise]
    own = Pair(near[0], near[1] if index % 3 else None)
    return IdentityReading(index, Fraction(index, 25), own, near[2])


class PassOn:
    name = "pass on"
    delay: int | None = 0
    stride = 1

    def push(self, item: IdentityReading) -> Iterable[IdentityReading]:
        return [item]

    def flush(self) -> Iterable[IdentityReading]:
        return ()

    def reset(self) -> None: ...


class Heavy(IdentityDistance):
    """Takes long to answer, as realism does."""

    live = False
