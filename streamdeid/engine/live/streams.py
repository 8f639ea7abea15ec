"""Opening what is watched: streams and files, until their first frames are there."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import Final

from streamdeid.engine.live.watcher import Watching
from streamdeid.engine.videos import Video
from streamdeid.pair import Pair
from streamdeid.sources.live import LiveSource
from streamdeid.sources.source import Source, open_source

_LOOK_EVERY_S: Final = 0.1


def open_watched(video: Video, watching: Watching) -> Source:
    """Open a file, or begin to open a stream.

    Raises:
        SourceError: it cannot be.
    """
    if not isinstance(video, str | os.PathLike):
        return video
    return open_source(
        video,
        transport=watching.transport,
        give_up_after_s=watching.give_up_after_s,
        when_behind="wait" if watching.when_behind == "wait" else None,
    )


def wait_for_frames(
    sources: Pair[Source], watching: Watching, stop: Event, tell: Callable[[str], None]
) -> bool:
    """Wait for the first frame of each stream; False if the run is to end before.

    Args:
        tell: called with what keeps a stream from coming, once for each new reason.

    Raises:
        SourceError: there was none, and it was given up.
    """
    end = monotonic() + (watching.duration_s or float("inf"))
    waited_for = [source for _, source in sources.items() if isinstance(source, LiveSource)]
    told: set[str] = set()
    for source in waited_for:
        while not source.ready(_LOOK_EVERY_S):
            for trouble in {s.trouble for s in waited_for if s.trouble} - told:
                told.add(trouble)
                tell(trouble)
            if stop.is_set() or monotonic() > end:
                return False
    return True


def gave_up(sources: Pair[Source]) -> bool:
    """Whether a stream was waited for in vain, though it had not told its end."""
    return any(isinstance(source, LiveSource) and source.gave_up for _, source in sources.items())
