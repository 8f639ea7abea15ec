"""Opening what is watched: whatever names a video for `evaluate` names it here, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamdeid.engine.live.streams import open_watched
from streamdeid.engine.live.watcher import Watching
from streamdeid.engine.videos import is_stream
from streamdeid.errors import SourceError

NOBODY = "http://127.0.0.1:1/camera"
"""Nothing listens there."""


@pytest.mark.parametrize("video", [NOBODY, Path(NOBODY)], ids=["text", "path"])
def test_a_url_may_be_a_path_object(video: str | Path) -> None:
    assert is_stream(video)
    with open_watched(video, Watching(give_up_after_s=0.3)) as source:
        with pytest.raises(SourceError, match="refuses the connection") as caught:
            _ = source.info
        assert NOBODY in str(caught.value)
