"""dlib's serialisation format, as far as its face models need it: numbers, and nothing that runs.

Source: dlib/serialize.h and dlib/float_details.h (integers: a control byte with sign and length,
then the value's little-endian bytes; floats: mantissa and exponent as such integers).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

_SIGN = 0x80
_LENGTH = 0x0F
_TENSOR_VERSION = 2
# Exponents that stand for what is no finite number (float_details).
_FIRST_SPECIAL_EXPONENT = 32000


class DlibStream:
    """Reads values from the bytes of a .dat file, one after the other.

    Every method raises ValueError where the bytes are not what it reads.
    """

    def __init__(self, content: bytes, position: int = 0) -> None:
        self.position = position
        self._content = content

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self._content) - self.position

    def integer(self) -> int:
        control = self._take(1)[0]
        length = control & _LENGTH
        if not 1 <= length <= 8:
            raise ValueError(f"byte {self.position - 1}: {control:#x} starts no integer")
        value = int.from_bytes(self._take(length), "little")
        return -value if control & _SIGN else value

    def floating(self) -> float:
        mantissa, exponent = self.integer(), self.integer()
        if exponent >= _FIRST_SPECIAL_EXPONENT:
            raise ValueError(f"byte {self.position}: a weight is not a finite number")
        return math.ldexp(mantissa, exponent)

    def text(self) -> str:
        return self._take(self.integer()).decode("ascii")

    def many(self, read: Callable[[], T]) -> list[T]:
        """A std::vector: its length, then as many items."""
        return [read() for _ in range(self.integer())]

    def column(self) -> list[float]:
        """A dlib matrix of one column; newer versions of the format store its sizes negated."""
        rows, columns = abs(self.integer()), abs(self.integer())
        if columns != 1:
            raise ValueError(f"byte {self.position}: expected a column, not {rows} x {columns}")
        return [self.floating() for _ in range(rows)]

    def tensor(self) -> NDArray[np.float32]:
        """A dlib tensor, shape (samples, channels, rows, columns), raw little-endian floats."""
        version = self.integer()
        if version != _TENSOR_VERSION:
            raise ValueError(f"byte {self.position}: tensor version {version} is unknown")
        shape = [self.integer() for _ in range(4)]
        raw = self._take(4 * math.prod(shape))
        return np.frombuffer(raw, "<f4").reshape(shape)

    def _take(self, count: int) -> bytes:
        if not 0 <= count <= self.remaining:
            raise ValueError(f"byte {self.position}: {count} bytes wanted, {self.remaining} left")
        start, self.position = self.position, self.position + count
        return self._content[start : self.position]
