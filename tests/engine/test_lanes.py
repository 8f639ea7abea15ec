"""Lanes: every branch on a thread of its own, and the same figures as one after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from streamdeid.engine.branch import Branch
from streamdeid.engine.lanes import RESET, Lanes
from streamdeid.score import Score
from streamdeid.stats import State


class RunningSum:
    """A stage with memory: gives the sum of all it has seen, and holds the last one back."""

    delay: int | None = None
    stride = 1

    def __init__(self, name: str = "sum", wait_s: float = 0.0) -> None:
        self.name = name
        self._wait_s = wait_s
        self._sum = 0
        self._held: list[int] = []

    def push(self, item: int) -> Iterable[int]:
        time.sleep(self._wait_s)
        self._sum += item
        out, self._held = self._held, [self._sum]
        return out

    def flush(self) -> Iterable[int]:
        out, self._held = self._held, []
        return out

    def reset(self) -> None:
        self._sum = 0


class FailsAt(RunningSum):
    def __init__(self, item: int) -> None:
        super().__init__("fails")
        self._at = item

    def push(self, item: int) -> Iterable[int]:
        if item == self._at:
            raise RuntimeError(f"item {item} broke it")
        return super().push(item)


class Seen:
    """A metric that remembers what it was shown."""

    name: ClassVar[str] = "seen"
    live: ClassVar[bool] = True
    column_names: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.items: list[int] = []

    def columns(self, item: int) -> Mapping[str, Any]:  # noqa: ARG002
        return {}

    def update(self, item: int) -> None:
        self.items.append(item)

    def merge(self, other: Seen) -> None:
        self.items += other.items

    def result(self) -> Sequence[Score]:
        return [Score("seen", float(len(self.items)), "items", len(self.items))]

    def to_state(self) -> State:
        return {}

    def load_state(self, state: State) -> None: ...


def lanes_left() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lane-")]


def test_every_branch_sees_everything_in_order_and_held_back_items_are_let_out() -> None:
    root, child, grandchild = Seen(), Seen(), Seen()
    plan = Branch(
        RunningSum("a"),
        [root],
        [Branch(RunningSum("b", wait_s=0.001), [child], [Branch(RunningSum("c"), [grandchild])])],
    )
    with Lanes(plan) as lanes:
        for item in range(50):
            lanes.push(item)
        lanes.finish()
    sums = [0]
    expected: list[list[int]] = []
    for level in range(3):
        source = list(range(50)) if level == 0 else expected[-1]
        total, sums = 0, []
        for item in source:
            total += item
            sums.append(total)
        expected.append(sums)
    assert [root.items, child.items, grandchild.items] == expected
    assert lanes_left() == []


def test_a_reset_takes_its_place_between_the_items() -> None:
    seen, below = Seen(), Seen()
    with Lanes(Branch(RunningSum(), [seen], [Branch(RunningSum("below"), [below])])) as lanes:
        for item in (1, 2, 3):
            lanes.push(item)
        lanes.push(RESET)
        lanes.push(10)
        lanes.finish()
    assert seen.items == [1, 3, 6, 10]  # the item held back at the reset is not lost
    assert len(below.items) == 4


def test_an_error_in_a_branch_is_raised_where_items_are_pushed_and_no_thread_is_left() -> None:
    seen = Seen()
    plan = Branch(RunningSum(), [seen], [Branch(FailsAt(6))])
    with pytest.raises(RuntimeError, match="item 6 broke it"), Lanes(plan) as lanes:
        for item in range(1, 1000):
            lanes.push(item)
    assert lanes_left() == []
    assert len(seen.items) < 100  # pushed no further than the queues are deep


def test_an_error_that_comes_last_is_raised_by_finish() -> None:
    with pytest.raises(RuntimeError, match="item 3 broke it"), Lanes(Branch(FailsAt(3))) as lanes:
        lanes.push(3)
        lanes.finish()
    assert lanes_left() == []


def test_an_error_of_the_caller_ends_the_threads_too() -> None:
    with pytest.raises(ZeroDivisionError), Lanes(Branch(RunningSum())) as lanes:
        lanes.push(1)
        raise ZeroDivisionError
    assert lanes_left() == []


@pytest.mark.parametrize("depth", [1, 3])
def test_a_slow_branch_makes_the_pusher_wait_so_that_little_is_in_flight(depth: int) -> None:
    released = threading.Event()

    class Blocked(RunningSum):
        def push(self, item: int) -> Iterable[int]:
            released.wait(10)
            return super().push(item)

    pushed = 0
    with Lanes(Branch(Blocked()), depth) as lanes:

        def push_many() -> None:
            nonlocal pushed
            for item in range(100):
                lanes.push(item)
                pushed += 1

        pusher = threading.Thread(target=push_many)
        pusher.start()
        pusher.join(0.2)
        assert pusher.is_alive()
        assert pushed <= depth + 2
        released.set()
        pusher.join(10)
        assert pushed == 100
        lanes.finish()


def test_scores_can_be_read_while_the_run_goes_on() -> None:
    branch = Branch(RunningSum(wait_s=0.0005), [Seen()])
    with Lanes(branch) as lanes:
        counts = []
        for item in range(100):
            lanes.push(item)
            counts.append(branch.scores()[0].count)
        lanes.finish()
    assert counts == sorted(counts)
    assert branch.scores()[0].count == 100


def test_what_is_held_back_for_a_whole_video_is_let_out_a_handful_at_a_time() -> None:
    class ToTheEnd(RunningSum):
        let_out = 0

        def push(self, item: int) -> Iterable[int]:  # noqa: ARG002
            return ()

        def flush(self) -> Iterable[int]:
            for item in range(5000):
                self.let_out += 1
                yield item

    class Watches(Seen):
        most = 0

        def update(self, item: int) -> None:
            super().update(item)
            self.most = max(self.most, stage.let_out - len(self.items))

    stage, metric, below = ToTheEnd("at the end"), Watches(), Seen()
    with Lanes(Branch(stage, [metric], [Branch(RunningSum("b"), [below])])) as lanes:
        lanes.push(0)
        lanes.finish()
    assert metric.items == list(range(5000))
    assert len(below.items) == 5000
    assert metric.most < 100
