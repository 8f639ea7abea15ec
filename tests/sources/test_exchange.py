"""Exchange: whatever comes and goes in whatever order, every frame is accounted for."""

from __future__ import annotations

import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdeid.frame import Frame
from streamdeid.sources.exchange import Exchange, LiveFrame
from streamdeid.sources.health import WhenBehind

IMAGE = np.zeros((2, 2, 3), np.uint8)


def live_frame(index: int, gap: bool = False) -> LiveFrame:
    return LiveFrame(Frame(IMAGE, index, index, Fraction(1, 30), after_gap=gap), None)


def check(exchange: Exchange) -> None:
    health = exchange.health()
    assert health.seen == health.used + sum(health.skipped.values()) + health.waiting
    assert min(health.seen, health.used, health.waiting, *health.skipped.values(), 0) == 0


DROPPING: list[WhenBehind] = ["drop-oldest", "drop-newest"]
STEPS = st.sampled_from(["put", "put", "put", "gap", "skip", "lose", "take", "take"])


@pytest.mark.parametrize("when_behind", DROPPING)
@given(steps=st.lists(STEPS, max_size=60), room=st.integers(1, 5), stops=st.booleans())
def test_counts_add_up_and_no_gap_is_forgotten(
    when_behind: WhenBehind, steps: list[str], room: int, stops: bool
) -> None:
    exchange = Exchange(when_behind)
    exchange._most = room
    gaps, given_at = [], []
    last = -1

    def take() -> None:
        nonlocal last
        live = exchange.take(0)
        if live is not None:
            frame = live.frame
            assert frame.index > last
            # It is after a gap exactly if the stream was interrupted since the frame before.
            assert frame.after_gap == any(last < gap <= frame.index for gap in gaps)
            last = frame.index
            given_at.append(last)

    for step in steps:
        match step:
            case "put" | "gap":
                index = exchange.saw()
                if step == "gap":
                    gaps.append(index)
                exchange.put(live_frame(index, step == "gap"))
            case "skip":
                exchange.saw()
                exchange.skip("untimed")
            case "lose":  # an error overtakes it
                exchange.saw()
            case "take":
                take()
        check(exchange)
        assert exchange.health().waiting <= room + steps.count("lose")
    if stops:
        exchange.stop()
    exchange.finish(None)
    check(exchange)
    while not exchange.ended():
        take()
    health = exchange.health()
    assert health.waiting == 0
    assert health.used == len(given_at)
    assert health.seen == health.used + sum(health.skipped.values())


def test_a_sender_that_may_wait_waits_for_room_and_for_the_end() -> None:
    exchange = Exchange("wait")
    exchange._most = 2

    def send() -> None:
        for _ in range(20):
            exchange.put(live_frame(exchange.saw()))

    sender = threading.Thread(target=send)
    sender.start()
    for index in range(10):
        live = exchange.take(5)
        assert live is not None
        assert live.frame.index == index
        assert exchange.health().waiting <= 3
    exchange.stop()
    sender.join(5)
    assert not sender.is_alive()
    exchange.finish(None)
    health = exchange.health()
    assert (health.seen, health.used, health.skipped) == (20, 10, {"ended": 10})


def test_an_error_is_raised_where_the_frame_would_have_come() -> None:
    exchange = Exchange("drop-oldest")
    exchange.put(live_frame(exchange.saw()))
    exchange.finish(ValueError("broken"))
    assert exchange.take(None) is not None
    with pytest.raises(ValueError, match="broken"):
        exchange.take(None)
    assert exchange.take(None) is None
    assert exchange.ended()
