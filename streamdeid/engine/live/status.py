"""Status: how a live run stands, as a line of JSON has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from streamdeid.engine.accounts import Account
from streamdeid.pair import Pair
from streamdeid.score import Score
from streamdeid.sources.health import Health

SCHEMA: Final = "streamdeid-watch/1"
STALE_S: Final = 5.0
"""A stream that has given no frame for so long is down."""


@dataclass(frozen=True, slots=True)
class SideStatus:
    """One side: what became of its frames, and how its stream is.

    Attributes:
        account: of all frames since the start.
        live: it is a stream, not a file.
        up: frames come, or may come any moment; a file is always up.
        fps_in: frames a second, lately; None for a file.
        last_frame_age_s: seconds since the last frame; None for a file, or before the first.
    """

    account: Account
    live: bool
    up: bool
    fps_in: float | None
    last_frame_age_s: float | None

    @classmethod
    def of(cls, account: Account, health: Health | None) -> SideStatus:
        """`health`: of a live stream; None for a file."""
        if health is None:
            return cls(account, live=False, up=True, fps_in=None, last_frame_age_s=None)
        age = health.last_frame_age_s
        up = health.connected and age is not None and age < STALE_S
        return cls(account, live=True, up=up, fps_in=health.fps_in, last_frame_age_s=age)

    def closed(self, *, up: bool) -> SideStatus:
        """The same when the run has ended."""
        return replace(self, account=self.account.closed("ended"), up=up)

    def to_record(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            **self.account.to_record(),
            "live": self.live,
            "up": self.up,
            "fps_in": self.fps_in,
            "last_frame_age_s": self.last_frame_age_s,
        }


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: "alert", "alert over", "down", "up", "note", "resumed".

    Attributes:
        time: UTC, ISO 8601.
        kind: one of the above.
        text: a sentence.
        details: JSON values.
    """

    time: str
    kind: str
    text: str
    details: Mapping[str, Any]

    def to_record(self) -> dict[str, Any]:
        """As JSON values."""
        return {"time": self.time, "kind": self.kind, "text": self.text, **self.details}


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a run stands.

    Attributes:
        time: when, UTC, ISO 8601.
        wall_s: seconds since this process began.
        time_s: seconds of the original, of the pair last analysed.
        pairs: analysed since the start, and by runs that this one goes on from.
        pairs_per_s: analysed lately.
        lag_s: seconds that the last pair had waited to be analysed.
        blocks: how often pairs were left out between two blocks; None if they are left out evenly.
        sides: of both streams.
        alignment: how they are aligned, where one is live.
        totals: scores since the start.
        window_s: span of the rolling window.
        window: scores of it.
        window_faces: coverage of it.
        events: since the status before.
        last: the run has ended.
    """

    time: str
    wall_s: float
    time_s: float
    pairs: int
    pairs_per_s: float
    lag_s: float
    blocks: int | None
    sides: Pair[SideStatus]
    alignment: Mapping[str, Any] | None
    totals: Sequence[Score]
    window_s: float
    window: Sequence[Score]
    window_faces: Mapping[str, Any]
    events: Sequence[Event] = ()
    last: bool = False

    def to_record(self) -> dict[str, Any]:
        """As JSON values; see the README for what they mean."""
        return {
            "schema": SCHEMA,
            "time": self.time,
            "last": self.last,
            "wall_s": round(self.wall_s, 3),
            "time_s": round(self.time_s, 3),
            "pairs": self.pairs,
            "pairs_per_s": round(self.pairs_per_s, 3),
            "lag_s": round(self.lag_s, 3),
            "skipping": "evenly" if self.blocks is None else "between blocks",
            "blocks": self.blocks,
            **{side: status.to_record() for side, status in self.sides.items()},
            "alignment": self.alignment,
            "totals": _scores(self.totals),
            "window": {
                "seconds": self.window_s,
                "faces": self.window_faces,
                "scores": _scores(self.window),
            },
            "events": [event.to_record() for event in self.events],
        }


def _scores(scores: Sequence[Score]) -> dict[str, Any]:
    """Name to value, spread, count and reason; the rest of a score is in the report.

    But for what kind of `values` action units have: they must not be compared with others.
    """
    return {
        score.name: {
            "value": score.value,
            "std": score.std,
            "count": score.count,
            "reason": score.reason,
            **{key: score.details[key] for key in ("values",) if key in score.details},
        }
        for score in scores
    }
