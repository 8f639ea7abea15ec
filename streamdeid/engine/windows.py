"""Panes: the last observations of a branch, so that scores can be told of a rolling window."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final

from streamdeid.metrics.metric import Metric

PANES: Final = 12
"""Of a window, of which the newest is being filled: so it holds its span, or a twelfth less."""


class Panes:
    """Metrics over the newest observations of one span of time, cut into panes that merge.

    A metric of all branches takes up to 140 KiB a pane, whatever was seen in it, and 1 to 4 ms to
    merge, which a span of any length does eleven times.

    Only metrics that can be watched while a run goes on (`Metric.live`) are kept. The others are
    those of features with a covariance of 1024 dimensions: a pane of one takes 32 MiB and a merge
    40 ms, and what a minute of frames says of such a covariance is noise.

    Args:
        metrics: fresh ones; they are copied and not changed.
    """

    def __init__(self, metrics: Sequence[Metric[Any]]) -> None:
        self._fresh = [deepcopy(metric) for metric in metrics if metric.live]
        self._panes: deque[list[Metric[Any]]] = deque(maxlen=PANES)
        self.turn()

    def update(self, observation: Any) -> None:
        """Add to the newest pane."""
        for metric in self._panes[-1]:
            metric.update(observation)

    def turn(self) -> None:
        """Begin a new pane, and forget what is older than the span."""
        self._panes.append(deepcopy(self._fresh))

    def snapshot(self) -> list[list[Metric[Any]]]:
        """The panes, to be merged while the newest is being filled: nobody changes those before."""
        *filled, newest = self._panes
        return [deepcopy(self._fresh), *filled, deepcopy(newest)]


def merged(panes: Sequence[Sequence[Metric[Any]]]) -> list[Metric[Any]]:
    """What the metrics of all panes say together; those of the first pane are changed."""
    whole, *later = panes
    for pane in later:
        for metric, other in zip(whole, pane, strict=True):
            metric.merge(other)
    return list(whole)
