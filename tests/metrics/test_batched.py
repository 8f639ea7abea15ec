"""Batched: what waits is in every figure, and looking changes none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamdeid.metrics.batched import BATCH, Batched


class Numbers(Batched[int]):
    """Remembers in which batches they came."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[int]] = []

    def update(self, number: int) -> None:
        self._wait(number)

    def _take(self, items: list[int]) -> None:
        self.batches.append(items)


@given(st.integers(0, 3 * BATCH), st.sets(st.integers(0, 3 * BATCH)))
def test_batches_are_the_same_whoever_looks_meanwhile(count: int, looks: set[int]) -> None:
    numbers = Numbers()
    for number in range(count):
        numbers.update(number)
        if number in looks:
            seen = [one for batch in numbers.settled().batches for one in batch]
            assert seen == list(range(number + 1))
    assert [len(batch) for batch in numbers.batches] == [BATCH] * (count // BATCH)
    numbers.settle()
    numbers.settle()
    assert [one for batch in numbers.batches for one in batch] == list(range(count))
    assert all(numbers.batches), "nothing is no batch"
    assert numbers.settled() is numbers
