"""Account: what became of every frame of one side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from streamdeid.engine.branch import Branch
from streamdeid.metrics.coverage import Coverage
from streamdeid.pair import SIDES, Pair
from streamdeid.sources.live_pairing import LivePairs
from streamdeid.sources.pairing import FramePairs
from streamdeid.stats import State, StateReader

ALONE = ("unpaired", "late")
"""Reasons for which a frame has no partner."""


@dataclass(frozen=True, slots=True)
class Account:
    """The frames of one side: `seen` = `used` + all `skipped` + `waiting`, at any time.

    Attributes:
        seen: frames decoded.
        used: frames whose pair was analysed.
        skipped: frames that were not, by reason: those of `Health`, of which "behind" are frames
            that came faster than they could be analysed; "ended", that still waited when the run
            ended; and "lost", that had not been analysed when a run was killed that was resumed.
        waiting: frames of which nothing is decided yet.
        corrupt: of those seen, frames with concealed damage.
        reconnects: connections after the first.
    """

    seen: int = 0
    used: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    corrupt: int = 0
    reconnects: int = 0

    def __add__(self, later: Account) -> Account:
        """Both together."""
        return Account(
            self.seen + later.seen,
            self.used + later.used,
            dict(sorted((Counter(self.skipped) + Counter(later.skipped)).items())),
            self.waiting + later.waiting,
            self.corrupt + later.corrupt,
            self.reconnects + later.reconnects,
        )

    def closed(self, reason: str) -> Account:
        """The same when nothing more is to come: what waits was skipped for `reason`."""
        skipped = Counter(self.skipped) + Counter({reason: self.waiting})
        reasons = dict(sorted(skipped.items()))
        return Account(self.seen, self.used, reasons, 0, self.corrupt, self.reconnects)

    def to_record(self) -> dict[str, Any]:
        """As reports, result lines and states hold it."""
        return {
            "frames": self.seen,
            "used": self.used,
            "skipped": dict(self.skipped),
            "waiting": self.waiting,
            "corrupt": self.corrupt,
            "reconnects": self.reconnects,
        }

    @classmethod
    def from_record(cls, record: State) -> Self:
        """Raises: ValueError if a number is missing, or they do not add up."""
        read = StateReader(record, cls.__name__)
        names = ("frames", "used", "waiting", "corrupt", "reconnects")
        seen, used, waiting, corrupt, reconnects = (read.integer(n, minimum=0) for n in names)
        reasons = read.child("skipped")
        each = StateReader(reasons, cls.__name__)
        skipped = {reason: each.integer(reason, minimum=0) for reason in reasons}
        if seen != used + sum(skipped.values()) + waiting:
            raise ValueError(f"{seen} frames were seen, but those used and skipped are not as many")
        return cls(seen, used, skipped, waiting, corrupt, reconnects)


def accounts_of(pairs: FramePairs, analysed: int, behind: int) -> Pair[Account]:
    """Both sides' accounts, while pairs may yet come.

    Args:
        analysed: pairs so far; read before this is called, so that no more are used than seen.
        behind: pairs that were given and not analysed, because the analysis was too slow.
    """
    corrupt = pairs.corrupt
    if isinstance(pairs, LivePairs):
        health = pairs.health()
        counts = health.map(lambda side: (side.seen, side.skipped, side.reconnects))
    else:
        unpaired, read = pairs.unpaired, pairs.read
        counts = Pair(
            (read.original, {"unpaired": unpaired.original}, 0),
            (read.deidentified, {"unpaired": unpaired.deidentified}, 0),
        )

    def account(side: tuple[int, Mapping[str, int], int], corrupt: int) -> Account:
        seen, reasons, reconnects = side
        skipped = +(Counter(reasons) + Counter({"behind": behind}))
        waiting = seen - analysed - skipped.total()
        return Account(seen, analysed, dict(skipped), waiting, corrupt, reconnects)

    return Pair(
        account(counts.original, corrupt.original),
        account(counts.deidentified, corrupt.deidentified),
    )


def coverage_of(root: Branch[Any, Any], paired: int, sides: Pair[Account]) -> dict[str, Any]:
    """Which frames were read and paired, and in which of them a face was found."""
    record: dict[str, Any] = {"paired": paired, **{side: {} for side in SIDES}}
    for branch in root.walk():
        for metric in branch.metrics:
            if isinstance(metric, Coverage):
                record = metric.to_record()
    for side, account in sides.items():
        counts = account.to_record()
        del counts["waiting"]
        alone = sum(account.skipped.get(reason, 0) for reason in ALONE)
        record[side] = {**counts, "unpaired": alone, **record[side]}
    return record
