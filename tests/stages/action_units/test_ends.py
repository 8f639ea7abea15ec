"""However our process ends, OpenFace ends with it and no file is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stages.action_units.conftest import processes_of, wait_until, write_program

pytestmark = pytest.mark.usefixtures("nothing_is_left")

# Pushes frames until it is told to end, says so, and goes on to the end.
PARENT = """
import signal, sys, time
from streamdeid.stages.action_units.openface import OpenFaceSource
from streamdeid.stages.action_units.program import find_program
from tests.stages.action_units.conftest import pair

stopped = []
signal.signal(signal.SIGINT, lambda *_: stopped.append(1))
source = OpenFaceSource(find_program(sys.argv[1], {}))
count = 0
while not stopped:
    source.push(pair(count, 4, 4))
    count += 1
    if count == 3:
        print("running", flush=True)
    time.sleep(0.005)
finished = [r for r in source.flush() if r.values == "post-processed"]
print(count == len(finished), source.fault)
"""


@contextmanager
def parent(program: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process that feeds `program`, in a process group of its own, as a shell starts it."""
    environment = environment | {"TMPDIR": os.environ["TMPDIR"]}
    environment["PYTHONPATH"] += os.pathsep + str(Path(__file__).parents[3])
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(program)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "running\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("how", [(), ("hang=2", "ignore-term")])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_parent_leaves_nothing(
    how: tuple[str, ...],
    number: signal.Signals,
    tmp_path: Path,
    temporary: Path,
    python_environment: dict[str, str],
) -> None:
    program = write_program(tmp_path / "bin", how, 1)
    with parent(program, python_environment) as process:
        assert len(processes_of(temporary)) == 3  # two children, and the guard
        process.send_signal(number)
        assert process.wait(10) == -number
        wait_until(lambda: processes_of(tmp_path) == [])
        wait_until(lambda: list(temporary.iterdir()) == [])


def test_ctrl_c_in_a_terminal_is_left_to_us(
    tmp_path: Path, python_environment: dict[str, str]
) -> None:
    program = write_program(tmp_path / "bin", (), 1)
    with parent(program, python_environment) as process:
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=20)
        assert said == "True None\n"
        assert process.returncode == 0
