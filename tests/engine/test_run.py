"""Run: when it stops, what it tells meanwhile, and how much it holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from time import perf_counter

import numpy as np
import pytest

from streamdeid.engine.branch import Branch
from streamdeid.engine.events import OnProgress, Progress
from streamdeid.engine.read_ahead import Crowding
from streamdeid.engine.run import Run
from streamdeid.frame import FramePair, Image
from streamdeid.sources.arrays import ArraySource
from streamdeid.sources.joining import pair_frames
from streamdeid.sources.pairing import FramePairs

BLACK = np.zeros((4, 4, 3), np.uint8)


class Nothing:
    """A stage that sees nothing."""

    name = "nothing"
    delay: int | None = 0
    stride = 1

    def push(self, item: FramePair) -> Iterable[FramePair]:  # noqa: ARG002
        return ()

    def flush(self) -> Iterable[FramePair]:
        return ()

    def reset(self) -> None: ...


def run_of(
    pairs: FramePairs, stop: threading.Event | None = None, on_progress: OnProgress | None = None
) -> Run:
    return Run(
        Branch(Nothing()),
        pairs,
        duration=None,
        began=perf_counter(),
        on_progress=on_progress,
        stop=stop or threading.Event(),
    )


def some(count: int) -> ArraySource:
    return ArraySource([BLACK] * count, frame_rate=25)


def slow(pause_s: float, count: int = 10**9) -> ArraySource:
    def images() -> Iterator[Image]:
        for _ in range(count):
            time.sleep(pause_s)
            yield BLACK

    return ArraySource(images(), frame_rate=25)


@pytest.mark.parametrize("offset", [0, 10**6], ids=["a long tail", "before the first pair"])
def test_a_stop_is_obeyed_while_no_pair_comes(offset: int) -> None:
    stop = threading.Event()
    pairs = pair_frames(some(3), slow(0.001), offset=Fraction(offset))
    run = run_of(pairs, stop)
    threading.Timer(0.3, stop.set).start()
    began = perf_counter()
    assert not run.drive()
    assert perf_counter() - began < 1.0
    assert run.notes == ["The run was stopped before the end."]


def test_a_stop_is_obeyed_although_a_source_gives_nothing_for_long() -> None:
    stop, released = threading.Event(), threading.Event()

    def images() -> Iterator[Image]:
        yield BLACK
        released.wait(20)
        yield BLACK

    run = run_of(pair_frames(ArraySource(images(), frame_rate=25), some(5)), stop)
    threading.Timer(0.1, stop.set).start()
    began = perf_counter()
    try:
        assert not run.drive()
        assert perf_counter() - began < 3.0  # LONGEST_END_S, and a little
        assert run.notes
    finally:
        released.set()


def test_a_stop_after_everything_was_read_is_no_breaking_off() -> None:
    stop = threading.Event()

    class StopsAtTheEnd(Nothing):
        def flush(self) -> Iterable[FramePair]:
            stop.set()
            return ()

    run = Run(
        Branch(StopsAtTheEnd()),
        pair_frames(some(5), some(5)),
        duration=None,
        began=perf_counter(),
        on_progress=None,
        stop=stop,
    )
    assert run.drive()
    assert stop.is_set()
    assert run.notes == []


def test_progress_is_told_while_the_rest_of_one_side_is_read() -> None:
    told: list[Progress] = []
    run = run_of(pair_frames(some(3), slow(0.01, 140)), on_progress=told.append)
    assert run.drive()
    assert len(told) >= 2
    assert told[-1].pairs == 3


def test_telling_takes_a_small_share_of_the_time() -> None:
    spent = 0.0

    def tell(progress: Progress) -> None:  # noqa: ARG001
        nonlocal spent
        time.sleep(0.1)
        spent += 0.1

    began = perf_counter()
    run_of(pair_frames(slow(0.01, 300), slow(0.0)), on_progress=tell, stop=_after(3.2)).drive()
    wall = perf_counter() - began
    assert wall > 2.7
    assert spent == pytest.approx(0.2)  # at 0.5 s and 2.6 s; at every 0.5 s it were 0.5 s or more


def _after(seconds: float) -> threading.Event:
    stop = threading.Event()
    threading.Timer(seconds, stop.set).start()
    return stop


@pytest.mark.parametrize(
    ("width", "height", "ahead", "queue"),
    [(640, 480, 4, 3), (1920, 1080, 4, 3), (3840, 2160, 1, 1), (7680, 4320, 1, 1)],
)
def test_fewer_pairs_wait_when_pictures_are_large(
    width: int, height: int, ahead: int, queue: int
) -> None:
    image = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (height, width, 3))
    run = run_of(pair_frames(*(ArraySource([image], frame_rate=25) for _ in range(2))))
    assert (run._depth(4), run._depth(3)) == (ahead, queue)


class Slow(Nothing):
    """A stage that takes its time, and remembers what it saw between two resets."""

    def __init__(self) -> None:
        self.blocks: list[list[int]] = [[]]

    def push(self, item: FramePair) -> Iterable[FramePair]:
        time.sleep(0.002)
        self.blocks[-1].append(item.original.index)
        return ()

    def reset(self) -> None:
        self.blocks.append([])


def slow_run(stage: Slow, crowding: Crowding) -> Run:
    run = Run(
        Branch(stage),
        pair_frames(slow(0.0005, 900), slow(0.0, 900)),
        duration=None,
        began=perf_counter(),
        on_progress=None,
        stop=threading.Event(),
        crowding=crowding,
    )
    assert run.drive()
    used = sum(map(len, stage.blocks))
    for _, account in run.accounts().items():
        assert (account.seen, account.used, account.waiting) == (900, used, 0)
        assert account.seen == account.used + sum(account.skipped.values())
    assert run.coverage()["original"]["skipped"] == run.accounts().original.skipped
    return run


def test_a_slow_analysis_sees_blocks_of_pairs_that_follow_each_other() -> None:
    stage = Slow()
    run = slow_run(stage, "blocks")
    assert run.blocks == len(stage.blocks) - 1 >= 1
    for block in stage.blocks:
        assert block == list(range(block[0], block[0] + len(block)))
    assert min(map(len, stage.blocks[:-1])) >= 160
    assert run.accounts().original.skipped["behind"] > 0


@pytest.mark.parametrize("crowding", ["drop-oldest", "drop-newest"])
def test_a_slow_analysis_sees_some_of_all_pairs_and_forgets_nothing(crowding: Crowding) -> None:
    stage = Slow()
    run = slow_run(stage, crowding)
    assert len(stage.blocks) == 1
    assert run.blocks == 0
    assert run.accounts().original.skipped["behind"] > 0
    assert stage.blocks[0] == sorted(stage.blocks[0])
    assert stage.blocks[0][-1] > 800


def test_a_slow_analysis_of_files_sees_all_pairs() -> None:
    stage = Slow()
    assert slow_run(stage, "wait").accounts().original.skipped == {}


def test_who_attends_can_end_a_run_as_if_the_videos_ended() -> None:
    run = run_of(pair_frames(slow(0.001), slow(0.001)))
    run.attend = lambda: run.finish() if run.analysed >= 20 else None
    assert run.drive()
    assert run.analysed == 20
    assert run.notes == []
