"""What can be said of two videos before they are read."""

from __future__ import annotations

from typing import Any

import pytest

from streamdeid.engine.videos import check_videos
from streamdeid.errors import SettingsError
from streamdeid.pair import Pair

NEEDED = ("info", "notes", "__enter__", "__exit__", "__iter__", "skim", "close")


def test_a_path_and_a_source_of_any_making_are_videos() -> None:
    whole: Any = type("Whole", (), dict.fromkeys(NEEDED))()
    check_videos(Pair("a.mp4", whole))


@pytest.mark.parametrize("missing", NEEDED)
def test_what_lacks_a_part_of_a_source_is_refused(missing: str) -> None:
    parts = dict.fromkeys(part for part in NEEDED if part != missing)
    partial: Any = type("Partial", (), parts)()
    with pytest.raises(SettingsError, match="The original video is"):
        check_videos(Pair(partial, "b.mp4"))
