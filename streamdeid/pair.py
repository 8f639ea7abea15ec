"""Pair: one thing seen in the original and in the de-identified video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")

SIDES = ("original", "deidentified")


@dataclass(frozen=True, slots=True)
class Pair(Generic[T]):
    """One thing twice: in the original video and in the de-identified one, in that order.

    >>> Pair(3, 4).map(str)
    Pair(original='3', deidentified='4')
    >>> dict(Pair(3, 4).items())
    {'original': 3, 'deidentified': 4}
    """

    original: T
    deidentified: T

    def map(self, step: Callable[[T], U]) -> Pair[U]:
        """Do the same to both sides."""
        return Pair(step(self.original), step(self.deidentified))

    def items(self) -> Iterator[tuple[str, T]]:
        """The sides with their names, in order."""
        yield "original", self.original
        yield "deidentified", self.deidentified
