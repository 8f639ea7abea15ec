"""What all tests share: examples that are the same every time, and a way to start a Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import numpy as np  # noqa: F401  what is asked for is its BLAS, which must be there
import pytest
from threadpoolctl import threadpool_info

import streamdeid

# The same examples in every run, and no clock: a slow machine is no failure.
hypothesis.settings.register_profile(
    "streamdeid",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("streamdeid")

RunPython = Callable[[str], "subprocess.CompletedProcess[str]"]


def blas_threads() -> int:
    """Threads that numpy's BLAS computes in."""
    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


@pytest.fixture(scope="session")
def python_environment() -> dict[str, str]:
    """The environment of a child Python: finds this very package, and shows text as we read it."""
    environment = {name: value for name, value in os.environ.items() if name != "STREAMDEID_DEBUG"}
    package = str(Path(streamdeid.__file__).parents[1])
    paths = [package, environment.get("PYTHONPATH", "")]
    return environment | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "100",
    }


@pytest.fixture(scope="session")
def run_python(python_environment: dict[str, str]) -> RunPython:
    """Run code in a Python of its own; it must succeed."""

    def run(code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=python_environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )

    return run


@pytest.fixture(autouse=True, scope="session")
def _heeded() -> Iterator[None]:
    """A job in the background of a script ignores Ctrl-C, and so would what the tests start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
