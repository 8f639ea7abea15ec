"""watch: two videos of which at least one is being made → rolling results, and a report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any, Final, TypeAlias

from streamdeid.cores import one_blas_thread
from streamdeid.engine.accounts import Account
from streamdeid.engine.branch import Branch
from streamdeid.engine.checkpoint import read_run
from streamdeid.engine.crowding import crowding_of
from streamdeid.engine.live.status import Event as Happening
from streamdeid.engine.live.status import Status
from streamdeid.engine.live.streams import gave_up, open_watched, wait_for_frames
from streamdeid.engine.live.watcher import Watcher, Watching, alignment_record
from streamdeid.engine.merge import report_of
from streamdeid.engine.models import Models
from streamdeid.engine.plan import plan
from streamdeid.engine.recorder import Course, Recorder
from streamdeid.engine.run import Run
from streamdeid.engine.run_state import RunState, load_into, moment, random_range
from streamdeid.engine.videos import (
    Video,
    check_videos,
    faceless_notes,
    file_of,
    find_offset,
    is_stream,
    lonely_notes,
    offset_record,
    same_file_notes,
    streams_record,
)
from streamdeid.errors import InputError, SettingsError
from streamdeid.frame import FramePair
from streamdeid.pair import Pair
from streamdeid.report.report import Report
from streamdeid.settings import BEARABLE, Settings
from streamdeid.sources.joining import pair_frames
from streamdeid.sources.live_pairing import LivePairs
from streamdeid.sources.source import Source

OnStart: TypeAlias = Callable[[Watcher, Callable[[], Report]], None]

_NOBODY: Final = Pair(Account(), Account())


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


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who is told how a run goes.

    Attributes:
        on_start: called once frames flow, with what can be asked from any thread: how the run
            stands, and what it would report, of the scores that take no time to compute.
        on_line: called with the status now and then, and at the end, in the driving thread.
        on_event: called with everything that happens, from several threads.
    """

    on_start: OnStart = lambda watcher, report: None  # noqa: ARG005
    on_line: Callable[[Status], None] = lambda status: None  # noqa: ARG005
    on_event: Callable[[Happening], None] = lambda event: None  # noqa: ARG005


@one_blas_thread()
def watch(
    original: Video,
    deidentified: Video,
    settings: Settings | None = None,
    watching: Watching | None = None,
    *,
    checkpoint: Checkpoint | None = None,
    listeners: Listeners | None = None,
    stop: Event | None = None,
) -> Report:
    """Measure two videos while they come, as `evaluate` does, and tell of it meanwhile.

    Where the analysis is slower than a stream, frame pairs are left out and counted, as
    `watching.when_behind` says. Identity, expression, quality and coverage take any pairs, so
    theirs are left out evenly. Realism needs pairs that follow each other, so with it pairs are
    left out in between blocks, which are as long as memory allows, whatever the policy; at the
    beginning of a block stages forget what they saw. Files wait.

    Args:
        original, deidentified, settings: as for `evaluate`; without settings identity and
            expression are measured, which two cores bear.
        watching: how; None: the defaults.
        checkpoint: where the state is kept; None: nowhere.
        listeners: who is told; None: nobody.
        stop: set it, from any thread, to end with the report of what was seen so far.

    Returns:
        The report, of all that was seen since the beginning, before it was resumed, too. Its
        `complete` is False if the run was stopped, broke off, or a stream was given up.

    Raises:
        InputError, ModelError, RuntimeMissingError, OutputError: as `evaluate`; and the state to go
            on from does not fit, or one is there and was not to be resumed.
    """
    began, started = perf_counter(), moment()
    videos = Pair(original, deidentified)
    check_videos(videos)
    watching, stop = watching or Watching(), stop or Event()
    settings = settings or Settings(metrics=BEARABLE)
    if settings.frames is not None:
        raise SettingsError(
            "--frames draws from a whole recording; a watched stream has no end: leave it out."
        )
    if checkpoint is not None and checkpoint.resume and settings.timeline is not None:
        _check_rows(settings.timeline)
    earlier = None if checkpoint is None else _earlier(checkpoint, videos)
    offset, found = find_offset(settings, videos)
    models = Models(settings)
    first_index = random_range() if earlier is None else earlier.next_index + 1
    live = any(is_stream(video) for _, video in videos.items())
    root = plan(settings, models, videos.map(file_of), first_index, live=live)
    with ExitStack() as stack:
        stack.callback(root.close)
        Watcher.check_alerts(root, watching.alerts)
        sources = Pair(
            stack.enter_context(open_watched(original, watching)),
            stack.enter_context(open_watched(deidentified, watching)),
        )
        notes = same_file_notes(videos)
        course = Course(
            settings=settings.to_record(),
            models=models.records(),
            streams={},
            first_index=first_index,
            earlier=None,
            began=started,
        )
        if earlier is not None and checkpoint is not None:
            nothing = course.state((), 0, _NOBODY, 0.0, complete=False, notes=())
            nothing.refuse_unlike(earlier, "this run", str(checkpoint.path))
            notes.append(_resumed(checkpoint.path, earlier, started))
        listeners = listeners or Listeners()
        troubles: list[str] = []

        def tell(trouble: str) -> None:
            troubles.append(trouble)
            listeners.on_event(Happening(moment(), "note", trouble, {}))

        if not wait_for_frames(sources, watching, stop, tell):
            notes += ["The run ended before the first frame of both videos came.", *troubles]
            if earlier is not None and checkpoint is not None:
                load_into(root, earlier, str(checkpoint.path))
                course = replace(course, streams=earlier.streams, earlier=earlier)
            never = course.state((), 0, _NOBODY, 0.0, complete=False, notes=notes)
            return report_of(root, [never], settings, ())
        streams = streams_record(sources, offset, found)
        pairs = pair_frames(
            sources.original,
            sources.deidentified,
            offset=offset,
            when_behind=watching.when_behind,
        )
        run = Run(
            root,
            pairs,
            duration=None,
            began=began,
            on_progress=None,
            stop=stop,
            crowding=crowding_of(settings, pairs, watching.when_behind),
        )
        watcher = Watcher(
            run,
            root,
            sources,
            pairs,
            watching,
            earlier=earlier,
            on_line=listeners.on_line,
            on_event=listeners.on_event,
        )
        if earlier is not None and checkpoint is not None:
            load_into(root, earlier, str(checkpoint.path))
            watcher.tell("resumed", notes[-1])
        course = replace(course, streams=streams, earlier=earlier)
        going = _Live(root, run, watcher, course, settings, sources, notes)
        return going.drive(checkpoint, listeners)


