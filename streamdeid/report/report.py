"""Report: all that an evaluation found, frozen, versioned, the same after a trip through JSON."""

from __future__ import annotations

import difflib
import json
import math
import numbers
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from streamdeid import __version__
from streamdeid.errors import InputError
from streamdeid.score import Score

SCHEMA: Final = "streamdeid-report/1"
SCORE_KEYS: Final = frozenset({"value", "std", "count", "unit", "reason"})


def now() -> str:
    """This moment in UTC, as ISO 8601 to the second: "2030-01-31T12:00:00Z"."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one evaluation found, and all that is needed to judge and repeat it.

    Everything but the scores is held as JSON values: tuples become lists, paths strings,
    fractions floats. A number that is not finite becomes None with a note that says where it
    stood: a report is never lost over one figure, and never holds NaN.

    Attributes:
        complete: both videos were read as far as they can be, and all was measured that was asked
            for. That a file is itself cut off stands in `notes`.
        streams: what each video says of itself, under "original" and "deidentified".
        scores: in the order in which they are shown.
        coverage: which frames the scores rest on.
        models: of each model its name, sha256 and the provider that really ran it.
        settings: as `Settings.to_record` gives them.
        performance: wall_s, pairs_per_s, peak_rss_mb, seconds per stage.
        notes: sentences that a reader of the figures should know.
        created: when, in UTC, ISO 8601.
        version: of streamdeid.

    >>> report = Report(complete=True, scores=(Score("sharpness", 0.5, "rate", 8),))
    >>> report["sharpness"].value
    0.5
    >>> Report.from_json(report.to_json()) == report
    True
    """

    complete: bool
    scores: tuple[Score, ...] = ()
    streams: Mapping[str, Any] = field(default_factory=dict)
    coverage: Mapping[str, Any] = field(default_factory=dict)
    models: tuple[Mapping[str, Any], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    performance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    created: str = field(default_factory=now)
    version: str = __version__

    def __post_init__(self) -> None:
        lost: list[str] = []
        for name in ("streams", "coverage", "settings", "performance"):
            object.__setattr__(self, name, _plain(getattr(self, name), name, lost))
        models = tuple(_plain(list(self.models), "models", lost))
        scores = tuple(_plain_score(score, lost) for score in self.scores)
        notes = [f"{where} was not a finite number: null stands in its place." for where in lost]
        object.__setattr__(self, "models", models)
        object.__setattr__(self, "scores", scores)
        object.__setattr__(self, "notes", (*_plain(list(self.notes), "notes", lost), *notes))

    def __getitem__(self, name: str) -> Score:
        """The score of that name.

        Raises:
            KeyError: there is none; the message names the nearest ones.
        """
        for score in self.scores:
            if score.name == name:
                return score
        near = difflib.get_close_matches(name, list(self), n=3)
        raise KeyError(f"no score {name!r}" + (f"; near: {', '.join(near)}" if near else ""))

    def __contains__(self, name: object) -> bool:
        return any(score.name == name for score in self.scores)

    def __iter__(self) -> Iterator[str]:
        """The names of the scores."""
        return (score.name for score in self.scores)

    def to_record(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "schema": SCHEMA,
            "complete": self.complete,
            "created": self.created,
            "version": self.version,
            "streams": self.streams,
            "scores": {score.name: score.to_record() for score in self.scores},
            "coverage": self.coverage,
            "models": list(self.models),
            "settings": self.settings,
            "performance": self.performance,
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """The report as it is written: indented, one line feed at the end, never NaN."""
        return json.dumps(self.to_record(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The report that `to_json` wrote.

        Raises:
            InputError: the text is no JSON, or no report of this schema.
        """
        try:
            record = json.loads(text, parse_constant=_refuse_constant)
        except ValueError as error:
            raise InputError(
                f"this is not a streamdeid report, for it is not JSON: {error}."
            ) from (error)
        schema = record.get("schema") if isinstance(record, dict) else None
        if schema != SCHEMA:
            found = f"its schema is {schema!r}" if schema else "it names no schema"
            raise InputError(
                f"this is not a report that streamdeid {__version__} reads: "
                f"{found}, and it must be {SCHEMA!r}."
            )
        try:
            return cls._from_record(record)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"this report of schema {SCHEMA} is damaged: {error!r}.") from error

    @classmethod
    def _from_record(cls, record: Mapping[str, Any]) -> Report:
        """What a newer minor version added beside our keys is left aside."""
        own = {item.name: record[item.name] for item in fields(cls)}
        own["scores"] = tuple(_score(name, entry) for name, entry in record["scores"].items())
        return cls(**own | {name: tuple(own[name]) for name in ("models", "notes")})

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Report:
        """The report in a file.

        Raises:
            InputError: it cannot be read, or is no report of this schema.
        """
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not a streamdeid report: it is not text.") from error
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def _score(name: str, entry: Mapping[str, Any]) -> Score:
    known = {key: entry[key] for key in SCORE_KEYS}
    return Score(name, **known, details={k: v for k, v in entry.items() if k not in SCORE_KEYS})


def _plain_score(score: Score, lost: list[str]) -> Score:
    where = f"scores.{score.name}"
    return replace(
        score,
        value=_plain(score.value, where, lost),
        std=_plain(score.std, where, lost),
        count=int(score.count),
        details=_plain(score.details, where, lost),
    )


def _plain(value: Any, where: str, lost: list[str]) -> Any:
    """`value` as JSON values; the places of numbers that JSON cannot hold are added to `lost`."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):  # names of files may hold bytes that are no UTF-8
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}", lost) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item, f"{where}[{n}]", lost) for n, item in enumerate(value)]
    if isinstance(value, os.PathLike):
        return _plain(os.fsdecode(value), where, lost)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        if math.isfinite(value):
            return float(value)
        lost.append(where)
        return None
    if hasattr(value, "tolist"):  # numpy's arrays and its bool, without importing numpy
        return _plain(value.tolist(), where, lost)
    raise TypeError(f"{where}: a {type(value).__name__} has no place in a report")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
