"""replace_file: whoever reads there finds what was there before, or all of what came after."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

ANY_NEW_FILE: Final = 0o666
"""Permissions that a new file gets, less what the user's mask takes away; tempfile's are others."""


def replace_file(place: Path, data: bytes, mode: int = ANY_NEW_FILE) -> None:
    """Write `data` beside `place`, and give it that name when it is safely on the disk.

    Args:
        mode: permissions, where there is no file yet; one that is there keeps its own.

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    temporary = temporary_beside(place)
    try:
        with open(create(temporary, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if place.exists():
            temporary.chmod(place.stat().st_mode & 0o777)
        temporary.replace(place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def temporary_beside(place: Path) -> Path:
    """A name in the same folder: only within one file system is a rename atomic."""
    return place.with_name(f".streamdeid-{secrets.token_hex(6)}.tmp")


def create(path: Path, mode: int = ANY_NEW_FILE) -> int:
    """A descriptor of a new file.

    Raises:
        OSError: it cannot be made, or is there already.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
