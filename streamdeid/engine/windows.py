"""Panes: the last observations of a branch, so that scores can be told of a rolling window."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from copy import deepcopy
from itertools import islice
from typing import Any, Final

from streamdeid.metrics.metric import Metric

MOST_PANES: Final = 120
SHORTEST_PANE_S: Final = 0.5
LONGEST_PANE_S: Final = 5.0


def pane_length(spans_s: Sequence[float]) -> float:
    """Seconds of a pane, so that the shortest of these spans has ten and the longest 120 at most.

    A window of n panes holds what came in the last n - 1 panes and in the one that is being filled:
    its span less one pane, to its whole span. So ten make it exact to a tenth.
    """
    finest = max(min(spans_s) / 10, SHORTEST_PANE_S)
    return max(min(finest, LONGEST_PANE_S), max(spans_s) / MOST_PANES)


class Panes:
    """Metrics over the newest observations, cut into panes that merge to windows of any length.

    Only metrics that can be watched while a run goes on (`Metric.live`) are kept. The others are
    those of features with a covariance of 1024 dimensions: a pane of one takes 32 MiB, a merge of
    sixty 2 s, and what a minute of frames says of such a covariance is noise. The metrics that are
    kept take 5 to 140 KiB a pane, whatever was seen in it, and a millisecond to merge.

    Args:
        metrics: fresh ones; they are copied and not changed.
        count: panes to keep, of which the newest is being filled.
    """

    def __init__(self, metrics: Sequence[Metric[Any]], count: int) -> None:
        self._fresh = [deepcopy(metric) for metric in metrics if metric.live]
        self._panes: deque[list[Metric[Any]]] = deque(maxlen=count)
        self.turn()

    def update(self, observation: Any) -> None:
        """Add to the newest pane."""
        for metric in self._panes[-1]:
            metric.update(observation)

    def turn(self) -> None:
        """Begin a new pane; the oldest is forgotten if there are as many as are to be kept."""
        self._panes.append(deepcopy(self._fresh))

    def window(self, count: int) -> list[Metric[Any]]:
        """What the metrics say of the newest `count` panes: copies, which share nothing."""
        whole = deepcopy(self._fresh)
        newest = islice(self._panes, max(len(self._panes) - count, 0), None)
        for pane in newest:
            for metric, later in zip(whole, pane, strict=True):
                metric.merge(later)
        return whole
