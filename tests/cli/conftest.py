"""A real face in two short videos, and the command line as a user has it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image as PillowImage

from streamdeid.cli.demo import demo_clip
from streamdeid.cli.main import main
from tests.sources.conftest import RtspServer
from tests.sources.conftest import gstreamer as gstreamer
from tests.videos import Image, numbered_images, write_for_server, write_video

FRAMES = 12
LOGIN = "anna:s3cret"

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def carphone() -> Path:
    """A real clip of 120 frames with one face in all of them."""
    return demo_clip()


@pytest.fixture(scope="session")
def frames(carphone: Path) -> list[Image]:
    """The first frames of it."""
    with av.open(str(carphone)) as container:
        decoded = (
            frame for frame, _ in zip(container.decode(video=0), range(FRAMES), strict=False)
        )
        return [frame.to_ndarray(format="rgb24") for frame in decoded]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="session")
def clip(folder: Path, frames: list[Image]) -> Path:
    return write_video(folder / "original.mp4", frames)


@pytest.fixture(scope="session")
def mirrored(folder: Path, frames: list[Image]) -> Path:
    """The clip in a mirror: another video, in which a face is as easily found."""
    return write_video(folder / "mirrored.mp4", (image[:, ::-1] for image in frames))


@pytest.fixture(scope="session")
def faceless(folder: Path) -> Path:
    return write_video(folder / "faceless.mp4", numbered_images(FRAMES, 176, 144))


@pytest.fixture(scope="session")
def portrait(folder: Path, frames: list[Image]) -> Path:
    path = folder / "portrait.png"
    PillowImage.fromarray(frames[0]).save(path)
    return path


def quickly(arguments: Sequence[object]) -> list[str]:
    """The words of a command; one that evaluates does without I3D, unless it names its metrics."""
    command, *rest = map(str, arguments)
    if command in ("evaluate", "demo") and not {"--metrics", "--help"} & {*rest}:
        rest = ["--metrics", "identity", *rest]
    return [command, *rest]


@pytest.fixture
def run() -> Run:
    """`streamdeid ARGUMENTS` in this process."""

    def invoke(*arguments: object, **options: Any) -> Result:
        return CliRunner().invoke(main, quickly(arguments), **options)

    return invoke


@pytest.fixture
def start(
    python_environment: dict[str, str], tmp_path: Path
) -> Callable[..., subprocess.Popen[str]]:
    """`streamdeid ARGUMENTS` in a process of its own."""

    def begin(*arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "streamdeid", *quickly(arguments)],
            env=python_environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


def read_json(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def is_one_sentence(text: str) -> bool:
    """One line from the program itself, without a trace of its code."""
    lines = text.strip().splitlines()
    return len(lines) == 1 and lines[0].startswith("streamdeid: ") and lines[0].endswith(".")


@pytest.fixture(scope="session")
def face_stream(folder: Path, frames: list[Image]) -> Path:
    """The clip forth and back, as H.264 for the RTSP server."""
    return _for_server(folder / "face.h264", frames)


@pytest.fixture(scope="session")
def mirrored_stream(folder: Path, frames: list[Image]) -> Path:
    """The same in a mirror."""
    return _for_server(folder / "mirrored.h264", [image[:, ::-1] for image in frames])


def _for_server(path: Path, images: Sequence[Image]) -> Path:
    """There and back again."""
    height, width = (side // 2 * 2 for side in images[0].shape[:2])
    course = [*images, *reversed(images)]
    return write_for_server(path, (np.ascontiguousarray(i[:height, :width]) for i in course))


@pytest.fixture(scope="session")
def faces(
    gstreamer: None,  # noqa: ARG001
    face_stream: Path,
    mirrored_stream: Path,
) -> Iterator[RtspServer]:
    """A server behind a login: /original, /same, /mirrored at 10 frames a second, /fast at 30."""
    slow = {"fps": 10}
    server = RtspServer(
        {
            "/original": slow | {"file": face_stream},
            "/same": slow | {"file": face_stream},
            "/mirrored": slow | {"file": mirrored_stream},
            "/fast": {"fps": 30, "file": face_stream},
            "/fast-too": {"fps": 30, "file": face_stream},
        },
        login=LOGIN,
    )
    server.start()
    yield server
    server.kill()
