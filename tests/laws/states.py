"""Comparing states, and sending them through the files that will hold them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from streamdeid.stats import State


def assert_alike(have: object, want: object, *, rel: float = 0.0, tol: float = 0.0) -> None:
    """Equal in every type, key and shape; floats within `tol` + `rel`·|want|, all else exactly."""
    if isinstance(want, Mapping):
        assert isinstance(have, Mapping)
        assert set(have) == set(want)
        for key in want:
            assert_alike(have[key], want[key], rel=rel, tol=tol)
    elif isinstance(want, np.ndarray):
        assert isinstance(have, np.ndarray)
        assert have.dtype == want.dtype
        assert have.shape == want.shape
        if not np.array_equal(have, want):
            np.testing.assert_allclose(have, want, rtol=rel, atol=tol)
    elif isinstance(want, list | tuple):
        assert isinstance(have, list | tuple)
        assert len(have) == len(want)
        for one, other in zip(have, want, strict=True):
            assert_alike(one, other, rel=rel, tol=tol)
    elif isinstance(want, float) and isinstance(have, float):
        assert abs(have - want) <= tol + rel * abs(want)
    else:
        assert type(have) is type(want)
        assert have == want


def through_files(state: State) -> State:
    """The state after a journey: scalars as strict JSON, arrays as .npz without pickling."""
    scalars, arrays = _apart(state, "")
    file = io.BytesIO()
    np.savez(file, **{f"a{number}": array for number, array in enumerate(arrays.values())})
    file.seek(0)
    with np.load(file, allow_pickle=False) as loaded:
        back = {path: loaded[f"a{number}"] for number, path in enumerate(arrays)}
    text = json.dumps(scalars, allow_nan=False)
    return _together(json.loads(text), back, "")


def _apart(state: State, path: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    scalars: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for key, value in state.items():
        if isinstance(value, Mapping):
            scalars[key], inner = _apart(value, f"{path}/{key}")
            arrays.update(inner)
        elif isinstance(value, np.ndarray):
            arrays[f"{path}/{key}"] = value
        else:
            scalars[key] = value
    return scalars, arrays


def _together(scalars: Any, arrays: dict[str, np.ndarray], path: str) -> Any:
    if not isinstance(scalars, dict):
        return scalars
    state = {key: _together(value, arrays, f"{path}/{key}") for key, value in scalars.items()}
    for name, array in arrays.items():
        folder, key = name.rsplit("/", 1)
        if folder == path:
            state[key] = array
    return state
