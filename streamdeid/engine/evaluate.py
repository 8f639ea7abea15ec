"""evaluate: two videos in, a report out."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from time import perf_counter

from streamdeid.cores import one_blas_thread
from streamdeid.engine.crowding import crowding_of
from streamdeid.engine.events import OnProgress, Progress
from streamdeid.engine.models import Models
from streamdeid.engine.plan import plan
from streamdeid.engine.recorder import Course, Recorder
from streamdeid.engine.run import Run
from streamdeid.engine.run_state import moment, range_of
from streamdeid.engine.videos import (
    Offset,
    Video,
    check_videos,
    faceless_notes,
    file_of,
    find_offset,
    lonely_notes,
    offset_record,
    same_file_notes,
    streams_record,
)
from streamdeid.pair import Pair
from streamdeid.report.report import Report
from streamdeid.settings import Settings
from streamdeid.sources.joining import pair_frames
from streamdeid.sources.source import Source, open_source


@one_blas_thread()
def evaluate(
    original: Video,
    deidentified: Video,
    settings: Settings | None = None,
    *,
    on_progress: OnProgress | None = None,
    stop: Event | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every_s: float = 30.0,
) -> Report:
    """Measure how far `deidentified` hides the person in `original`, in one pass over both.

    Memory does not grow with the length of the videos.

    Args:
        original, deidentified: what to compare; sources are closed at the end.
        settings: what to measure and how; None: the defaults.
        on_progress: called about twice a second, in the calling thread.
        stop: set it, from any thread, to end early with a report of what was seen so far.
        checkpoint: file for the state of the run, which `streamdeid merge` takes; it is written
            every `checkpoint_every_s`, and at the end. Frame pairs are drawn by the names of the
            videos then, too, so that runs over different ones draw different pairs.

    Returns:
        The report. If the run was stopped or broke off, or OpenFace did, its `complete` is False
        and its notes say why: once frames flow, nothing that was computed is lost to an error.

    Raises:
        InputError: a video, a reference picture or a setting cannot be used, or the videos have
            no moment in common.
        ModelError, RuntimeMissingError: a model cannot be loaded.
        OutputError: the timeline cannot be opened.
    """
    began = perf_counter()
    check_videos(Pair(original, deidentified))
    settings = settings or Settings()
    models = Models(settings)
    first_index = 0
    if checkpoint is not None:
        names = [_name_of(video) for video in (original, deidentified)]
        first_index = range_of(*names, str(settings.offset_s))
    root = plan(settings, models, Pair(file_of(original), file_of(deidentified)), first_index)
    with ExitStack() as stack:
        stack.callback(root.close)
        sources = Pair(_open(original, stack), _open(deidentified, stack))
        notes = same_file_notes(Pair(original, deidentified))
        offset, found = find_offset(settings, Pair(original, deidentified))
        if found is not None:
            notes.append(found.note)
            if on_progress is not None:
                on_progress(Progress(0, 0.0, None, perf_counter() - began, message=found.note))
        pairs = pair_frames(sources.original, sources.deidentified, offset=offset)
        run = Run(
            root,
            pairs,
            duration=_common_duration(sources, offset),
            began=began,
            on_progress=on_progress,
            stop=stop or Event(),
            crowding=crowding_of(settings, pairs),
        )
        streams = streams_record(sources, offset, found)
        recorder = None
        if checkpoint is not None:
            course = Course(
                settings=settings.to_record(),
                models=models.records(),
                streams=streams,
                first_index=first_index,
                earlier=None,
                began=moment(),
            )
            recorder = stack.enter_context(
                Recorder(
                    run,
                    root,
                    course,
                    Path(checkpoint),
                    checkpoint_every_s,
                    lambda: (*notes, *run.notes),
                )
            )
            run.attend = recorder.attend
        complete = run.drive(settings.timeline)
        faults = root.faults()
        if recorder is not None:
            recorder.finish(complete=complete and not faults)
        coverage = run.coverage()
        if complete:
            notes += [*lonely_notes(coverage), *faceless_notes(coverage, settings)]
        return Report(
            complete=complete and not faults,
            scores=tuple(run.scores()),
            streams={**streams, "offset": offset_record(offset, found or pairs.found)},
            coverage=coverage,
            models=(*models.records(), *(stage.record() for stage in root.programs())),
            settings=settings.to_record(),
            performance=run.performance(),
            notes=(
                *notes,
                *pairs.notes,
                *sources.original.notes,
                *sources.deidentified.notes,
                *faults,
                *run.notes,  # the last one says why it ended, if it did so early
            ),
        )


def _name_of(video: Video) -> str:
    return str(video) if isinstance(video, str | os.PathLike) else video.info.uri


def _open(video: Video, stack: ExitStack) -> Source:
    source = open_source(video) if isinstance(video, str | os.PathLike) else video
    return stack.enter_context(source)


def _common_duration(sources: Pair[Source], offset: Offset) -> float | None:
    """Seconds of the original that have a counterpart; None if a side does not tell its length."""
    a, b = sources.original.info.duration, sources.deidentified.info.duration
    if a is None or b is None or offset == "auto":
        return None
    return max(float(min(a, b - offset)), 0.0)