@dataclass(slots=True)
class _Live:
    """A run whose frames flow."""

    root: Branch[FramePair, Any]
    run: Run
    watcher: Watcher
    course: Course
    settings: Settings
    sources: Pair[Source]
    notes: list[str]

    def drive(self, checkpoint: Checkpoint | None, listeners: Listeners) -> Report:
        """Analyse all that comes; what there is to be said of it."""
        run = self.run
        with ExitStack() as stack:
            recorder = None
            if checkpoint is not None:
                path, every_s = checkpoint.path, checkpoint.every_s
                recorder = stack.enter_context(
                    Recorder(run, self.root, self.course, path, every_s, self._notes_so_far)
                )
            attendants = [self.watcher.attend, *([recorder.attend] if recorder else [])]

            def attend() -> None:
                for attendant in attendants:
                    attendant()

            run.attend = attend
            listeners.on_start(self.watcher, lambda: self.report(complete=False, live=True))
            resumed = self.course.earlier is not None
            complete = run.drive(self.settings.timeline, append=resumed)
            complete = complete and not gave_up(self.sources)
            faults = self.root.faults()
            self.notes += faults
            complete = complete and not faults
            if recorder is not None:
                recorder.finish(complete=complete)
        self.watcher.end()
        self.notes += [*run.notes, *self._of_sources(complete)]
        return self.report(complete=complete)

    def report(self, *, complete: bool, live: bool = False) -> Report:
        """The report; while the run is `live`, with those scores that take no time."""
        pairs, run = self.watcher.pairs, self.run
        alignment = alignment_record(pairs)
        course = self.course
        if alignment is not None:
            course = replace(course, streams={**course.streams, "alignment": alignment})
        if pairs.found is not None:
            offset = offset_record(pairs.found.offset, pairs.found)
            course = replace(course, streams={**course.streams, "offset": offset})
        notes = self._notes_so_far() if live else self.notes
        sides = run.accounts()
        state = course.state((), sides.original.used, sides, 0.0, complete=complete, notes=notes)
        report = report_of(self.root, [state], self.settings, (), live=live)
        programs = [stage.record() for stage in self.root.programs()]
        models = (*report.models, *programs)
        return replace(report, models=models, performance=run.performance())

    def _notes_so_far(self) -> list[str]:
        return [*self.notes, *self.run.notes]

    def _of_sources(self, complete: bool) -> list[str]:
        pairs = self.watcher.pairs
        notes = [note for _, source in self.sources.items() for note in source.notes]
        coverage = self.run.coverage()
        if complete and not isinstance(pairs, LivePairs):
            notes = [*lonely_notes(coverage), *notes]
        if complete:
            notes += faceless_notes(coverage, self.settings)
        return [*pairs.notes, *notes]


def _earlier(checkpoint: Checkpoint, videos: Pair[Video]) -> RunState | None:
    """What is to be gone on from.

    Raises:
        InputError: it can't be, or something is there that was not to be.
    """
    if not checkpoint.path.exists():
        return None
    if not checkpoint.resume:
        raise InputError(
            f"--checkpoint {checkpoint.path} is there already: give --resume to go on from it, "
            "or another name."
        )
    if not any(is_stream(video) for _, video in videos.items()):
        raise InputError(
            "--resume goes on with a stream; two files would be read from their beginning again, "
            "and their frames be counted twice."
        )
    return read_run(checkpoint.path).closed("lost")


def _check_rows(timeline: Path) -> None:
    """Refuse at the first start what could not be gone on with at the second."""
    if timeline.suffix == ".parquet":
        raise SettingsError(
            f"--timeline {timeline}: Parquet takes no more rows once it is closed, so --resume "
            "could not go on with it; name it .csv or .jsonl."
        )


def _resumed(path: Path, earlier: RunState, started: str) -> str:
    try:
        apart = datetime.fromisoformat(started) - datetime.fromisoformat(earlier.written)
        seconds = apart.total_seconds()
        # Below 0 where the machine's clock was set back meanwhile.
        missed = f"the {seconds:.0f} s" if seconds >= 0 else "the time"
    except (TypeError, ValueError):  # another program has written the file
        missed = "the time"
    return (
        f"Resumed from {path}: {earlier.pairs} frame pairs until {earlier.written}; nothing is "
        f"known of {missed} until {started}."
    )
