"""open_video: a file becomes a container and its video stream, or one sentence why not."""

from __future__ import annotations

import stat
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from streamdeid.errors import SourceError

OPEN_TIMEOUT_S = 30.0
"""Seconds until a file is given up whose beginning makes FFmpeg search without end."""

READ_TIMEOUT_S = 60.0
"""Seconds that one packet may take: a disk may have to wake up, a network drive to come back."""

_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_COVER = Disposition.attached_pic | Disposition.timed_thumbnails


def open_video(path: Path) -> tuple[InputContainer, VideoStream]:
    """Open a local file and find its video; the caller closes the container.

    Raises:
        SourceError: with the file's name, what is wrong with it, and what to do.
    """
    _check_readable(path)
    container = _open(path)
    try:
        return container, _video_stream(container, path)
    except BaseException:
        container.close()
        raise


def _check_readable(path: Path) -> None:
    """Tell apart what FFmpeg's messages do not."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise SourceError(f"{path} is a folder, not a video; name a file in it.")
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe nobody writes to would wait for good.
            raise SourceError(
                f'{path} is a pipe or device, not a file; pass "-" and make it the standard input, '
                f"or name a camera as v4l2:{path}."
            )
        with path.open("rb") as file:
            beginning = file.read(16)
    except FileNotFoundError as error:
        raise SourceError(f"There is no file {path}; check its name and folder.") from error
    except PermissionError as error:
        raise SourceError(
            f"{path} may not be read by this user; change its permissions or its owner."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise SourceError(
            f"{str(path)!r} cannot be read ({error}); check its name and the disk."
        ) from error
    if not beginning:
        raise SourceError(f"{path} is empty (0 bytes); copy or record it again.")
    if beginning.removeprefix(b"\xef\xbb\xbf").startswith(b"#EXTM3U"):
        # FFmpeg tries for good to get what a playlist names, if it may not.
        raise SourceError(f"{path} is a playlist, not a video; give the video file it names.")


def _open(path: Path) -> InputContainer:
    try:
        container = av.open(
            # The protocol keeps a name such as "-x.mp4" or "a:b.mp4" from being anything else.
            f"file:{path.absolute()}",
            "r",
            # What a list of files may open: no network.
            options={"protocol_whitelist": "file"},
            metadata_errors="replace",
            timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S),
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise SourceError(_why_not(path)) from error
    if container.format.name.endswith("_pipe") or container.format.name == "image2":
        container.close()
        raise SourceError(f"{path} is a picture, not a video; give a video file.")
    if container.format.name == "tty":  # FFmpeg plays any .txt as a terminal
        container.close()
        raise SourceError(f"{path} is a text, not a video; give a video file.")
    return container


def _why_not(path: Path) -> str:
    with path.open("rb") as file:
        beginning = file.read(8)
    if beginning[4:] in _MP4_BOXES:
        return (
            f"{path} is an MP4 or MOV file without a usable index (its moov atom): recording or "
            "copying was cut off; copy it again, or rebuild the index with a repair tool."
        )
    return (
        f"{path} is not a video that FFmpeg can read; give a video file, or convert it to MP4 "
        "with H.264."
    )


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    """FFmpeg's choice among the videos that are not cover art."""
    videos = [s for s in container.streams.video if not s.disposition & _COVER]
    if not videos:
        others = sorted({stream.type for stream in container.streams if stream.type != "video"})
        held = f"only {' and '.join(others)}" if others else "nothing else that FFmpeg knows"
        if container.streams.video:
            held += ", and a cover picture"
        raise SourceError(f"{path} holds no video, {held}; give the file that has the pictures.")
    best = container.streams.best("video")
    stream = best if best in videos else videos[0]
    if not isinstance(stream, VideoStream) or stream.codec_context is None:
        raise SourceError(
            f"{path} holds a video in a format that this FFmpeg cannot decode; "
            "convert it to MP4 with H.264."
        )
    return stream
