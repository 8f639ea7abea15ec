"""What is known of the two videos, before they are read and after."""

from __future__ import annotations

import os
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from streamdeid.errors import SettingsError
from streamdeid.pair import Pair
from streamdeid.settings import Settings
from streamdeid.sources.connecting import is_live
from streamdeid.sources.live import LiveSource
from streamdeid.sources.offset import OffsetEstimate, estimate_offset
from streamdeid.sources.source import Source, open_source
from streamdeid.sources.uri import local_path, scheme_of

Video: TypeAlias = str | os.PathLike[str] | Source
"""The path of a video, or a source such as `ArraySource`."""

Offset: TypeAlias = Fraction | Literal["auto"]
"""Seconds that the de-identified video is late; "auto": still to be found."""

LONELY_SHARE: Final = 0.05
"""Of a side's frames; more without a partner are worth a note."""


_OF_A_SOURCE: Final = ("info", "notes", "__enter__", "__exit__", "__iter__", "skim", "close")


def check_videos(videos: Pair[Video]) -> None:
    """Refuse what is no video before models are loaded and files opened."""
    for name, video in (("original", videos.original), ("de-identified", videos.deidentified)):
        if not isinstance(video, str | os.PathLike) and not all(
            hasattr(video, needed) for needed in _OF_A_SOURCE
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


def is_stream(video: Video) -> bool:
    """Whether it is read while it comes."""
    if isinstance(video, str | os.PathLike):
        return is_live(os.fspath(video))
    return isinstance(video, LiveSource)


def file_of(video: Video) -> Path | None:
    """Where a video is, if it is a file of this machine."""
    if isinstance(video, str | os.PathLike) and scheme_of(os.fspath(video)) == "file":
        return local_path(video)
    return None


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


def faceless_notes(coverage: dict[str, Any], settings: Settings) -> list[str]:
    """A sentence for each side that shows no such face as `settings` wants followed.

    Only of a face chosen by its number: then others may well be there.
    """
    if not isinstance(settings.face, int) or settings.face == 0:
        return []
    return [
        f"No frame of the {name} video shows a face number {settings.face}: faces are counted "
        "from the left, from 0 (--face)."
        for name, side in (
            ("original", coverage["original"]),
            ("de-identified", coverage["deidentified"]),
        )
        if side["frames"] > 0 and side["with_face"] == 0
    ]


def streams_record(
    sources: Pair[Source], offset: Offset, found: OffsetEstimate | None
) -> dict[str, object]:
    """What the videos say of themselves, and how far they are apart, as the report holds it."""
    records: dict[str, object] = {name: _record(source) for name, source in sources.items()}
    return {**records, "offset": offset_record(offset, found)}


def _record(source: Source) -> dict[str, object]:
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
