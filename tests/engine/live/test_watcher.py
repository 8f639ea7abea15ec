"""Watcher: a window holds its span, however rarely anybody looks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from streamdeid.engine.branch import Branch
from streamdeid.engine.live.alerts import Alert
from streamdeid.engine.live.status import Event, Status
from streamdeid.engine.live.watcher import Watcher, Watching
from streamdeid.engine.run import Run
from streamdeid.engine.windows import PANES
from streamdeid.errors import SettingsError
from streamdeid.metrics import References
from streamdeid.pair import Pair
from streamdeid.sources.arrays import ArraySource
from streamdeid.sources.joining import pair_frames
from streamdeid.sources.source import Source
from tests.engine.plain import SOURCE, Heavy, PassOn, fresh, reading

BLACK = np.zeros((4, 4, 3), np.uint8)
DISTANCE = "identity.distance_to_source.original"


class Still(Run):
    """A run that goes nowhere: a test says what time it is, and marks are met at once."""

    def mark(self, do: Callable[[Branch[Any, Any]], None]) -> None:
        for branch in self._root.walk():
            do(branch)


class Watched:
    """A watcher of two files, whose clock is that of the pairs."""

    def __init__(self, watching: Watching) -> None:
        self.events: list[Event] = []
        self.lines: list[Status] = []
        self._root: Branch[Any, Any] = Branch(PassOn(), [fresh()])
        sources: Pair[Source] = Pair(
            ArraySource([BLACK], frame_rate=25), ArraySource([BLACK], frame_rate=25)
        )
        pairs = pair_frames(sources.original, sources.deidentified)
        self._run = Still(
            self._root,
            pairs,
            duration=None,
            began=perf_counter(),
            on_progress=None,
            stop=threading.Event(),
        )
        self._watcher = Watcher(
            self._run,
            self._root,
            sources,
            pairs,
            watching,
            earlier=None,
            on_line=self.lines.append,
            on_event=self.events.append,
        )
        self._index = 0

    def pair_at(self, time_s: float) -> None:
        self._run.time_s = time_s
        self._watcher.attend()
        self._root.step(reading(self._index))
        self._index += 1

    def count(self) -> int:
        """Of the pairs in the window."""
        return next(s.count for s in self._watcher.status().window if s.name == DISTANCE)


@pytest.mark.parametrize("step_s", [0.25, 1.0, 2.5, 7.0, 30.0])
def test_a_window_holds_its_span_or_up_to_a_twelfth_less(step_s: float) -> None:
    watched = Watched(Watching(window_s=12.0))
    for number in range(100):
        watched.pair_at(number * step_s)
        if number * step_s > 12.0:
            assert (12.0 - 12.0 / PANES) / step_s - 1 <= watched.count() <= 12.0 / step_s + 1


def test_after_a_pause_a_window_forgets_what_was_before_and_fills_up_again() -> None:
    watched = Watched(Watching(window_s=12.0))
    for second in range(20):
        watched.pair_at(second)
    for second in range(12):
        watched.pair_at(3600 + second)
        assert watched.count() == second + 1


def test_an_alert_is_raised_although_pairs_are_further_apart_than_it_looks_back() -> None:
    watched = Watched(Watching(alerts=(Alert.parse(f"{DISTANCE} > 0 over 1s"),)))
    for number in range(4):
        watched.pair_at(number * 3)
    assert [event.kind for event in watched.events] == ["alert"]


def test_an_alert_that_no_window_tells_of_is_refused() -> None:
    heavy = Branch(PassOn(), [Heavy(References(source=SOURCE), "euclidean", 2.0)])
    alert = Alert.parse(f"{DISTANCE} > 0 over 1s")
    Watcher.check_alerts(Branch(PassOn(), [fresh()]), [alert])
    with pytest.raises(SettingsError, match="could never be raised"):
        Watcher.check_alerts(heavy, [alert])
