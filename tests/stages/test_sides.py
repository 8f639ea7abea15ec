"""Both sides: the same stage twice, side by side, and never mixed up."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest

from streamdeid.cores import usable_cores
from streamdeid.pair import Pair
from streamdeid.stages.sides import BothSides


class Summing:
    """Lets out, for every second number, the sum of all so far; at the end the last sum."""

    name = "summing"
    delay: int | None = None
    stride = 2

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.reset()

    def push(self, item: int) -> Iterable[int]:
        self.threads.add(threading.get_ident())
        self.total += item
        self.count += 1
        if item < 0:
            raise ArithmeticError("negative")
        if self.count % 2 == 0 or item == 99:
            yield self.total

    def flush(self) -> Iterable[int]:
        yield self.total

    def reset(self) -> None:
        self.total = self.count = 0


def test_each_side_has_a_stage_of_its_own() -> None:
    both = BothSides(Summing)
    found = [pair for n in range(5) for pair in both.push(Pair(n, 10 * n))]
    found += both.flush()
    assert found == [Pair(1, 10), Pair(6, 60), Pair(10, 100)]


def test_the_sides_are_computed_on_two_threads() -> None:
    built: list[Summing] = []

    def build() -> Summing:
        built.append(Summing())
        return built[-1]

    both = BothSides(build)
    for n in range(4):
        list(both.push(Pair(n, n)))
    list(both.flush())
    original, deidentified = (stage.threads for stage in built)
    assert deidentified == {threading.get_ident()}
    assert original.isdisjoint(deidentified) == (usable_cores() > 1)


def test_a_reset_reaches_both_sides() -> None:
    both = BothSides(Summing)
    list(both.push(Pair(1, 2)))
    both.reset()
    assert [*both.push(Pair(5, 7)), *both.push(Pair(0, 0))] == [Pair(5, 7)]
    list(both.flush())


def test_unequal_sides_are_an_error() -> None:
    both = BothSides(Summing)
    with pytest.raises(ValueError, match=r"summing let out 1 .*original video, but 0"):
        list(both.push(Pair(99, 1)))
    list(both.flush())


@pytest.mark.parametrize("item", [Pair(-1, 1), Pair(1, -1), Pair(-1, -1)])
def test_an_error_on_either_side_comes_through(item: Pair[int]) -> None:
    both = BothSides(Summing)
    with pytest.raises(ArithmeticError):
        list(both.push(item))
    list(both.flush())


def test_it_says_of_itself_what_its_stage_says() -> None:
    both = BothSides(Summing)
    assert (both.name, both.delay, both.stride) == ("summing", None, 2)
    list(both.flush())
