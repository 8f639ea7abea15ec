"""ReadAhead: a bounded number of items ahead, and its thread always ends."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdeid.engine.read_ahead import Crowding, ReadAhead
from streamdeid.sources.arrays import ArraySource
from streamdeid.sources.joining import pair_frames

SOON_S = 0.2


class Counter:
    """0, 1, 2, ...; remembers how far it got, where it was closed, and how often it was stopped."""

    def __init__(self, end: int | None = None, pause_s: float = 0.0, error_at: int = -1) -> None:
        self.made = 0
        self.closed_in: list[str] = []
        self.stops = 0
        self._end, self._pause_s, self._error_at = end, pause_s, error_at

    def __iter__(self) -> Iterator[int]:
        while self.made != self._end:
            time.sleep(self._pause_s)
            if self.made == self._error_at:
                raise OSError("the disk is gone")
            self.made += 1
            yield self.made - 1

    def close(self) -> None:
        self.closed_in.append(threading.current_thread().name)

    def stop(self) -> None:
        self.stops += 1


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind() -> Iterator[None]:
    yield
    gc.collect()
    assert _readers() == []


def _readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def _wait_for(condition: object) -> None:
    assert callable(condition)
    for _ in range(200):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it did not happen within a second")


@given(st.lists(st.integers(), max_size=30), st.integers(1, 8))
def test_all_items_come_in_order(items: list[int], depth: int) -> None:
    with ReadAhead(items, depth) as ahead:
        assert list(ahead) == items
        assert list(ahead) == []


@pytest.mark.parametrize("depth", [1, 3])
def test_the_reader_is_never_more_than_depth_ahead(depth: int) -> None:
    counter = Counter()
    with ReadAhead(counter, depth) as ahead:
        _wait_for(lambda: counter.made == depth)
        for taken in range(1, 20):
            assert next(ahead) == taken - 1
            _wait_for(lambda taken=taken: counter.made == taken + depth)
        time.sleep(0.05)
        assert counter.made == 19 + depth


def test_a_waiting_reader_uses_no_processor_time() -> None:
    with ReadAhead(Counter(), 2):
        time.sleep(0.05)
        started = time.process_time()
        time.sleep(0.3)
        assert time.process_time() - started < 0.05


def test_an_error_comes_in_its_place_with_its_traceback_and_only_once() -> None:
    counter = Counter(error_at=3)
    with ReadAhead(counter, 2) as ahead:
        assert [next(ahead) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(OSError, match="the disk is gone") as caught:
            next(ahead)
        assert "__iter__" in [entry.name for entry in traceback.extract_tb(caught.tb)]
        assert list(ahead) == []
    assert counter.closed_in == ["read-ahead"]


def test_an_error_of_closing_is_not_hidden() -> None:
    class Bad(Counter):
        def close(self) -> None:
            raise OSError("cannot close")

    with ReadAhead(Bad(end=2), 5) as ahead:
        assert [next(ahead), next(ahead)] == [0, 1]
        with pytest.raises(OSError, match="cannot close"):
            next(ahead)


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_a_consumer_that_stops_early_ends_the_reader_at_once(taken: int) -> None:
    counter = Counter()
    with ReadAhead(counter, 3) as ahead:
        for _ in range(taken):
            next(ahead)
        started = time.perf_counter()
    assert time.perf_counter() - started < SOON_S
    assert _readers() == []
    assert counter.closed_in == ["read-ahead"]
    assert list(ahead) == []
    ahead.close()


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_of_the_consumer_ends_the_reader(kind: type[BaseException]) -> None:
    counter = Counter()
    with pytest.raises(kind), ReadAhead(counter, 3) as ahead:
        next(ahead)
        raise kind
    assert _readers() == []
    assert counter.closed_in == ["read-ahead"]


def test_an_interrupt_while_waiting_reaches_the_consumer() -> None:
    program = (
        "import os, signal, threading, time\n"
        "from streamdeid.engine.read_ahead import ReadAhead\n"
        "class Slow:\n"
        "    stopped = False\n"
        "    def __iter__(self): return self\n"
        "    def __next__(self):\n"
        "        while not self.stopped: time.sleep(0.01)\n"
        "        raise StopIteration\n"
        "    def stop(self): self.stopped = True\n"
        "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    with ReadAhead(Slow(), 2) as ahead: next(ahead)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', threading.active_count())\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )
    assert out.stdout.split() == ["interrupted", "1"]


def test_the_interpreter_ends_although_nobody_closed() -> None:
    program = (
        "import itertools\n"
        "from streamdeid.engine.read_ahead import ReadAhead\n"
        "class Items:\n"
        "    def __iter__(self): return itertools.count()\n"
        "    def close(self): print('closed')\n"
        "ahead = ReadAhead(Items(), 2)\n"
        "print(next(ahead))\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )
    assert out.stdout.split() == ["0", "closed"]
    assert out.stderr == ""


def test_forgetting_it_ends_the_reader() -> None:
    counter = Counter()
    ahead = ReadAhead(counter, 3)
    next(ahead)
    del ahead
    gc.collect()
    assert _readers() == []
    assert counter.closed_in == ["read-ahead"]


def test_a_long_search_is_stopped() -> None:
    black = np.zeros((1, 1, 3), np.uint8)

    def images() -> Iterator[np.ndarray]:
        while True:
            yield black

    short = ArraySource([black], frame_rate=25)
    endless = ArraySource(images(), frame_rate=25)
    with ReadAhead(pair_frames(short, endless, offset=Fraction(0)), 2) as ahead:
        next(ahead)
        time.sleep(0.05)
        started = time.perf_counter()
    assert time.perf_counter() - started < SOON_S


def test_items_are_let_go_when_they_are_taken() -> None:
    import weakref

    class Item:
        pass

    refs = []

    def items() -> Iterator[Item]:
        for _ in range(5):
            item = Item()
            refs.append(weakref.ref(item))
            yield item
            del item

    with ReadAhead(items(), 1) as ahead:
        for item in ahead:
            del item
            time.sleep(0.01)
            assert sum(ref() is not None for ref in refs) <= 1


def test_the_consumers_waiting_is_measured() -> None:
    with ReadAhead(Counter(end=3, pause_s=0.05), 1) as ahead:
        list(ahead)
        assert 0.1 < ahead.waited_s < 1.0


def test_a_depth_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ReadAhead([], 0)


def test_who_must_look_around_gets_none_while_no_item_comes() -> None:
    with ReadAhead(Counter(end=3, pause_s=0.1), 1) as ahead:
        seen = list(ahead.or_none(0.02))
        assert [item for item in seen if item is not None] == [0, 1, 2]
        assert seen.count(None) >= 3
        assert 0.2 < ahead.waited_s < 2.0


def test_looking_around_an_error_comes_in_its_place_even_if_it_is_a_timeout() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise TimeoutError("the camera is silent")

    with ReadAhead(items(), 1) as ahead, pytest.raises(TimeoutError, match="silent"):
        assert list(ahead.or_none(5)) == [1]


def given_while_slow(crowding: Crowding, pace: int, depth: int = 4) -> tuple[list[int], list[int]]:
    """What is taken of 60 items while `pace` come for each that is taken, and before which of
    them a block begins."""
    room, asked = threading.Semaphore(0), threading.Semaphore(0)

    def items() -> Iterator[int]:
        for number in range(60):
            asked.release()  # the item before it has been put
            room.acquire()
            yield number
        asked.release()

    taken, begun = [], []
    with ReadAhead(items(), depth, crowding) as ahead:
        asked.acquire()
        for _ in range(60 // pace):
            for _ in range(pace):
                room.release()
                asked.acquire()
            taken.append(next(ahead))
            if ahead.after_gap:
                begun.append(taken[-1])
        for item in ahead:
            taken.append(item)
            if ahead.after_gap:
                begun.append(item)
        assert len(taken) + ahead.dropped == 60
    assert taken == sorted(set(taken))
    return taken, begun


@pytest.mark.parametrize("crowding", ["drop-oldest", "drop-newest"])
def test_items_that_come_too_fast_are_dropped_evenly(crowding: Crowding) -> None:
    taken, begun = given_while_slow(crowding, 3)
    steps = [after - before for before, after in pairwise(taken)]
    assert begun == []
    assert 15 <= len(taken) <= 28
    assert max(steps) <= 4


def test_between_blocks_items_are_dropped_and_within_they_follow_each_other() -> None:
    taken, begun = given_while_slow("blocks", 3, depth=8)
    gaps = [after for before, after in pairwise(taken) if after != before + 1]
    assert gaps == begun
    assert begun
    starts = [0, *(taken.index(first) for first in begun), len(taken)]
    lengths = [after - before for before, after in pairwise(starts)]
    assert min(lengths[:-1]) >= 8  # at least as many as there is room for


def test_no_item_is_dropped_while_there_is_room() -> None:
    for crowding in get_args(Crowding):
        with ReadAhead(range(5), 8, crowding) as ahead:
            time.sleep(0.05)
            assert list(ahead) == [0, 1, 2, 3, 4]
            assert ahead.dropped == 0


def test_what_was_taken_tells_how_long_it_had_waited() -> None:
    with ReadAhead(range(3), 2) as ahead:
        time.sleep(0.2)
        next(ahead)
        assert 0.1 < ahead.age_s < 5
