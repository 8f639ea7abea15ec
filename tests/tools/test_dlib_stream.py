"""dlib's numbers are read as dlib writes them, and what is none is refused."""

from __future__ import annotations

import numpy as np
import pytest
from dlib_stream import DlibStream
from hypothesis import given
from hypothesis import strategies as st


def integer(value: int) -> bytes:
    """As dlib::serialize writes it."""
    length = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([length | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(length, "little")


def floating(value: float) -> bytes:
    """As dlib::serialize writes it: mantissa and exponent of two."""
    mantissa, denominator = value.as_integer_ratio()
    return integer(mantissa) + integer(1 - denominator.bit_length())


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_come_back(value: int) -> None:
    stream = DlibStream(integer(value) + b"rest")
    assert stream.integer() == value
    assert stream.remaining == 4


@given(st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_numbers_come_back(value: float) -> None:
    mantissa, _ = value.as_integer_ratio()
    if mantissa.bit_length() < 64:
        assert DlibStream(floating(value)).floating() == value


def test_lists_columns_and_texts_come_back() -> None:
    content = integer(2) + integer(7) + integer(-8)
    content += integer(-3) + integer(-1) + floating(0.5) + floating(-2.25) + floating(1024.0)
    content += integer(5) + b"con_4"
    stream = DlibStream(content)
    assert stream.many(stream.integer) == [7, -8]
    assert stream.column() == [0.5, -2.25, 1024.0]
    assert stream.text() == "con_4"
    assert stream.remaining == 0


def test_tensors_come_back() -> None:
    values = np.arange(6, dtype="<f4").reshape(1, 2, 3, 1)
    content = integer(2) + b"".join(map(integer, values.shape)) + values.tobytes()
    np.testing.assert_array_equal(DlibStream(content).tensor(), values)


@pytest.mark.parametrize(
    ("content", "reading", "sentence"),
    [
        (b"", "integer", "1 bytes wanted, 0 left"),
        (b"\x00", "integer", "starts no integer"),
        (b"\x09", "integer", "starts no integer"),
        (b"\x02\x01", "integer", "2 bytes wanted, 1 left"),
        (integer(1) + integer(32000), "floating", "not a finite number"),
        (integer(2) + integer(2), "column", "expected a column, not 2 x 2"),
        (integer(7), "tensor", "tensor version 7"),
        (integer(100) + b"short", "text", "100 bytes wanted"),
    ],
)
def test_damage_is_refused(content: bytes, reading: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        getattr(DlibStream(content), reading)()
