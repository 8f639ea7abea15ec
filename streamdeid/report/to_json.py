"""Reports into files: whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from streamdeid.errors import OutputError
from streamdeid.report.printable import shown_name
from streamdeid.report.report import Report
from streamdeid.report.whole_file import create, replace_file, temporary_beside

STANDARD_OUTPUT: Final = "-"

_KEPT: Final = " The report that was there before is untouched."


def write_json(report: Report, path: str | os.PathLike[str]) -> None:
    """Write `report` to `path`, atomically: whoever reads there finds the old report or the new.

    The new one is written beside the old and takes its name when it is safely on the disk. What
    is no regular file (a pipe, /dev/stdout) is written to directly.

    Raises:
        OutputError: it cannot be written; what was there before is still there.
    """
    place = Path(os.path.realpath(path))  # a link stays a link
    data = report.to_json().encode()
    mode = None
    try:
        mode = _mode(Path(path))
        if mode is not None and not stat.S_ISREG(mode):
            with Path(path).open("wb") as file:
                file.write(data)
        else:
            replace_file(place, data)
    except OSError as error:
        kept = "" if mode is None or not stat.S_ISREG(mode) else _KEPT
        name = shown_name(str(path))
        raise OutputError(
            f"the report {name} cannot be written: {error.strerror or error}.{kept}"
        ) from error


def check_writable(path: str | os.PathLike[str], flag: str) -> None:
    """Find out, before any work is done for it, whether a file can be written at `path`.

    Args:
        flag: the option that named it, for the sentence: "--output".

    Raises:
        OutputError: its folder is missing or not writable, `path` is a folder itself, or a pipe
            with a name, which would wait for its reader when all the work is done.
    """
    shown = f"{flag} {shown_name(os.fspath(path))}"
    try:
        place = Path(os.path.realpath(path))
        mode = _mode(Path(path))
    except (OSError, ValueError) as error:  # a name too long, or with a null byte
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{shown} cannot be the name of a file: {reason}.") from error
    if mode is not None:
        if stat.S_ISDIR(mode):
            raise OutputError(f"{shown} is a folder: name a file in it.")
        if not os.access(path, os.W_OK):
            raise OutputError(f"{shown} is write-protected: choose another name.")
        if stat.S_ISCHR(mode) or _is_open_pipe(mode, place):
            return
        if not stat.S_ISREG(mode):
            raise OutputError(f"{shown} is a pipe or a device: name a file, or use -o - and |.")
    if not place.parent.is_dir():
        raise OutputError(f"{shown}: there is no folder {place.parent}; create it first.")
    # Asking for permissions is not enough: root has them all, read-only disks do not care.
    try:
        probe = temporary_beside(place)
        os.close(create(probe))
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"{shown}: nothing can be written in the folder {place.parent}: "
            f"{error.strerror or error}."
        ) from error


def _mode(path: Path) -> int | None:
    """What is at `path`, as `os.stat` has it; None where there is nothing.

    Raises:
        OSError: there cannot be anything; the name is too long, say.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_open_pipe(mode: int, place: Path) -> bool:
    """One that a shell has opened, /dev/stdout or /dev/fd/63: it leads to no name of its own."""
    return stat.S_ISFIFO(mode) and not place.exists()
