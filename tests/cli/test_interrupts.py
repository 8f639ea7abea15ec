"""Ctrl-C and SIGTERM end a run with the report of what was seen; a second one ends it at once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streamdeid.cli.interrupts import stop_on_signals
from streamdeid.report.report import Report
from tests.conftest import RunPython

PATIENCE_S = 60
LENGTH = 120  # frame pairs of the whole clip


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_with_a_report(
    number: signal.Signals,
    start: Callable[..., subprocess.Popen[str]],
    carphone: Path,
    tmp_path: Path,
) -> None:
    output, rows = tmp_path / "report.json", tmp_path / "rows.jsonl"
    output.write_text("the old report")
    process = start("evaluate", carphone, carphone, "-o", output, "--timeline", rows)
    wait_until(lambda: rows.exists() and rows.read_text().count("\n") > 2, process)
    assert output.read_text() == "the old report"
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "streamdeid: stopping; the report will hold what was seen so far." in stderr
    report = Report.read(output)
    assert not report.complete
    assert "INCOMPLETE" in stdout
    pairs = report["identity.distance_between_sides"].count
    assert 2 < pairs < LENGTH
    indices = [json.loads(line)["index"] for line in rows.read_text().splitlines()]
    assert indices == list(range(report.coverage["paired"]))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"report.json", "rows.jsonl"}


def test_a_second_signal_ends_at_once(python_environment: dict[str, str]) -> None:
    code = """
import time
from streamdeid.cli.interrupts import stop_on_signals
with stop_on_signals(quiet=True) as stop:
    print("ready", flush=True)
    while not stop.is_set():
        time.sleep(0.01)
    print("stopping", flush=True)
    time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], env=python_environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 130


def test_the_handlers_that_were_there_before_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signals(quiet=True) as stop:
        assert signal.getsignal(signal.SIGINT) != before
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
    assert signal.getsignal(signal.SIGINT) == before


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_on_signals(quiet=True) as stop:
            signal.raise_signal(signal.SIGINT)
            assert not stop.is_set()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_while_modules_load_ends_in_silence(run_python: RunPython) -> None:
    result = run_python("""
import sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "click":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from streamdeid.__main__ import run
try:
    run()
except SystemExit as end:
    print(end.code)
""")
    assert result.stdout == "130\n"
    assert result.stderr == ""


def test_in_another_thread_nothing_is_touched() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with stop_on_signals(quiet=True) as stop:
            seen.append((signal.getsignal(signal.SIGINT), stop.is_set()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, False)]
