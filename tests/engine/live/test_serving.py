"""serve: what HTTP tells of a run, and to whom."""

from __future__ import annotations

import json
import socket
import struct
import threading
from contextlib import ExitStack
from dataclasses import replace

import pytest

from streamdeid.engine.live.serving import Answers, serve
from streamdeid.engine.live.status import SideStatus, Status
from streamdeid.errors import SettingsError
from streamdeid.pair import Pair
from streamdeid.report.report import Report
from tests.engine.live.served import STATUS, UP, free_port, get
from tests.sources.conftest import wait_for

DOWN = replace(UP, up=False)


def answer(answers: Answers, sides: Pair[SideStatus]) -> None:
    answers.status = lambda: replace(STATUS, sides=sides)
    answers.report = lambda: Report(complete=False)
    answers.raised = lambda: {"a > 1 over 3s": True}


def test_prometheus_finds_frames_scores_and_alerts() -> None:
    port = free_port()
    with serve(str(port)) as answers:
        answer(answers, Pair(UP, UP))
        code, text = get(port, "/metrics?x=1")
        assert code == 200
        assert json.loads(get(port, "/report.json")[1])["complete"] is False
        lines = set(text.splitlines())
    for line in (
        'streamdeid_frames_total{side="original"} 10.0',
        'streamdeid_frames_used_total{side="deidentified"} 7.0',
        'streamdeid_frames_skipped_total{reason="behind",side="original"} 2.0',
        'streamdeid_reconnects_total{side="original"} 3.0',
        'streamdeid_up{side="original"} 1.0',
        'streamdeid_fps_in{side="original"} 29.5',
        'streamdeid_score{name="identity.x",over="total"} 0.5',
        'streamdeid_score{name="identity.x",over="window"} 0.25',
        'streamdeid_alert{alert="a > 1 over 3s"} 1.0',
        "streamdeid_lag_seconds 0.25",
        "streamdeid_pairs_total 7.0",
    ):
        assert line in lines, text
    assert "none" not in text  # a score without a value is left out


def test_health_is_bad_before_the_first_frame_and_while_a_stream_is_down() -> None:
    port = free_port()
    with serve(f"127.0.0.1:{port}") as answers:
        code, body = get(port, "/healthz")
        assert (code, json.loads(body)["why"]) == (503, "no frame has come yet")
        assert get(port, "/report.json")[0] == 404
        assert get(port, "/metrics")[0] == 200
    for sides, code in ((Pair(UP, UP), 200), (Pair(UP, DOWN), 503)):
        with serve(f"127.0.0.1:{port}") as answers:
            answer(answers, sides)
            found, body = get(port, "/healthz")
            assert found == code
            assert json.loads(body)["up"] is (code == 200)
    assert json.loads(body)["why"] == "no frames from deidentified"


def test_nothing_else_is_there() -> None:
    port = free_port()
    with serve(f"[::1]:{port}" if socket.has_dualstack_ipv6() else str(port)):
        pass
    with serve(f"localhost:{port}"):
        for path in ("/", "/frames", "/../etc/passwd", "/report.json/"):
            assert get(port, path)[0] == 404


def test_however_many_ask_the_scores_are_computed_once_a_second() -> None:
    asked = []

    def status() -> Status:
        asked.append(1)
        return STATUS

    port = free_port()
    with serve(str(port)) as answers:
        answers.status = status
        for _ in range(10):
            get(port, "/metrics")
    assert 1 <= len(asked) <= 3


def test_a_port_that_is_taken_is_told_in_one_sentence_and_threads_end() -> None:
    before = threading.active_count()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = pytest.raises(SettingsError, match=f"127.0.0.1:{port} cannot be listened on")
        with refused, serve(f"127.0.0.1:{port}"):
            pass
    with serve(str(free_port())):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


@pytest.mark.parametrize("address", ["", ":", "host", "127.0.0.1:", "1.2.3.4:x", "127.0.0.1:70000"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="--http"), serve(address):
        pass


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:9464", "example.org:9464"])
def test_other_machines_are_let_in_only_where_that_is_said(address: str) -> None:
    with pytest.raises(SettingsError, match="--http-allow-remote"), serve(address):
        pass
    if address == "0.0.0.0:0":
        with serve(address, allow_remote=True) as answers:
            assert answers.fresh() is None


def test_who_hangs_up_leaves_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    with serve(str(port)) as answers:
        answer(answers, Pair(UP, UP))
        for asked in (b"", b"GET /met", b"GET /metrics HTTP/1.1\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(asked)
        assert get(port, "/healthz")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_however_many_ask_slowly_there_are_some_threads_and_all_are_answered_afterwards() -> None:
    port, threads = free_port(), threading.active_count()
    with serve(str(port)) as answers, ExitStack() as stack:
        answer(answers, Pair(UP, UP))
        for _ in range(40):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            client.sendall(b"GET /")
        assert threading.active_count() <= threads + 17
        stack.close()
        wait_for(lambda: threading.active_count() <= threads + 1, 5)
        assert get(port, "/healthz")[0] == 200


def test_a_fault_of_ours_is_told_and_ends_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    with serve(str(port)) as answers:
        answers.status = lambda: 1 / 0  # type: ignore[assignment]
        code, text = get(port, "/healthz")
    assert code == 500
    assert "ZeroDivisionError" in text
    assert capfd.readouterr() == ("", "")
