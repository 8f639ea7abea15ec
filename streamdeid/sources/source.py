"""Source: what gives frames; open_source finds the one that fits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from streamdeid.errors import SourceError
from streamdeid.frame import Frame, StreamInfo
from streamdeid.sources.connecting import Transport, is_live
from streamdeid.sources.file import FileSource
from streamdeid.sources.health import WhenBehind
from streamdeid.sources.live import LiveSource
from streamdeid.sources.uri import redact_url, scheme_of


class Source(Protocol):
    """A video as frames in order of presentation; can be iterated once.

    Iterating a second time goes on where the first stopped. After the last frame, or after
    `close`, there are no more frames and no error.

    Attributes:
        info: what the video says of itself before it is read.
        notes: sentences about what was wrong but survivable; complete once iteration has ended.
    """

    @property
    def info(self) -> StreamInfo: ...

    @property
    def notes(self) -> list[str]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...

    def skim(self) -> Iterator[bool]:
        """Read on without making pictures: for each remaining frame, whether it is corrupt.

        For whoever must know how many frames there are, but not what they show.
        """
        ...

    def close(self) -> None:
        """Let go of the file or connection; may be called twice, and before the end."""
        ...


def open_source(
    uri: str | os.PathLike[str],
    *,
    transport: Transport = "tcp",
    give_up_after_s: float | None = 60.0,
    when_behind: WhenBehind | None = None,
) -> Source:
    """Open the video that a path or URL names; of a live one, begin to.

    Args:
        transport, give_up_after_s, when_behind: of a live one, as `LiveSource` takes them.

    Raises:
        SourceError: it cannot be opened or holds no video; the sentence says what to do. A live
            one's `info` and frames raise it.
    """
    text = os.fspath(uri)
    if is_live(text):
        # Path("rtsp://camera") is "rtsp:/camera".
        return LiveSource(
            re.sub(r"^(\w+):/(?=[^/])", r"\1://", text),
            transport=transport,
            give_up_after_s=give_up_after_s,
            when_behind=when_behind,
        )
    scheme = scheme_of(text)
    if scheme != "file":
        raise SourceError(
            f"{redact_url(text)} is a {scheme} stream, which can't be read; record it to a file "
            "and give the path of that."
        )
    return FileSource(uri)
