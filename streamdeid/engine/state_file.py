"""State files: what a run has seen, in one file that nothing is ever unpickled from.

A zip of one JSON text, `state.json`, and of arrays in numpy's own format, none of them compressed:
so no file can be larger in memory than it is on the disk. `{"$array": 3}` in the JSON stands for
the array `3.npy`.
"""

from __future__ import annotations

import io
import json
import math
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamdeid.errors import InputError, OutputError
from streamdeid.report.whole_file import replace_file

SCHEMA: Final = "streamdeid-state/1"
LARGEST: Final = 2**30
"""Bytes of a file; the metrics there are take 150 MiB at most."""

_JSON: Final = "state.json"
_MOST_JSON: Final = 2**24
_MOST_ARRAYS: Final = 10_000
_MARK: Final = "$array"
_OWNER_ONLY: Final = 0o600
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # a zip's earliest: the same state gives the same bytes
_KINDS: Final = "biuf"


def write_state(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write a state, atomically; a new file can be read by its owner only.

    Args:
        state: JSON values and arrays of numbers, nested.

    Raises:
        OutputError: it cannot be written; what was there before is still there.
    """
    try:
        replace_file(Path(os.path.realpath(path)), packed(state), _OWNER_ONLY)
    except OSError as error:
        raise OutputError(
            f"the state {os.fspath(path)} cannot be written: {error.strerror or error}."
        ) from error


def read_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The state that a file holds.

    Raises:
        InputError: there is no such file, or it is none of ours, or damaged.
    """
    try:
        size = Path(path).stat().st_size
        if not Path(path).is_file():
            raise InputError(f"{os.fspath(path)} is no file: give a state that a run has written.")
        if size > LARGEST:
            raise InputError(
                f"{os.fspath(path)} has {size:,} bytes, and a state has {LARGEST:,} at most: "
                "it is not one of ours."
            )
        return unpacked(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{os.fspath(path)} cannot be read as a state: {reason}.") from error


def packed(state: Mapping[str, Any]) -> bytes:
    """The bytes of a state's file."""
    arrays: list[NDArray[Any]] = []
    text = json.dumps({"schema": SCHEMA, "state": _apart(state, arrays)}, allow_nan=False)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_JSON, _EPOCH), text)
        for number, array in enumerate(arrays):
            held = io.BytesIO()
            np.lib.format.write_array(held, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{number}.npy", _EPOCH), held.getbuffer())
    return file.getvalue()


def unpacked(data: bytes) -> dict[str, Any]:
    """The state in the bytes of a file.

    Raises:
        ValueError: they are no state of this version, or damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if (
                any(member.compress_type != zipfile.ZIP_STORED for member in members)
                or sum(member.file_size for member in members) > len(data)
                or len(members) > _MOST_ARRAYS
            ):
                raise ValueError("it is packed as no state is")
            by_name = {member.filename: member for member in members}
            if _JSON not in by_name or by_name[_JSON].file_size > _MOST_JSON:
                raise ValueError("it is a zip, but no state of streamdeid")
            record = json.loads(archive.read(_JSON), parse_constant=_refuse_constant)
            schema = record.get("schema") if isinstance(record, dict) else None
            if schema != SCHEMA:
                raise ValueError(f"its schema is {schema!r}, and it must be {SCHEMA!r}")
            state = _together(record["state"], archive, set(by_name))
    except zipfile.BadZipFile as error:
        raise ValueError("it is no state of streamdeid, or was cut off or damaged") from error
    # RuntimeError: zipfile, of a flipped bit that says "encrypted", and whatever nests too deeply;
    # OverflowError: the number of an array is 1e999.
    except (KeyError, TypeError, EOFError, RuntimeError, OverflowError) as error:
        raise ValueError("it is damaged") from error
    if not isinstance(state, dict):
        raise ValueError("it is damaged: it holds no state")
    return state


def _apart(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """`value` with a mark in place of each array."""
    if isinstance(value, Mapping):
        return {str(key): _apart(item, arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_apart(item, arrays) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {_MARK: len(arrays) - 1}
    return value


def _together(value: Any, archive: zipfile.ZipFile, unread: set[str]) -> Any:
    """`value` with each array in place of its mark, once: else a small file could fill the memory.

    Raises:
        KeyError: an array is not among those `unread`.
    """
    if isinstance(value, list):
        return [_together(item, archive, unread) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_MARK}:
        name = f"{int(value[_MARK])}.npy"
        unread.remove(name)
        return _array(archive.read(name))
    return {key: _together(item, archive, unread) for key, item in value.items()}


def _array(data: bytes) -> NDArray[Any]:
    """An array of numbers, whose header must not promise more than there is."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it holds an array of another format than ours")
    try:
        with warnings.catch_warnings(action="error"):  # numpy mends what Python 2 has written
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    except (SyntaxError, TokenError, UserWarning) as error:  # numpy takes the text for Python
        raise ValueError("it holds an array that is damaged") from error
    if dtype.kind not in _KINDS or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError("it holds an array that is damaged")
    numbers = np.frombuffer(data, dtype, offset=file.tell())
    return numbers.reshape(shape, order="F" if fortran else "C").copy()


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
