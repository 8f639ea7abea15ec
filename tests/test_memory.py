"""Memory: what is told to glibc, where that is the C library, and what the system tells."""

from __future__ import annotations

import platform
import sys

import pytest

from streamdeid.memory import give_back, peak_rss_mb, share_one_heap
from tests.conftest import RunPython


def test_glibc_and_no_other_is_told_to_keep_one_heap() -> None:
    assert share_one_heap() == (platform.libc_ver()[0] == "glibc")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_the_peak_stays_when_memory_is_given_back() -> None:
    held = b"x" * (64 * 2**20)
    peak = peak_rss_mb()
    assert peak is not None
    assert peak >= len(held) / 2**20
    del held
    give_back()
    after = peak_rss_mb()
    assert after is not None
    assert after >= peak


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_the_peak_of_a_program_is_not_that_of_who_started_it(run_python: RunPython) -> None:
    held = b"x" * (256 * 2**20)
    code = "from streamdeid.memory import peak_rss_mb; print(peak_rss_mb())"
    assert float(run_python(code).stdout) < len(held) / 2**20
