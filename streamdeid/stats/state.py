"""State: what a statistic or a metric has seen, as plain values that any file format can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamdeid.stats.batch import Floats

State: TypeAlias = Mapping[str, "StateValue"]
"""Names to values; scalars go through JSON and arrays through .npz, and nothing is ever pickled.

Numbers are finite: what is not known yet is None, because JSON knows no infinity.
"""

StateValue: TypeAlias = "int | float | str | bool | NDArray[Any] | State | None"


class StateReader:
    """Takes values out of a state and says plainly which one is missing or wrong.

    Arrays come out as copies, so that a state can be loaded twice.

    Raises:
        ValueError: from every method, naming `owner` and the key.

    >>> StateReader({"count": -3}, "RunningMoments").integer("count", minimum=0)
    Traceback (most recent call last):
        ...
    ValueError: state of RunningMoments: count is -3, and must be at least 0
    """

    def __init__(self, state: State, owner: str) -> None:
        if not isinstance(state, Mapping):
            raise ValueError(f"state of {owner}: expected a mapping, got {type(state).__name__}")
        self._state = state
        self._owner = owner

    def integer(self, key: str, minimum: int | None = None) -> int:
        value = self._value(key)
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
            raise self._error(key, f"is {_shown(value)}, and must be an integer")
        if minimum is not None and value < minimum:
            raise self._error(key, f"is {int(value)}, and must be at least {minimum}")
        return int(value)

    def number(self, key: str, minimum: float | None = None) -> float:
        value = self._value(key)
        if (
            not isinstance(value, (int, float, np.integer, np.floating))
            or isinstance(value, bool)
            or not math.isfinite(value)
        ):
            raise self._error(key, f"is {_shown(value)}, and must be a finite number")
        if minimum is not None and value < minimum:
            raise self._error(key, f"is {float(value)}, and must be at least {minimum}")
        return float(value)

    def number_or_none(self, key: str) -> float | None:
        return None if self._value(key) is None else self.number(key)

    def text(self, key: str) -> str:
        value = self._value(key)
        if not isinstance(value, str):
            raise self._error(key, f"is {_shown(value)}, and must be a string")
        return value

    def text_or_none(self, key: str) -> str | None:
        return None if self._value(key) is None else self.text(key)

    def child(self, key: str) -> State:
        """A state inside this one."""
        value = self._value(key)
        if not isinstance(value, Mapping):
            raise self._error(key, f"is {_shown(value)}, and must be a state")
        return value

    def child_or_none(self, key: str) -> State | None:
        return None if self._value(key) is None else self.child(key)

    def floats(
        self, key: str, shape: tuple[int | None, ...], *, missing_allowed: bool = False
    ) -> Floats:
        """An array of float64; None in `shape` stands for any length, NaN only if allowed."""
        array = self._array(key, shape).astype(np.float64)
        if not missing_allowed and not np.isfinite(array).all():
            raise self._error(key, "holds values that are not finite")
        return array

    def integers(self, key: str, shape: tuple[int | None, ...]) -> NDArray[np.int64]:
        array = self._array(key, shape)
        if not np.issubdtype(array.dtype, np.integer):
            raise self._error(key, f"holds {array.dtype}, and must hold integers")
        return array.astype(np.int64)

    def expect(self, key: str, value: StateValue) -> None:
        """Refuse a state that was made with another setting than `value`, which is no array."""
        stored = self._value(key)
        if isinstance(stored, np.ndarray) or stored != value:
            raise self._error(key, f"is {_shown(stored)}, but here it is {value!r}")

    def _array(self, key: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
        array = self._value(key)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            raise self._error(key, f"is {_shown(array)}, and must be an array of numbers")
        fits = array.ndim == len(shape) and all(
            wanted is None or have == wanted
            for have, wanted in zip(array.shape, shape, strict=True)
        )
        if not fits:
            wanted = tuple("any" if length is None else length for length in shape)
            raise self._error(key, f"has shape {array.shape}, and must have {wanted}")
        return array

    def _value(self, key: str) -> object:
        if key not in self._state:
            raise self._error(key, "is missing")
        return self._state[key]

    def _error(self, key: str, fault: str) -> ValueError:
        return ValueError(f"state of {self._owner}: {key} {fault}")


def _shown(value: object) -> str:
    text = repr(value) if not isinstance(value, np.ndarray) else f"an array of {value.dtype}"
    return text if len(text) <= 40 else type(value).__name__
