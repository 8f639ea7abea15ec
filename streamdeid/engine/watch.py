"""watch: two videos of which at least one is being made → rolling results, and a report."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from threading import Event
from time import monotonic, perf_counter
from typing import Any, Final, TypeAlias

from streamdeid.engine.accounts import Account
from streamdeid.engine.branch import Branch
from streamdeid.engine.checkpoint import read_run
from streamdeid.engine.evaluate import (
    Video,
    check_videos,
    find_offset,
    lonely_notes,
    same_file_notes,
    stream_record,
)
from streamdeid.engine.merge import report_of
from streamdeid.engine.models import Models
from streamdeid.engine.plan import plan
from streamdeid.engine.read_ahead import Crowding
from streamdeid.engine.recorder import Course, Recorder
from streamdeid.engine.run import Run
from streamdeid.engine.run_state import RunState, load_into, moment, random_range
from streamdeid.engine.status import Event as Happening
from streamdeid.engine.status import Status
from streamdeid.engine.watcher import Watcher, Watching, alignment_record
from streamdeid.errors import InputError, SettingsError
from streamdeid.frame import FramePair
from streamdeid.pair import Pair
from streamdeid.report.report import Report
from streamdeid.settings import Settings
from streamdeid.sources.connecting import is_live
from streamdeid.sources.live import LiveSource
from streamdeid.sources.live_pairing import LivePairs
from streamdeid.sources.pairing import FramePairs, pair_frames
from streamdeid.sources.source import Source, open_source

OnStart: TypeAlias = Callable[[Watcher, Callable[[], Report]], None]

IN_BLOCKS: Final = frozenset({"realism", "fvd", "fsmetric"})
"""Metrics of frames that follow each other at equal steps. All others take any pairs."""

_LOOK_EVERY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the state of a run is kept.

    Attributes:
        path: of the file.
        every_s: seconds between two states.
        resume: go on from what is there; if there is nothing, begin.
    """

    path: Path
    every_s: float = 30.0
    resume: bool = False


def watch(
    original: Video,
    deidentified: Video,
    settings: Settings | None = None,
    watching: Watching | None = None,
    *,
    checkpoint: Checkpoint | None = None,
    on_start: OnStart = lambda watcher, report: None,  # noqa: ARG005
    on_line: Callable[[Status], None] = lambda status: None,  # noqa: ARG005
    on_event: Callable[[Happening], None] = lambda event: None,  # noqa: ARG005
    stop: Event | None = None,
) -> Report:
    """Measure two videos while they come, as `evaluate` does, and tell of it meanwhile.

    Where the analysis is slower than a stream, frame pairs are left out and counted, as
    `watching.when_behind` says. Identity, expression, quality and coverage take any pairs, so
    theirs are left out evenly. Realism needs pairs that follow each other, so with it pairs are
    left out in between blocks, which are as long as memory allows, whatever the policy; at the
    beginning of a block stages forget what they saw. Files wait.

    Args:
        original, deidentified, settings: as for `evaluate`.
        watching: how; None: the defaults.
        checkpoint: where the state is kept; None: nowhere.
        on_start: called once frames flow, with what can be asked from any thread: how the run
            stands, and what it would report, of the scores that take no time to compute.
        on_line: called every `watching.every_s`, and at the end.
        on_event: called with everything that happens; from several threads.
        stop: set it, from any thread, to end with the report of what was seen so far.

    Returns:
        The report, of all that was seen since the beginning, before it was resumed, too. Its
        `complete` is False if the run was stopped, broke off, or a stream was given up.

    Raises:
        InputError, ModelError, RuntimeMissingError, OutputError: as `evaluate`; and the state to go
            on from does not fit, or one is there and was not to be resumed.
    """
    began, started = perf_counter(), moment()
    check_videos(Pair(original, deidentified))
    settings, watching, stop = settings or Settings(), watching or Watching(), stop or Event()
    if settings.frames is not None:
        raise SettingsError(
            "--frames draws from a whole recording; a watched stream has no end: leave it out."
        )
    earlier = _earlier(checkpoint, Pair(original, deidentified))
    models = Models(settings)
    first_index = random_range() if earlier is None else earlier.next_index + 1
    root = plan(settings, models, first_index)
    with ExitStack() as stack:
        sources = Pair(
            stack.enter_context(_open(original, watching)),
            stack.enter_context(_open(deidentified, watching)),
        )
        notes = same_file_notes(Pair(original, deidentified))
        course = Course(
            settings=settings.to_record(),
            models=models.records(),
            streams={},
            first_index=first_index,
            earlier=None,
            began=started,
        )
        if earlier is not None and checkpoint is not None:
            name = str(checkpoint.path)
            _nothing_yet(course).refuse_unlike(earlier, "this run", name)
            notes.append(
                f"Resumed from {name}: {earlier.pairs} frame pairs until {earlier.written}; "
                f"nothing is known of the {_seconds_since(earlier.written):.0f} s until {started}."
            )
        if not _wait_for_frames(sources, watching, stop):
            notes.append("The run ended before the first frame of both videos came.")
            never = replace(course.state((), 0, _NOBODY, 0.0, complete=False, notes=notes))
            return report_of(root, [never], settings, ())
        offset, finding = find_offset(settings, Pair(original, deidentified))
        streams: dict[str, Any] = {name: stream_record(source) for name, source in sources.items()}
        streams["offset"] = finding or {"seconds": float(offset), "found": False}
        pairs = _join(sources, offset, watching)
        crowding = _crowding(settings, watching, pairs)
        run = Run(
            root,
            pairs,
            duration=None,
            began=began,
            on_progress=None,
            stop=stop,
            crowding=crowding,
        )
        watcher = Watcher(
            run,
            root,
            sources,
            pairs,
            watching,
            earlier=earlier,
            on_line=on_line,
            on_event=on_event,
            blocks=crowding == "blocks",
        )
        if earlier is not None and checkpoint is not None:
            load_into(root, earlier, str(checkpoint.path))
            watcher.tell("resumed", notes[-1])
        course = replace(course, streams=streams, earlier=earlier)
        complete = _drive(
            run, root, course, watcher, checkpoint, settings, stack, notes, on_start
        ) and not _gave_up(sources)
        watcher.end()
        notes += [*run.notes, *_behind_notes(run, crowding)]
        if not isinstance(pairs, LivePairs) and complete:
            notes += lonely_notes(run.coverage())
        if isinstance(pairs, LivePairs):
            notes += pairs.notes
        notes += [note for _, source in sources.items() for note in source.notes]
        alignment = alignment_record(pairs)
        if alignment is not None:
            course = replace(course, streams={**streams, "alignment": alignment})
        state = course.state((), run.analysed, run.accounts(), 0.0, complete=complete, notes=notes)
        report = report_of(root, [state], settings, ())
        return replace(report, performance=run.performance())


