"""Turns at computing: bounded, lent while waiting, and given back whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from streamdeid.cores import Cores, usable_cores


class Crowd:
    """Counts how many are inside at once."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self._lock = threading.Lock()

    def work(self) -> None:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(0.01)
        with self._lock:
            self.inside -= 1


def in_threads(count: int, work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_no_more_threads_compute_than_there_are_cores() -> None:
    cores, crowd = Cores(2), Crowd()

    def work() -> None:
        for _ in range(5):
            with cores:
                cores.both(crowd.work, crowd.work)

    in_threads(4, work)
    assert crowd.most == 2


def test_both_work_side_by_side_where_a_core_is_free() -> None:
    cores = Cores(2)
    met = threading.Barrier(2, timeout=5)
    with cores:
        assert sorted(cores.both(met.wait, met.wait)) == [0, 1]


def test_both_work_one_after_the_other_where_none_is_free() -> None:
    cores = Cores(1)
    here: list[int] = []
    with cores:
        cores.both(lambda: here.append(1), lambda: here.append(2))
    assert here == [1, 2]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_costs_no_turn(count: int, failing: int) -> None:
    cores = Cores(count)
    work: list[Callable[[], object]] = [lambda: None, lambda: None]
    work[failing] = lambda: 1 // 0
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), cores:
            cores.both(*work)
    with cores:
        met = threading.Barrier(count, timeout=5)
        if count == 2:
            cores.both(met.wait, met.wait)


def test_who_waits_lends_the_turn_to_another() -> None:
    cores = Cores(1)
    done = threading.Event()

    def other() -> None:
        with cores:
            done.set()

    with cores:
        thread = threading.Thread(target=other)
        thread.start()
        assert not done.wait(0.05)
        with cores.waiting():
            assert done.wait(5)
        thread.join(5)


def test_who_holds_no_turn_may_wait_all_the_same() -> None:
    cores = Cores(1)
    with cores.waiting(), cores:
        pass
    with cores:
        pass


def test_there_is_a_core() -> None:
    assert usable_cores() >= 1
