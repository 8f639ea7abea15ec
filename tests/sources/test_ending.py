"""Programs that read live streams: they end whatever FFmpeg does, and tell no password."""

from __future__ import annotations

import base64
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamdeid.errors import SourceError
from streamdeid.sources.live import LiveSource
from tests.sources.conftest import NewServer, side_by_side
from tests.sources.web import record, served

Program = Callable[..., "subprocess.Popen[str]"]

PATIENT = "open_timeout_s=60, read_timeout_s=60, give_up_after_s=None"
SOON_S = 5.0
"""A program that is not held up ends in 1.5 s; 60 s if it is."""


@pytest.fixture
def program(python_environment: dict[str, str]) -> Iterator[Program]:
    """Starts Python programs that know `LiveSource`; they are killed after the test."""
    running: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: str) -> subprocess.Popen[str]:
        head = "import sys\nfrom streamdeid.sources.live import LiveSource\n"
        running.append(
            subprocess.Popen(
                [sys.executable, "-W", "error", "-c", head + code, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=python_environment,
            )
        )
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_frozen_server_does_not_keep_a_program_from_ending(
    new_server: NewServer, program: Program
) -> None:
    def check(ending: str) -> None:
        server = new_server()
        server.start()
        process = program(
            f"source = LiveSource(sys.argv[1], {PATIENT})\n"
            "next(source)\nprint('reads', flush=True)\nsys.stdin.readline()\n" + ending,
            server.url("/a"),
        )
        assert line_of(process) == "reads\n"
        server.freeze()
        time.sleep(0.1)  # until the read waits
        began = time.monotonic()
        assert process.communicate("\n", timeout=30) == ("", "")
        assert process.returncode == 0
        assert time.monotonic() - began < SOON_S

    side_by_side(check, "source.close()", "pass", "raise SystemExit(0)")


def test_ctrl_c_ends_the_wait_for_a_server_that_says_nothing(program: Program) -> None:
    with silent_port() as port:
        process = program(
            f"source = LiveSource(sys.argv[1], {PATIENT})\n"
            "print('waits', flush=True)\n"
            "try: next(source)\nexcept KeyboardInterrupt: print('ends')",
            f"rtsp://127.0.0.1:{port}/a",
        )
        assert line_of(process) == "waits\n"
        time.sleep(0.2)  # until it connects
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("ends\n", "")
        assert process.returncode == 0
        assert time.monotonic() - began < SOON_S


@pytest.mark.parametrize("scheme", ["rtsp", "http", "tcp"])
def test_closing_ends_an_attempt_to_connect(scheme: str) -> None:
    with silent_port() as port:
        source = LiveSource(f"{scheme}://127.0.0.1:{port}/a", open_timeout_s=60)
        time.sleep(0.2)  # until it connects
        source.close()
        assert not source._thread.is_alive()


@pytest.mark.parametrize("scheme", ["rtsp", "http", "tcp"])
def test_a_server_that_says_nothing_is_given_up_in_time(scheme: str) -> None:
    began = time.monotonic()
    with silent_port() as port:
        url = f"{scheme}://127.0.0.1:{port}/a"
        words = pytest.raises(SourceError, match="did not answer within")
        with LiveSource(url, open_timeout_s=0.3, give_up_after_s=0.2) as source, words:
            next(source)
    assert time.monotonic() - began < 0.3 + 1


def test_no_password_is_told_whatever_happens(
    new_server: NewServer, program: Program, tmp_path: Path
) -> None:
    server = new_server(login="me:s3cret")
    server.start()
    record(tmp_path / "part.ts", "mpegts")
    (tmp_path / "list.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.3,\npart.ts\n#EXT-X-ENDLIST\n",
        encoding="utf-8",
    )
    code = """
import av.logging, logging, threading, time, traceback
logging.basicConfig(level=1)
av.logging.set_level(av.logging.VERBOSE)
for url in sys.argv[1:]:
    source = LiveSource(url, open_timeout_s=1, read_timeout_s=0.3, give_up_after_s=0.4)
    try:
        print(source.info, next(source))
        print(source, source.health(), threading.enumerate())
        if url == sys.argv[1]:
            print(source._thread._target.__self__._terms)
            print("reads", flush=True)
        for frame in source: pass
    except Exception: traceback.print_exc()
    source.close()
    print(source.notes)
    if url == sys.argv[1]:
        print("gone", flush=True)
        sys.stdin.readline()
print("all")
"""
    with served(tmp_path) as web:
        process = program(
            code,
            server.url("/a", "me:s3cret"),
            server.url("/a", "me:wr0ng-s3cret"),
            server.url("/nothing", "me:s3cret"),
            web.replace("://", "://me:s3cret@") + "/list.m3u8",
            web.replace("://", "://me:s3cret@") + "/nothing",
            "https://me:s3cret@127.0.0.1:9/a",
            "rtmp://me:s3cret@127.0.0.1:9/a",
        )
        told = ""
        while "reads" not in told:
            told += line_of(process)
        server.kill()
        while "gone" not in told:
            told += line_of(process)
        server.start()
        told += "".join(process.communicate("\n", timeout=60))
    assert "all" in told
    assert "refuses the user name and password" in told
    assert "check the path" in told
    for secret in ("s3cret", base64.b64encode(b"me:s3cret").decode()[:8]):
        assert secret not in told
