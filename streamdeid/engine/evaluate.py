"""evaluate: two videos in, a report out."""

from __future__ import annotations

import os
from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any, Final, Literal, TypeAlias

from streamdeid.engine.branch import Branch
from streamdeid.engine.crowding import crowding_of
from streamdeid.engine.events import OnProgress, Progress
from streamdeid.engine.models import Models
from streamdeid.engine.plan import plan
from streamdeid.engine.recorder import Course, Recorder
from streamdeid.engine.run import Run
from streamdeid.engine.run_state import moment, range_of
from streamdeid.errors import SettingsError
from streamdeid.pair import Pair
from streamdeid.report.report import Report
from streamdeid.settings import Settings
from streamdeid.sources.connecting import is_live
from streamdeid.sources.live import LiveSource
from streamdeid.sources.offset import OffsetEstimate, estimate_offset
from streamdeid.sources.pairing import pair_frames
from streamdeid.sources.source import Source, open_source
from streamdeid.sources.uri import local_path, scheme_of

Video: TypeAlias = str | os.PathLike[str] | Source
"""The path of a video, or a source such as `ArraySource`."""

Offset: TypeAlias = Fraction | Literal["auto"]
"""Seconds that the de-identified video is late; "auto": still to be found."""

LONELY_SHARE: Final = 0.05
"""Of a side's frames; more without a partner are worth a note."""


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
        streams = {
            **{name: stream_record(source) for name, source in sources.items()},
            "offset": offset_record(offset, found),
        }
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
        faults = faults_of(root)
        if recorder is not None:
            recorder.finish(complete=complete and not faults)
        coverage = run.coverage()
        if complete:
            notes += lonely_notes(coverage)
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
                *faults,
                *run.notes,
                *pairs.notes,
                *sources.original.notes,
                *sources.deidentified.notes,
            ),
        )


def faults_of(root: Branch[Any, Any]) -> list[str]:
    """What went wrong with the programs beside us."""
    return [stage.fault for stage in root.programs() if stage.fault is not None]


def check_videos(videos: Pair[Video]) -> None:
    """Refuse what is no video before models are loaded and files opened."""
    for name, video in (("original", videos.original), ("de-identified", videos.deidentified)):
        if not isinstance(video, str | os.PathLike) and not all(
            hasattr(video, needed) for needed in ("info", "notes", "__iter__", "skim", "close")
        ):
            raise SettingsError(
                f"The {name} video is {video!r:.80}; give a path, or a source such as ArraySource."
            )
    if videos.original is videos.deidentified and not isinstance(
        videos.original, str | os.PathLike
    ):
        raise SettingsError(
            "The original and the de-identified video are one and the same source, which can be "
            "read only once; open it twice."
        )


def file_of(video: Video) -> Path | None:
    """Where a video is, if it is a file of this machine."""
    if isinstance(video, str | os.PathLike) and scheme_of(os.fspath(video)) == "file":
        return local_path(video)
    return None


def _name_of(video: Video) -> str:
    return str(video) if isinstance(video, str | os.PathLike) else video.info.uri


def _open(video: Video, stack: ExitStack) -> Source:
    source = open_source(video) if isinstance(video, str | os.PathLike) else video
    return stack.enter_context(source)


def find_offset(settings: Settings, videos: Pair[Video]) -> tuple[Offset, OffsetEstimate | None]:
    """The shift between the videos and, if it was looked for, what was found.

    Of two live streams it is "auto" yet: their pictures are looked at while they come.

    Raises:
        SettingsError: it is to be found, but the videos cannot be looked at beforehand.
    """
    if settings.offset_s != "auto":
        return settings.offset_s, None
    if all(is_stream(video) for _, video in videos.items()):
        return "auto", None
    paths: list[str | os.PathLike[str]] = []
    for name, video in videos.items():
        if is_stream(video):
            raise SettingsError(
                f"--offset auto compares two files or two streams, but only the {name} video is a "
                "stream; give the seconds instead."
            )
        if not isinstance(video, str | os.PathLike):
            raise SettingsError(
                f"--offset auto reads the beginning of the videos twice, but the {name} one can be "
                "read only once; give the seconds instead."
            )
        paths.append(video)
    found = estimate_offset(*(partial(open_source, path) for path in paths))
    return found.offset, found


def offset_record(offset: Offset, found: OffsetEstimate | None) -> dict[str, object]:
    """How far the videos are apart, as the report holds it."""
    if found is None:
        return {"seconds": 0.0 if offset == "auto" else float(offset), "found": False}
    return {
        "seconds": float(found.offset),
        "found": True,
        "confidence": found.confidence,
        "note": found.note,
    }


def is_stream(video: Video) -> bool:
    """Whether it is read while it comes."""
    if isinstance(video, str | os.PathLike):
        return is_live(os.fspath(video))
    return isinstance(video, LiveSource)


def same_file_notes(videos: Pair[Video]) -> list[str]:
    """A sentence if both videos are one file."""
    paths = [video for _, video in videos.items() if isinstance(video, str | os.PathLike)]
    files = [local_path(path) for path in paths]
    if len(files) == 2 and all(file.exists() for file in files) and files[0].samefile(files[1]):
        return [
            "The original and the de-identified video are the same file: "
            "the figures are those of a video compared with itself."
        ]
    return []


def lonely_notes(coverage: dict[str, Any]) -> list[str]:
    """A sentence for each side of whose frames more than a few found no partner."""
    return [
        f"{side['unpaired']} of {side['frames']} {name} frames found no partner within half a "
        "frame: the videos have different lengths or frame rates, or start at different moments "
        "(--offset); if one video has a variable frame rate, bring both to the same constant rate."
        for name, side in (
            ("original", coverage["original"]),
            ("de-identified", coverage["deidentified"]),
        )
        if side["unpaired"] > LONELY_SHARE * side["frames"]
    ]


def _common_duration(sources: Pair[Source], offset: Offset) -> float | None:
    """Seconds of the original that have a counterpart; None if a side does not tell its length."""
    a, b = sources.original.info.duration, sources.deidentified.info.duration
    if a is None or b is None or offset == "auto":
        return None
    return max(float(min(a, b - offset)), 0.0)


def stream_record(source: Source) -> dict[str, object]:
    """What a video says of itself, as the report holds it."""
    info = source.info
    return {
        "uri": info.uri,
        "codec": info.codec,
        "pixel_format": info.pixel_format,
        "width": info.width,
        "height": info.height,
        "frame_rate": None if info.frame_rate is None else float(info.frame_rate),
        "duration_s": None if info.duration is None else float(info.duration),
        "rotation_deg": info.rotation_deg,
    }
