"""A report file is the old one or the new one, whole; and a bad place is known beforehand."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamdeid.errors import OutputError
from streamdeid.report.report import Report
from streamdeid.report.to_json import check_writable, write_json
from tests.conftest import RunPython
from tests.report.examples import a_report


def test_a_report_is_written_and_nothing_else(tmp_path: Path) -> None:
    write_json(a_report(), tmp_path / "report.json")
    assert Report.read(tmp_path / "report.json") == a_report()
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_new_report_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_json(a_report(), tmp_path / "report.json")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_replaced_report_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.touch(0o600)
    write_json(a_report(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "report.json"
    link.symlink_to(tmp_path / "elsewhere" / "real.json")
    write_json(a_report(), link)
    assert link.is_symlink()
    assert Report.read(tmp_path / "elsewhere" / "real.json") == a_report()


def test_a_name_as_long_as_names_can_be_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / ("r" * 250 + ".json")
    write_json(a_report(), path)
    assert Report.read(path) == a_report()


def test_a_pipe_is_written_to_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
    reader.start()
    write_json(a_report(), pipe)
    reader.join()
    assert received == [a_report().to_json()]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 KiB. Where none can be mounted, the test is left to its twin below."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root can mount a small disk here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_the_old_report_survives_a_full_disk(full_disk: Path) -> None:
    path = full_disk / "report.json"
    write_json(a_report(), path)
    with pytest.raises(OutputError, match=r"No space left on device.*is untouched") as refused:
        write_json(a_report(notes=("long",) * 10_000), path)
    assert "\n" not in str(refused.value)
    assert Report.read(path) == a_report()
    assert [entry.name for entry in full_disk.iterdir()] == ["report.json"]


def test_the_old_report_survives_a_file_that_must_not_grow(
    run_python: RunPython, tmp_path: Path
) -> None:
    """As the full disk, by a limit that every user may set."""
    path = tmp_path / "report.json"
    write_json(a_report(), path)
    result = run_python(f"""
import resource, signal
from streamdeid.errors import OutputError
from streamdeid.report.to_json import write_json
from streamdeid.report.report import Report
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_json(Report(complete=True, notes=("long",) * 1000), {str(path)!r})
except OutputError as error:
    print(error)
""")
    assert "cannot be written: File too large. The report that was there" in result.stdout
    assert Report.read(path) == a_report()
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]


def test_a_good_place_is_left_as_it_was(tmp_path: Path) -> None:
    check_writable(tmp_path / "report.json", "--output")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "report.json").write_text("old")
    check_writable(tmp_path / "report.json", "--output")
    assert (tmp_path / "report.json").read_text() == "old"
    check_writable("/dev/null", "--output")


def test_a_bad_place_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"--output \S+ is a folder: name a file in it"):
        check_writable(tmp_path, "--output")
    with pytest.raises(OutputError, match=r"--output \S+: there is no folder \S+/none; create"):
        check_writable(tmp_path / "none" / "report.json", "--output")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="there is no folder"):
        check_writable(tmp_path / "file" / "report.json", "--output")


@pytest.mark.parametrize("name", ["r" * 300, "nul\0.json"])
def test_a_name_that_no_file_can_have_is_told_in_one_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"--output .* cannot be the name of a file"):
        check_writable(tmp_path / name, "--output")


def test_a_pipe_with_a_name_is_refused_before_the_work(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match=r"--output \S+/pipe is a pipe or a device"):
        check_writable(tmp_path / "pipe", "--output")


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs a /dev/fd")
def test_a_pipe_that_is_open_is_written_to() -> None:
    reading, writing = os.pipe()
    check_writable(f"/dev/fd/{writing}", "--output")
    write_json(a_report(), f"/dev/fd/{writing}")
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as file:
        assert file.read() == a_report().to_json()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a /proc")
def test_a_folder_that_even_root_cannot_write_to_is_found_out() -> None:
    with pytest.raises(OutputError, match=r"--timeline /proc/rows\.csv: nothing can be written"):
        check_writable("/proc/rows.csv", "--timeline")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_permissions_are_respected(tmp_path: Path) -> None:
    (tmp_path / "report.json").touch(0o444)
    with pytest.raises(OutputError, match="is write-protected"):
        check_writable(tmp_path / "report.json", "--output")
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match="nothing can be written in the folder"):
        check_writable(tmp_path / "other.json", "--output")
