"""AlertActions: real commands and a real server on loopback; nobody waits for them."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from streamdeid.engine.live.alert_actions import AlertActions, command_words
from streamdeid.errors import SettingsError

EVENT = {"kind": "alert", "text": "a > 1 over 3s", "value": 2.0}


class Listener(HTTPServer):
    """Remembers what was posted."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, str | None, Any]] = []
        self.pause_s = 0.0
        super().__init__(("127.0.0.1", 0), _Taker)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no fault of a test."""


class _Taker(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.pause_s)
        self.server.posted.append((self.path, self.headers["Authorization"], json.loads(body)))
        self.send_response({"/refuses": 403, "/moved": 307}.get(self.path, 200))
        self.send_header("Location", f"http://localhost:{self.server.server_port}/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def wait_for(condition: Callable[[], object], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_command_gets_the_event_on_its_input_and_in_its_environment(tmp_path: Path) -> None:
    file = tmp_path / "seen"
    notes: list[str] = []
    code = f"import os, sys; open({str(file)!r}, 'w').write(sys.stdin.read() + '\\n' + "
    actions = AlertActions(python(f"{code}os.environ['STREAMDEID_EVENT'])"), None, notes.append)
    actions.offer(EVENT)
    actions.close()
    assert [json.loads(line) for line in file.read_text().splitlines()] == [EVENT, EVENT]
    assert notes == []


def test_an_event_is_posted_with_the_login_of_the_url(listener: Listener) -> None:
    notes: list[str] = []
    url = f"http://anna:s%40fe@127.0.0.1:{listener.server_port}/hook?x=1"
    actions = AlertActions(None, url, notes.append)
    actions.offer(EVENT)
    actions.close()
    assert listener.posted == [("/hook?x=1", "Basic YW5uYTpzQGZl", EVENT)]
    assert notes == []


def test_what_fails_becomes_a_note_without_the_login(listener: Listener) -> None:
    notes: list[str] = []
    port = listener.server_port
    for command, url in (
        (["/nowhere/at-all"], None),
        (python("raise SystemExit(3)"), None),
        (None, f"http://anna:s3cret@127.0.0.1:{port}/refuses"),
        (None, f"http://anna:s3cret@127.0.0.1:{port}/moved"),
        (None, "http://anna:s3cret@127.0.0.1:1/"),
    ):
        actions = AlertActions(command, url, notes.append)
        actions.offer(EVENT)
        actions.close()
    ends = (
        "No such file or directory.",
        "failed with 3.",
        "the answer was 403.",
        "the answer was 307.",
        "refused.",
    )
    assert len(notes) == len(ends)
    assert all(note.endswith(end) for note, end in zip(notes, ends, strict=True)), notes
    assert "s3cret" not in "".join(notes)
    assert [path for path, _, _ in listener.posted] == ["/refuses", "/moved"]


def test_what_takes_too_long_is_ended_and_nobody_waits_for_it(
    listener: Listener, tmp_path: Path
) -> None:
    notes: list[str] = []
    listener.pause_s = 1.0
    started = tmp_path / "started"
    sleeps = python(f"open({str(started)!r}, 'w'); import time; time.sleep(60)")
    url = f"http://127.0.0.1:{listener.server_port}/"
    actions = AlertActions(sleeps, url, notes.append, longest_s=0.4)
    began = time.monotonic()
    for _ in range(40):
        actions.offer(EVENT)
    assert time.monotonic() - began < 0.4
    wait_for(lambda: any("was ended after 0.4 s" in note for note in notes))
    wait_for(lambda: any("could not be posted" in note for note in notes))
    assert any("are still being told" in note for note in notes)
    began = time.monotonic()
    actions.close()
    assert time.monotonic() - began < 5


def test_nothing_is_run_where_nothing_is_to_be() -> None:
    before = threading.active_count()
    actions = AlertActions(None, None, lambda text: None)  # noqa: ARG005
    actions.offer(EVENT)
    assert threading.active_count() == before
    actions.close()


@pytest.mark.parametrize(
    "url", ["", "file:///etc/passwd", "ftp://a:b@host/", "http://", "http://host:99999999/", "x"]
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="is no http or https URL") as refused:
        AlertActions(None, url, lambda text: None)  # noqa: ARG005
    assert "a:b" not in str(refused.value)


def test_a_command_is_words_and_no_shell_has_a_part_in_it() -> None:
    assert command_words("notify 'two words' ; rm") == ["notify", "two words", ";", "rm"]
    for text in ("", "  ", "a 'b"):
        with pytest.raises(SettingsError, match="--on-alert-run"):
            command_words(text)
