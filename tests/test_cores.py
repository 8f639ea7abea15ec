"""Turns at computing: bounded, lent while waiting, and given back whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from streamdeid.cores import Cores, one_blas_thread, usable_cores
from tests.conftest import blas_threads


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


def test_two_within_two_are_done_and_nobody_waits_for_good() -> None:
    cores = Cores(2)

    def inner(name: str) -> tuple[str, str]:
        return cores.both(lambda: f"{name}1", lambda: f"{name}2")

    found: list[object] = []

    def work() -> None:
        with cores:
            found.append(cores.both(lambda: inner("a"), lambda: inner("b")))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [(("a1", "a2"), ("b1", "b2"))] * 8


def test_there_are_never_more_threads_than_cores_beside_those_that_ask() -> None:
    class SlowToRest(Cores):
        def __exit__(self, *error: Any) -> None:
            super().__exit__(*error)
            time.sleep(0.01)  # its turn is free, and the thread not yet

    cores = SlowToRest(2)
    workers: set[int] = set()

    def ask() -> None:
        for _ in range(5):
            with cores:
                cores.both(lambda: workers.add(threading.get_ident()), lambda: None)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(10)
    assert len(workers - {asker.ident for asker in askers}) == 1


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


def test_few_are_inside_and_who_waits_lends_the_turn() -> None:
    cores, permits, crowd = Cores(2), threading.Semaphore(1), Crowd()
    lent = threading.Event()

    def work() -> None:
        with cores, cores.few(permits):
            crowd.work()

    in_threads(6, work)
    assert crowd.most == 1

    def other() -> None:
        with cores:
            lent.set()

    with cores, cores.few(permits):
        waiter, third = threading.Thread(target=work), threading.Thread(target=other)
        waiter.start()
        third.start()
        assert lent.wait(5)
    waiter.join(5)
    third.join(5)


def test_blas_has_its_threads_again_when_the_last_has_left() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        one, other = one_blas_thread(), one_blas_thread()
        one.__enter__()
        other.__enter__()
        assert blas_threads() == 1
        one.__exit__(None, None, None)
        assert blas_threads() == 1
        other.__exit__(None, None, None)
        assert blas_threads() == 2


def test_there_is_a_core() -> None:
    assert usable_cores() >= 1
