"""Closing: leaving a `with` block closes."""

from __future__ import annotations

import pytest

from streamdeid.closing import Closing


class Door(Closing):
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_leaving_closes_and_entering_gives_the_thing_itself() -> None:
    door = Door()
    with door as entered:
        assert entered is door
        assert not door.closed
    assert door.closed == 1


def test_an_error_closes_and_is_not_held_back() -> None:
    door = Door()
    with pytest.raises(ZeroDivisionError), door:
        raise ZeroDivisionError
    assert door.closed == 1


def test_what_cannot_be_closed_cannot_be_made() -> None:
    with pytest.raises(TypeError):
        type("Wall", (Closing,), {})()
