"""State files: the same after the journey, and nothing but a state is taken for one."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from streamdeid.engine.state_file import SCHEMA, packed, read_state, unpacked, write_state
from streamdeid.errors import InputError, OutputError
from tests.laws.states import assert_alike

SCALARS = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS
    | st.floats(allow_nan=False, allow_infinity=False)
    | arrays.arrays(np.float64, arrays.array_shapes(max_dims=3, max_side=4))
    | arrays.arrays(np.int64, st.integers(0, 5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
STATE = {"count": 3, "mean": np.arange(6.0).reshape(2, 3), "inner": [{"ids": np.arange(4)}, None]}


@settings(max_examples=40)
@given(st.dictionaries(st.text(max_size=5), VALUES))
def test_a_state_is_the_same_after_the_journey(state: dict[str, Any]) -> None:
    assert_alike(unpacked(packed(state)), state)


def test_the_same_state_gives_the_same_bytes() -> None:
    assert packed(STATE) == packed(STATE)


def test_a_file_replaces_another_whole_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.state"
    write_state(path, {"a": 1})
    assert path.stat().st_mode & 0o777 == 0o600
    write_state(path, STATE)
    assert_alike(read_state(path), STATE)
    assert [item.name for item in tmp_path.iterdir()] == ["run.state"]
    with pytest.raises(OutputError, match="cannot be written"):
        write_state(tmp_path / "nowhere" / "run.state", STATE)


@given(st.data())
def test_a_damaged_file_is_refused_or_holds_what_it_held(data: st.DataObject) -> None:
    whole = packed(STATE)
    cut = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[cut] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (whole[:cut], bytes(flipped)):
        try:
            found = unpacked(damaged)
        except ValueError:
            continue
        assert_alike(found, STATE)


def zipped(compression: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def state_with(array: bytes, state: str = '{"x": {"$array": 0}}') -> bytes:
    record = f'{{"schema": "{SCHEMA}", "state": {state}}}'.encode()
    return zipped(**{"state.json": record, "0.npy": array})


def array_bytes(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


GOOD = array_bytes(np.zeros((2, 8)))
HUGE = GOOD.replace(b"(2, 8)", b"(9,99)")
ENCRYPTED = bytearray(state_with(GOOD))
ENCRYPTED[ENCRYPTED.index(b"PK\1\2") + 8] |= 1
FOREIGN = {
    "nothing": b"",
    "text": b"hello",
    "a pickle": pickle.dumps({"a": 1}),
    "another zip": zipped(**{"a.txt": b"hello"}),
    "a zip bomb": zipped(zipfile.ZIP_DEFLATED, **{"state.json": b" " * 10**6}),
    "another schema": zipped(**{"state.json": b'{"schema": "streamdeid-state/9"}'}),
    "no JSON": zipped(**{"state.json": b"{"}),
    "NaN": zipped(**{"state.json": b'{"schema": NaN}'}),
    "JSON too deep": zipped(**{"state.json": b"[" * 10**6}),
    "an array that is not there": zipped(
        **{"state.json": b'{"schema": "streamdeid-state/1", "state": {"x": {"$array": 7}}}'}
    ),
    "an array of objects": state_with(array_bytes(np.array([{}, 1], object), allow_pickle=True)),
    "an array that promises more": state_with(HUGE),
    "an array whose header does not end": state_with(GOOD.replace(b"(2, 8)", b"(2, 8(")),
    "an array of no type": state_with(GOOD.replace(b"<f8", b"<08")),
    "an array of Python 2": state_with(GOOD.replace(b"(2, 8)", b"(2L,8)")),
    "an array whose number is too large": state_with(GOOD, '{"x": {"$array": 1e999}}'),
    "an array that is there twice": state_with(GOOD, '{"x": {"$array": 0}, "y": {"$array": 0}}'),
    "a flag that says encrypted": bytes(ENCRYPTED),
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_no_state_is_refused_in_one_sentence(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.state"
    path.write_bytes(data)
    with pytest.raises(InputError) as refused:
        read_state(path)
    assert str(refused.value).startswith(str(path))
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.state"):
        read_state(tmp_path / "nothing.state")
    with pytest.raises(InputError, match="is no file"):
        read_state(tmp_path)


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.state"
    with path.open("wb") as file:
        file.truncate(2**30 + 1)  # sparse: it takes no room
    with pytest.raises(InputError, match="1,073,741,825 bytes"):
        read_state(path)
