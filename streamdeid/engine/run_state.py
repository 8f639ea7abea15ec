"""RunState: all that a run knows, as it is kept in a state file and combined with others."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Self

from streamdeid.engine.accounts import Account
from streamdeid.engine.branch import Branch
from streamdeid.errors import InputError
from streamdeid.pair import SIDES, Pair
from streamdeid.stats import State, StateReader

INCIDENTAL: Final = frozenset(
    {
        "source_images",
        "target_images",
        "offset_s",
        "openface",
        "provider",
        "models_dir",
        "timeline",
    }
)
"""Settings that may differ between runs that are combined: what matters of the pictures, and where
action units come from, is compared by the metrics, and models by their hashes."""

_RANGES: Final = 30
_LENGTH: Final = 32
"""Bits: 2**30 ranges of indices, each with room for 2**32 frame pairs: 4.5 years at 30 a second."""


def moment() -> str:
    """This moment in UTC, as ISO 8601 to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def random_range() -> int:
    """The first index of a run that nothing shall be confused with."""
    return secrets.randbits(_RANGES) << _LENGTH


def range_of(*names: str) -> int:
    """The first index of a run over these videos: the same every time, so that draws are."""
    digest = hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) >> (64 - _RANGES) << _LENGTH


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """What a run has seen so far.

    It holds no frames, and of the faces what the statistics need: means, spreads and histograms.
    Among them is the mean face embedding of each side, by which a person can be recognised; with
    `frames` of the settings also the embeddings of the frame pairs drawn. So it is to be guarded as
    the videos are.

    Attributes:
        settings: as `Settings.to_record` gives them.
        models: of each model its name and sha256, and what the report says besides.
        streams: what the report says of the videos.
        branches: what the metrics of each branch of the plan have seen.
        pairs: analysed so far.
        sides: what became of the frames.
        first_index, next_index: of the frame pairs.
        began, written: UTC, ISO 8601.
        wall_s: seconds of analysis, in all runs that it was resumed by.
        complete: the run has ended as it should.
        notes: sentences for the report.
    """

    settings: Mapping[str, Any]
    models: Sequence[Mapping[str, Any]]
    streams: Mapping[str, Any]
    branches: Sequence[State]
    pairs: int
    sides: Pair[Account]
    first_index: int
    next_index: int
    began: str
    written: str
    wall_s: float
    complete: bool
    notes: Sequence[str] = ()

    def to_state(self) -> dict[str, Any]:
        """As a state file holds it."""
        return {
            "settings": dict(self.settings),
            "models": list(self.models),
            "streams": dict(self.streams),
            "branches": list(self.branches),
            "pairs": self.pairs,
            "sides": {side: account.to_record() for side, account in self.sides.items()},
            "first_index": self.first_index,
            "next_index": self.next_index,
            "began": self.began,
            "written": self.written,
            "wall_s": self.wall_s,
            "complete": self.complete,
            "notes": list(self.notes),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, "a run")
        sides = StateReader(read.child("sides"), "a run")
        run = cls(
            settings=read.child("settings"),
            streams=read.child("streams"),
            pairs=read.integer("pairs", minimum=0),
            sides=Pair(*(Account.from_record(sides.child(side)) for side in SIDES)),
            first_index=read.integer("first_index", minimum=0),
            next_index=read.integer("next_index", minimum=0),
            wall_s=read.number("wall_s", minimum=0),
            complete=state.get("complete") is True,
            began=read.text("began"),
            written=read.text("written"),
            models=_list(state, "models", Mapping),
            branches=_list(state, "branches", Mapping),
            notes=_list(state, "notes", str),
        )
        if run.next_index - run.first_index < run.pairs:
            raise ValueError("state of a run: it has more frame pairs than indices")
        if any(account.used != run.pairs for _, account in run.sides.items()):
            raise ValueError("state of a run: its frame pairs are not those used of each side")
        return run

    def closed(self, reason: str) -> Self:
        """The same, when those of its frames that wait will never be analysed."""
        return replace(self, sides=self.sides.map(lambda account: account.closed(reason)))

    def refuse_unlike(self, other: RunState, here: str, there: str) -> None:
        """Find out whether two runs measured the same in the same way.

        Args:
            here, there: what to call this one and the other.

        Raises:
            InputError: they did not; the sentence names what differs.
        """
        names = sorted((self.settings.keys() | other.settings.keys()) - INCIDENTAL)
        for name in names:
            one, two = self.settings.get(name), other.settings.get(name)
            if one != two:
                raise InputError(
                    f"{there} does not belong to {here}: --{name.replace('_', '-')} is "
                    f"{_spelt(two)} there and {_spelt(one)} here."
                )
        ours, theirs = _hashes(self.models), _hashes(other.models)
        for name in sorted(ours.keys() | theirs.keys()):
            if ours.get(name) != theirs.get(name):
                raise InputError(
                    f"{there} does not belong to {here}: the model {name} is not the same file."
                )


def _spelt(value: Any) -> str:
    """A setting as it is typed, not as Python shows it."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool) or value is None:
        return "given" if value else "not given"
    return str(value)


def load_into(root: Branch[Any, Any], state: RunState, name: str) -> None:
    """Let a plan's metrics take over what a run has seen.

    Raises:
        InputError: it does not fit; the sentence calls it `name`.
    """
    branches = list(root.walk())
    if len(branches) != len(state.branches):
        raise InputError(
            f"{name} comes of another version of streamdeid, which takes {len(state.branches)} "
            f"steps where this one takes {len(branches)}: use that version, or measure anew."
        )
    try:
        for branch, seen in zip(branches, state.branches, strict=True):
            branch.load_state(seen)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{name} does not fit what is measured here: {error}. If the reference pictures have "
            "moved, give them with --source-image and --target-image."
        ) from error


def _list(state: State, name: str, kind: type) -> tuple[Any, ...]:
    found: Any = state.get(name)
    if not isinstance(found, list) or not all(isinstance(item, kind) for item in found):
        raise ValueError(f"state of a run: {name} is missing or no list of {kind.__name__}")
    return tuple(found)


def _hashes(models: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {str(model.get("name")): model.get("sha256") for model in models}
