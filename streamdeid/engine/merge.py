"""merge: the states of several runs → one report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any, TypeAlias

from streamdeid.cores import one_blas_thread
from streamdeid.engine.accounts import Account, coverage_of
from streamdeid.engine.branch import Branch
from streamdeid.engine.checkpoint import read_run
from streamdeid.engine.models import Models
from streamdeid.engine.plan import plan
from streamdeid.engine.run_state import RunState, load_into
from streamdeid.errors import InputError, SettingsError
from streamdeid.pair import Pair
from streamdeid.report.report import Report
from streamdeid.settings import Settings

Named: TypeAlias = tuple[str, RunState]


@one_blas_thread()
def merge(paths: Sequence[str | os.PathLike[str]], settings: Settings | None = None) -> Report:
    """What a single run over all that these runs have seen would report.

    Means, spreads, rates and distances are those of one pass, up to rounding; quantiles are within
    the width of a bin, as always. Runs of frames are not joined across two runs. Where frame pairs
    were drawn, they are drawn again among those of all runs, each equally likely.

    Args:
        paths: of state files; they are put in order of the time when they began.
        settings: those of the states, where pictures and models are now; None: where they were.

    Returns:
        The report; its `complete` is False if one of the runs was not.

    Raises:
        InputError: a file cannot be read, or the runs do not belong together.
        ModelError: a model cannot be loaded.
    """
    if not paths:
        raise InputError("there is nothing to merge: give at least one state.")
    runs = [(os.fspath(path), read_run(path)) for path in paths]
    runs.sort(key=lambda named: named[1].began)
    _refuse_the_same_frames(runs)
    name, first = runs[0]
    for other, run in runs[1:]:
        first.refuse_unlike(run, name, other)
    settings = settings or _settings(first, name, {})
    models = Models(settings)
    root = _loaded(settings, models, first, name)
    for other, run in runs[1:]:
        root_of_other = _loaded(settings, models, run, other)
        for branch, later in zip(root.walk(), root_of_other.walk(), strict=True):
            branch.merge(later)
    return report_of(root, [run for _, run in runs], settings, [_told(*named) for named in runs])


def settings_of(path: str | os.PathLike[str], choices: Mapping[str, Any]) -> Settings:
    """The settings in a state file, with `choices` in place of those of the same name.

    Raises:
        InputError: the file cannot be read, or the settings make no sense.
    """
    return _settings(read_run(path), os.fspath(path), choices)


def report_of(
    root: Branch[Any, Any],
    runs: Sequence[RunState],
    settings: Settings,
    notes: Sequence[str],
    *,
    live: bool = False,
) -> Report:
    """The report of runs whose frames the metrics of `root` have seen.

    Args:
        live: with those scores only whose answer does not hold up a run.
    """
    ended = [run.closed("ended") for run in runs]
    sides = Pair(
        reduce(Account.__add__, (run.sides.original for run in ended)),
        reduce(Account.__add__, (run.sides.deidentified for run in ended)),
    )
    paired, wall_s = sum(run.pairs for run in runs), sum(run.wall_s for run in runs)
    streams = dict(runs[0].streams)
    if len(runs) > 1:
        streams["runs"] = [
            {"began": run.began, "written": run.written, "pairs": run.pairs, **dict(run.streams)}
            for run in runs
        ]
    return Report(
        complete=all(run.complete for run in runs),
        scores=tuple(score for branch in root.walk() for score in branch.scores(live=live)),
        streams=streams,
        coverage=coverage_of(root, paired, sides),
        models=tuple(runs[0].models),
        settings=settings.to_record(),
        performance={
            "wall_s": wall_s,
            "pairs_per_s": paired / wall_s if wall_s > 0 else 0.0,
            "peak_rss_mb": None,
            "seconds": {},
        },
        notes=(*notes, *(note for run in runs for note in run.notes)),
    )


def _refuse_the_same_frames(runs: Sequence[Named]) -> None:
    by_index = sorted(runs, key=lambda named: named[1].first_index)
    for (one, earlier), (other, later) in pairwise(by_index):
        if later.first_index < earlier.next_index:
            raise InputError(
                f"{one} and {other} hold the same frames: they are states of one run, or of runs "
                "over the same videos. Give the latest of them only."
            )


def _settings(run: RunState, name: str, choices: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**{**run.settings, "timeline": None, **choices})
    except (SettingsError, TypeError) as error:
        raise InputError(
            f"{name} has settings that this version does not know: {error}."
        ) from error


def _loaded(settings: Settings, models: Models, run: RunState, name: str) -> Branch[Any, Any]:
    root = plan(settings, models)
    load_into(root, run, name)
    used = {record["name"]: record["sha256"] for record in models.records()}
    for record in run.models:
        if used.get(record.get("name"), record.get("sha256")) != record.get("sha256"):
            raise InputError(
                f"{name} was measured with another file of the model {record.get('name')}; name "
                "its folder with --models-dir."
            )
    return root


def _told(name: str, run: RunState) -> str:
    end = "" if run.complete else ", and not complete"
    return f"{name}: {run.pairs} frame pairs, from {run.began} to {run.written}{end}."