_NOBODY: Final = Pair(Account(), Account())


def _nothing_yet(course: Course) -> RunState:
    return course.state((), 0, _NOBODY, 0.0, complete=False, notes=())


def _drive(
    run: Run,
    root: Branch[FramePair, Any],
    course: Course,
    watcher: Watcher,
    checkpoint: Checkpoint | None,
    settings: Settings,
    stack: ExitStack,
    notes: Sequence[str],
    on_start: OnStart,
) -> bool:
    """Analyse all that comes; whether it ended as it should."""
    attendants = [watcher.attend]
    recorder = None
    if checkpoint is not None:
        recorder = stack.enter_context(
            Recorder(
                run,
                root,
                course,
                checkpoint.path,
                checkpoint.every_s,
                lambda: [*notes, *run.notes],
            )
        )
        attendants.append(recorder.attend)

    def attend() -> None:
        for attendant in attendants:
            attendant()

    run.attend = attend

    def report() -> Report:
        state = course.state(
            (),
            run.analysed,
            run.accounts(),
            0.0,
            complete=False,
            notes=[*notes, *run.notes],
        )
        now = report_of(root, [state], settings, (), live=True)
        return replace(now, performance=run.performance())

    on_start(watcher, report)
    complete = run.drive(settings.timeline)
    if recorder is not None:
        recorder.finish(complete=complete)
    return complete


def _earlier(checkpoint: Checkpoint | None, videos: Pair[Video]) -> RunState | None:
    """What is to be gone on from.

    Raises:
        InputError: it can't be, or something is there that was not to be.
    """
    if checkpoint is None or not checkpoint.path.exists():
        return None
    if not checkpoint.resume:
        raise InputError(
            f"--checkpoint {checkpoint.path} is there already: give --resume to go on from it, "
            "or another name."
        )
    if not any(_is_stream(video) for _, video in videos.items()):
        raise InputError(
            "--resume goes on with a stream; two files would be read from their beginning again, "
            "and their frames be counted twice."
        )
    return read_run(checkpoint.path).closed("lost")


def _is_stream(video: Video) -> bool:
    if isinstance(video, str | os.PathLike):
        return is_live(os.fspath(video))
    return isinstance(video, LiveSource)


def _open(video: Video, watching: Watching) -> Source:
    if not isinstance(video, str | os.PathLike):
        return video
    if not is_live(os.fspath(video)):
        return open_source(video)
    return LiveSource(
        os.fspath(video),
        transport=watching.transport,
        give_up_after_s=watching.give_up_after_s,
        when_behind="wait" if watching.when_behind == "wait" else None,
    )


def _wait_for_frames(sources: Pair[Source], watching: Watching, stop: Event) -> bool:
    """Wait for the first frame of each stream; False if the run is to end before."""
    end = monotonic() + (watching.duration_s or float("inf"))
    for _, source in sources.items():
        while isinstance(source, LiveSource) and not source.ready(_LOOK_EVERY_S):
            if stop.is_set() or monotonic() > end:
                return False
    return True


def _join(sources: Pair[Source], offset: Fraction, watching: Watching) -> FramePairs:
    if not any(source.info.live for _, source in sources.items()):
        return pair_frames(sources.original, sources.deidentified, offset=offset)
    return LivePairs(
        sources.original,
        sources.deidentified,
        offset=offset,
        when_behind=watching.when_behind,
    )


def _crowding(settings: Settings, watching: Watching, pairs: FramePairs) -> Crowding:
    if watching.when_behind == "wait" or not isinstance(pairs, LivePairs):
        return "wait"
    return "blocks" if IN_BLOCKS.intersection(settings.metrics) else watching.when_behind


def _gave_up(sources: Pair[Source]) -> bool:
    """Whether a stream that has no end of its own was waited for in vain."""
    streams = [source for _, source in sources.items() if isinstance(source, LiveSource)]
    return any("was given up" in note for source in streams for note in source.notes)


def _behind_notes(run: Run, crowding: Crowding) -> list[str]:
    behind = run.accounts().original.skipped.get("behind", 0)
    if behind == 0:
        return []
    how = "one by one" if crowding != "blocks" else f"between {run.blocks + 1} blocks of pairs"
    return [
        f"The analysis was slower than the streams: {behind} original frames were left out, {how}."
    ]


def _seconds_since(when: str) -> float:
    try:
        return (datetime.fromisoformat(moment()) - datetime.fromisoformat(when)).total_seconds()
    except (TypeError, ValueError):
        return 0.0
