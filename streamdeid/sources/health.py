"""Health: how a live stream is doing, and what became of its frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

WhenBehind: TypeAlias = Literal["drop-oldest", "drop-newest", "wait"]
"""What to do with frames that come faster than they are taken."""


@dataclass(frozen=True, slots=True)
class Health:
    """One moment of a live stream: `seen` = `used` + all `skipped` + `waiting`, at any time.

    Attributes:
        connected: frames come, or may come any moment.
        seen: frames decoded.
        used: frames given to whoever asked.
        skipped: frames that were not, by reason. "behind": they came faster than they were taken.
            "untimed": without a believable time stamp. "unreadable": no RGB could be made of
            them. Of a pair of streams also "unpaired": without a partner; "late": their partner
            was no longer waited for; "unaligned": from before the common clock was chosen;
            "ended": still waiting when the run ended.
        waiting: frames that are neither yet.
        reconnects: connections after the first that gave frames.
        last_frame_age_s: seconds since the last frame was decoded; None before the first.
        fps_in: frames a second, of the last few seconds.
    """

    connected: bool
    seen: int
    used: int
    skipped: Mapping[str, int]
    waiting: int
    reconnects: int
    last_frame_age_s: float | None
    fps_in: float
