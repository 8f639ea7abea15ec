"""A real RTSP server on loopback, and test pictures that say which they are."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from streamdeid.frame import Frame, Image
from tests.videos import write_for_server

PICTURES = 600
"""Test pictures until they repeat: 20 s at 30 a second."""

ROWS, COLUMNS = 2, 5
SYSTEM_PYTHON = "/usr/bin/python3"
NEEDED = (
    "import gi; gi.require_version('GstRtspServer', '1.0'); "
    "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
    "names = 'appsrc h264parse rtph264pay identity'.split(); "
    "raise SystemExit(not all(map(Gst.ElementFactory.find, names)))"
)


def picture(number: int, width: int, height: int) -> Image:
    """A picture whose blocks are the bits of its number."""
    bits = [number >> bit & 1 for bit in range(ROWS * COLUMNS)]
    blocks = np.array(bits, np.uint8).reshape(ROWS, COLUMNS) * 200 + 25
    rows, columns = np.arange(height) * ROWS // height, np.arange(width) * COLUMNS // width
    return np.repeat(blocks[rows][:, columns, None], 3, axis=2)


def number_of(frame: Frame) -> int:
    """The number of the test picture in a frame of any size."""
    height, width, _ = frame.image.shape
    rows = (np.arange(ROWS) * 2 + 1) * height // (2 * ROWS)
    columns = (np.arange(COLUMNS) * 2 + 1) * width // (2 * COLUMNS)
    bits = (frame.image[rows][:, columns, 1] > 128).ravel()
    return int(bits @ (1 << np.arange(ROWS * COLUMNS)))


def apart(a: int, b: int) -> int:
    """How many pictures `a` is after `b`; they repeat."""
    return (a - b + PICTURES // 2) % PICTURES - PICTURES // 2


def _encode(path: Path, width: int, height: int) -> Path:
    return write_for_server(path, (picture(number, width, height) for number in range(PICTURES)))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test pictures as H.264, 160x120."""
    return _encode(tmp_path_factory.mktemp("rtsp") / "pictures.h264", 160, 120)


@pytest.fixture(scope="session")
def small_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test pictures as H.264, 96x64."""
    return _encode(tmp_path_factory.mktemp("rtsp") / "small.h264", 96, 64)


class RtspServer:
    """A server in a process of its own; see `rtsp_server.py` for its mounts."""

    def __init__(self, mounts: dict[str, dict[str, Any]], login: str | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._wanted = {"port": self.port, "mounts": mounts, "login": login}
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, path: str, login: str = "") -> str:
        """Where to find a mount."""
        return f"rtsp://{login}{'@' if login else ''}127.0.0.1:{self.port}{path}"

    def start(self, mounts: dict[str, dict[str, Any]] | None = None) -> None:
        """Begin to serve, and wait until it does; with other mounts than before, if given."""
        self._wanted["mounts"] = mounts or self._wanted["mounts"]
        wanted = json.dumps(self._wanted, default=str)
        script = Path(__file__).with_name("rtsp_server.py")
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, str(script), wanted], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], 10)[0], "the server does not start"
        assert self._process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        """End at once, as if by a power cut."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def freeze(self) -> None:
        """Do nothing more, with all connections open."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


@pytest.fixture(scope="session")
def gstreamer() -> None:
    """Skip what needs a real server where there is none."""
    try:
        found = subprocess.run([SYSTEM_PYTHON, "-c", NEEDED], capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"no RTSP server to test against: {error}")
    if found.returncode != 0:
        pytest.skip(
            "no RTSP server to test against: it needs gir1.2-gst-rtsp-server-1.0, python3-gi and "
            "gstreamer1.0-{rtsp,plugins-base,plugins-good,plugins-bad}"
        )


@pytest.fixture(scope="session")
def camera(gstreamer: None, pictures: Path) -> Iterator[RtspServer]:  # noqa: ARG001
    """A server that runs all the time: /a, /b alike, /half the rate, /late pictures, /lossy."""
    mount = {"file": pictures, "fps": 30}
    server = RtspServer(
        {
            "/a": mount,
            "/b": mount,
            "/half": mount | {"fps": 15},
            "/late": mount | {"late_s": 1.5},
            "/lossy": mount | {"loss": 0.03},
        }
    )
    server.start()
    yield server
    server.kill()


NewServer = Callable[..., RtspServer]


@pytest.fixture
def new_server(gstreamer: None, pictures: Path) -> Iterator[NewServer]:  # noqa: ARG001
    """Makes servers of one test's own, which need starting; they are killed after it."""
    servers: list[RtspServer] = []

    def make(login: str | None = None) -> RtspServer:
        mounts = {path: {"file": pictures, "fps": 30} for path in ("/a", "/b")}
        servers.append(RtspServer(mounts, login))
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


T = TypeVar("T")


def side_by_side(check: Callable[[T], None], *cases: T) -> None:
    """Check all cases at the same time, since all they do is wait; fails as one of them does."""
    with ThreadPoolExecutor(len(cases)) as pool:
        for checked in [pool.submit(check, case) for case in cases]:
            checked.result()


def wait_for(condition: Callable[[], bool], timeout_s: float) -> float:
    """Seconds until a condition is true; fails after the timeout."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s, f"not true within {timeout_s} s"
        time.sleep(0.01)
    return time.monotonic() - began
