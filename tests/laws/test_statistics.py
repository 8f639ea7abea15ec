"""The laws of every statistic. A class in `streamdeid.stats` is under them from its first line.

What a class is built from and fed with is told by the names of its parameters: see `SETTINGS` and
`column`. A new word must be taught here.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamdeid.stats
from streamdeid.errors import NotEnoughSamples
from streamdeid.stats import LongestRun, Reservoir, RunningLags

from .discovery import classes_with
from .states import assert_alike, through_files

STATISTICS = classes_with(streamdeid.stats, "update", "merge", "to_state", "from_state")
IN_ORDER = {LongestRun, RunningLags}  # merge only with what came later, as their docstrings say
MISSING_ALLOWED = {Reservoir}
MISSING_IN_STATE = {Reservoir, RunningLags}

SETTINGS: dict[str, Any] = {
    "dim": 3,
    "columns": 2,
    "reach": 3,
    "size": 5,
    "seed": 11,
    "low": -40.0,
    "high": 60.0,
    "bins": 16,
}

# Values reach 100 and streams 20 items, so sums of squares reach 2e5 and may differ by some hundred
# units of their last place, 3e-11 each.
TOLERANCE = {"rel": 1e-9, "tol": 1e-8}

every_statistic = pytest.mark.parametrize("cls", STATISTICS, ids=lambda cls: cls.__name__)
laws = settings(max_examples=20, deadline=None, derandomize=True)


def build(cls: type, **changed: Any) -> Any:
    names = inspect.signature(cls).parameters
    return cls(**{name: changed.get(name, SETTINGS[name]) for name in names})


def octets(length: int) -> st.SearchStrategy[np.ndarray]:
    """Many small numbers in one draw: a draw for each would make the suite four times slower."""
    drawn = st.binary(min_size=length, max_size=length)
    return drawn.map(lambda octets: np.frombuffer(octets, dtype=np.uint8))


def floats(*shape: int) -> st.SearchStrategy[np.ndarray]:
    """Numbers from -100 to 100, with ties, zeros and all digits in use."""
    drawn = octets(2 * int(np.prod(shape)))
    return drawn.map(lambda octets: (octets.view(np.int16) / 327.68).reshape(shape))


def column(name: str, length: int) -> st.SearchStrategy[np.ndarray]:
    """What `update` takes under this name, for `length` items."""
    match name:
        case "values":
            return floats(length)
        case "vectors" | "rows":
            return floats(length, SETTINGS["dim"])
        case "x" | "y":
            return floats(length, SETTINGS["columns"])
        case "ids" | "index":
            return octets(length).map(lambda steps: np.cumsum(1 + steps.astype(np.int64) % 3 // 2))
        case "time_s":
            return st.just(np.arange(length) / 25.0)
    raise AssertionError(f"teach the laws what a statistic takes as {name!r}")


Stream = dict[str, np.ndarray]


@st.composite
def streams(draw: st.DrawFn, cls: type) -> Stream:
    names = [name for name in inspect.signature(cls.update).parameters if name != "self"]
    length = draw(st.integers(0, 20))
    return {name: draw(column(name, length)) for name in names}


def seen(cls: type, stream: Stream, start: int = 0, stop: int | None = None) -> Any:
    statistic = build(cls)
    statistic.update(**{name: values[start:stop] for name, values in stream.items()})
    return statistic


def length_of(stream: Stream) -> int:
    return len(next(iter(stream.values())))


def cuts_of(data: st.DataObject, stream: Stream) -> list[tuple[int, int]]:
    length = length_of(stream)
    inner = sorted(data.draw(st.lists(st.integers(0, length), max_size=5)))
    return list(zip([0, *inner], [*inner, length], strict=True))


def test_the_room_is_not_empty() -> None:
    assert len(STATISTICS) >= 7


@every_statistic
@given(data=st.data())
@laws
def test_a_stream_cut_anywhere_merges_to_the_whole(cls: type, data: st.DataObject) -> None:
    stream = data.draw(streams(cls))
    merged = build(cls)
    for start, stop in cuts_of(data, stream):
        merged.merge(seen(cls, stream, start, stop))
    assert_alike(merged.to_state(), seen(cls, stream).to_state(), **TOLERANCE)


@every_statistic
@given(data=st.data())
@laws
def test_pieces_may_be_merged_in_any_grouping(cls: type, data: st.DataObject) -> None:
    stream = data.draw(streams(cls))
    pieces = [seen(cls, stream, start, stop) for start, stop in cuts_of(data, stream)]
    if cls not in IN_ORDER:
        pieces = data.draw(st.permutations(pieces))
    while len(pieces) > 1:
        place = data.draw(st.integers(0, len(pieces) - 2))
        pieces[place].merge(pieces.pop(place + 1))
    assert_alike(pieces[0].to_state(), seen(cls, stream).to_state(), **TOLERANCE)


@every_statistic
@given(data=st.data())
@laws
def test_item_by_item_is_all_at_once(cls: type, data: st.DataObject) -> None:
    stream = data.draw(streams(cls))
    statistic = build(cls)
    for item in range(length_of(stream)):
        statistic.update(**{name: values[item] for name, values in stream.items()})
    assert_alike(statistic.to_state(), seen(cls, stream).to_state(), **TOLERANCE)


@every_statistic
@given(data=st.data())
@laws
def test_nothing_added_changes_nothing(cls: type, data: st.DataObject) -> None:
    stream = data.draw(streams(cls))
    want = seen(cls, stream).to_state()

    with_fresh = seen(cls, stream)
    with_fresh.merge(build(cls))
    assert_alike(with_fresh.to_state(), want)

    onto_fresh = build(cls)
    onto_fresh.merge(seen(cls, stream))
    assert_alike(onto_fresh.to_state(), want)

    with_empty_batch = seen(cls, stream)
    with_empty_batch.update(**{name: values[:0] for name, values in stream.items()})
    assert_alike(with_empty_batch.to_state(), want)


@every_statistic
@given(data=st.data())
@laws
def test_merge_leaves_the_other_as_it_was(cls: type, data: st.DataObject) -> None:
    stream = data.draw(streams(cls))
    half = length_of(stream) // 2
    here, there = seen(cls, stream, 0, half), seen(cls, stream, half)
    before = there.to_state()
    here.merge(there)
    assert_alike(there.to_state(), before)

    # ... and they share no memory: what `here` sees from now on is none of the other's business.
    onto_fresh = build(cls)
    onto_fresh.merge(there)
    onto_fresh.update(**{name: values[:half] for name, values in stream.items()})
    assert_alike(there.to_state(), before)


@every_statistic
@given(data=st.data())
@laws
def test_a_state_survives_files_and_can_be_gone_on_from(cls: type, data: st.DataObject) -> None:
    stream = data.draw(streams(cls))
    half = length_of(stream) // 2
    first = seen(cls, stream, 0, half)
    restored = cls.from_state(through_files(first.to_state()))  # type: ignore[attr-defined]
    assert_alike(restored.to_state(), first.to_state())

    rest = {name: values[half:] for name, values in stream.items()}
    first.update(**rest)
    restored.update(**rest)
    assert_alike(restored.to_state(), first.to_state())


@every_statistic
@given(data=st.data())
@laws
def test_a_state_is_a_copy(cls: type, data: st.DataObject) -> None:
    stream = data.draw(streams(cls))
    statistic = seen(cls, stream)
    state, again = statistic.to_state(), statistic.to_state()
    restored = cls.from_state(state)  # type: ignore[attr-defined]
    for value in state.values():
        if isinstance(value, np.ndarray):
            value += 1
    assert_alike(statistic.to_state(), again)
    assert_alike(restored.to_state(), again)


def spoilt(state: Mapping[str, Any], *, missing_allowed: bool) -> list[dict[str, Any]]:
    """The state with each of its values taken out or replaced by what cannot be right."""
    states = []
    for key, value in state.items():
        states.append({other: state[other] for other in state if other != key})
        states.append({**state, key: "nonsense"})
        if isinstance(value, np.ndarray):
            states.append({**state, key: np.zeros((*value.shape, 2))})
            states.append({**state, key: np.array(["nonsense"])})
            if value.size > 0 and not missing_allowed:
                states.append({**state, key: np.full(value.shape, np.nan)})
        if isinstance(value, int):
            states.append({**state, key: True})
            states.append({**state, key: value + 0.5})
        if isinstance(value, float):
            states.append({**state, key: float("nan")})
    return states


@every_statistic
@given(data=st.data())
@laws
def test_a_spoilt_state_is_refused_by_name(cls: type, data: st.DataObject) -> None:
    stream = data.draw(streams(cls).filter(lambda stream: length_of(stream) > 0))
    whole = seen(cls, stream).to_state()
    for state in spoilt(whole, missing_allowed=cls in MISSING_IN_STATE):
        with pytest.raises(ValueError, match=r"^state of "):
            cls.from_state(state)  # type: ignore[attr-defined]


@every_statistic
def test_other_settings_are_not_merged(cls: type) -> None:
    for name in inspect.signature(cls).parameters:
        with pytest.raises(ValueError, match="cannot merge"):
            build(cls).merge(build(cls, **{name: SETTINGS[name] + 1}))


@every_statistic
@given(data=st.data(), missing=st.sampled_from([np.nan, np.inf, -np.inf]))
@laws
def test_missing_values_are_refused_and_leave_no_trace(
    cls: type, data: st.DataObject, missing: float
) -> None:
    stream = data.draw(streams(cls).filter(lambda stream: length_of(stream) > 0))
    statistic = seen(cls, stream)
    before = statistic.to_state()
    spoilt = {name: values.copy() for name, values in stream.items()}
    floats = [name for name, values in stream.items() if values.dtype == np.float64]
    spoilt[floats[-1]][-1] = missing
    if cls in MISSING_ALLOWED:
        assert seen(cls, spoilt).count == length_of(stream)
    else:
        with pytest.raises(ValueError, match="NaN or infinite"):
            statistic.update(**spoilt)
        assert_alike(statistic.to_state(), before)


@every_statistic
def test_without_data_there_is_no_figure(cls: type) -> None:
    fresh = build(cls)
    assert fresh.count == 0
    for name, attribute in inspect.getmembers(cls):
        if name.startswith("_") or name in {"update", "merge", "to_state", "from_state"}:
            continue
        try:
            if isinstance(attribute, property):
                figure = getattr(fresh, name)
            elif all(
                parameter.default is not parameter.empty or parameter.name == "self"
                for parameter in inspect.signature(attribute).parameters.values()
            ):
                figure = getattr(fresh, name)()
            else:
                continue
        except NotEnoughSamples as reason:
            assert " needs at least " in str(reason)  # noqa: PT017  some members do give something
            continue
        assert not isinstance(figure, float), f"{name} of nothing is {figure}"
        if isinstance(figure, np.ndarray) and figure.dtype.kind == "f":
            assert figure.size == 0, f"{name} of nothing is {figure}"
