"""The laws of every metric. A class in `streamdeid.metrics` is under them from its first line.

What a metric is built from is told by the names of its parameters, and what it is fed with by the
annotation of `update`: see `SETTINGS` and `ITEMS`. A new word or noun must be taught here.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamdeid.metrics
from streamdeid.frame import Frame
from streamdeid.metrics import FeatureSpace, IdentityDistance, References
from streamdeid.observations import (
    ACTION_UNITS,
    REGIONS,
    ActionUnits,
    AuOrigin,
    Box,
    ExpressionReading,
    Face,
    IdentityReading,
    Likeness,
    MotionFeatures,
    QualityReading,
    Sighting,
)
from streamdeid.pair import Pair
from streamdeid.score import Score

from .discovery import classes_with
from .states import assert_alike, through_files

METRICS = classes_with(streamdeid.metrics, "update", "merge", "result", "to_state", "load_state")
DIM = 4
RNG = np.random.default_rng(7)

# A few people, so that some faces verify as the source and some do not.
PEOPLE = [RNG.normal(0.0, 0.5, DIM).astype(np.float32) for _ in range(3)]
REFERENCES = References(source=PEOPLE[0], target=PEOPLE[1])

SETTINGS: dict[str, list[Any]] = {
    "references": [REFERENCES, References(source=PEOPLE[0]), References()],
    "distance": ["euclidean", "cosine"],
    "threshold": [0.6, 0.3],
    "impostor_distance": [None, (0.75, 0.84)],
    "metric": [
        IdentityDistance(REFERENCES, "euclidean", 0.6),
        IdentityDistance(References(), "cosine", 0.4),
    ],
    "size": [5, 100],
    "seed": [3, 4],
    "figure": ["fid_i3d", "fvd"],
    "origin": [
        AuOrigin("OpenFace 2.2.0", ("online", "post-processed"), "FACS intensity, 0..5"),
        AuOrigin("blendshape proxy", ("proxy",), "proxy", one_unit=False, reliability={1: "weak"}),
        AuOrigin("OpenFace, run by a.sh", ("post-processed",), "FACS intensity, 0..5"),
    ],
    "openface": [
        AuOrigin("OpenFace 2.2.0", ("online", "post-processed"), "FACS intensity, 0..5"),
        AuOrigin("OpenFace 1.0", ("online",), "FACS intensity, 0..5"),
    ],
    "proxy": [
        AuOrigin("blendshape proxy", ("proxy",), "proxy", reliability={1: "weak", 2: "good"}),
        AuOrigin("another proxy", ("proxy",), "proxy"),
    ],
    "prefix": ["expression", "expression_proxy"],
    "space": [
        FeatureSpace("features", DIM, "pool", "-1..1", "face"),
        FeatureSpace("logits", DIM, "logits", "-1..1", "face", 16, 16),
    ],
}
SENTENCES = {"fault"}  # any text is one
ONLY_SHOWN = {"impostor_distance"}  # stands beside the figures, and does not enter into them

every_metric = pytest.mark.parametrize("cls", METRICS, ids=lambda cls: cls.__name__)
laws = settings(max_examples=25, deadline=None, derandomize=True)

# Embeddings are below 3 long, so that sums over 40 frames stay below 1e3.
TOLERANCE = {"rel": 1e-9, "tol": 1e-10}


def build(cls: type, which: int = 0, **changed: Any) -> Any:
    names = inspect.signature(cls).parameters
    chosen = {name: SETTINGS[name][min(which, len(SETTINGS[name]) - 1)] for name in names}
    return cls(**{**chosen, **changed})


def reading(index: int, present: int, person: int) -> IdentityReading:
    """The bits of `present` say who has a face: original, de-identified, crop, flat, detail."""
    rng = np.random.default_rng([index, present, person])

    def face(bit: int) -> Any:
        near = PEOPLE[person] + rng.normal(0, 0.2, DIM)
        return near.astype(np.float32) if present & bit else None

    return IdentityReading(
        index,
        Fraction(index, 25),
        Pair(face(1), face(2)),
        face(4),
        paired_flat=bool(present & 8) and not present & 4,
        paired_detail=float(rng.random()) if present & 16 and present & 4 else None,
    )


def sighting(index: int, present: int) -> Sighting:
    """The bits of `present`: face, detected, track dropped, several faces."""
    frame = Frame(np.zeros((2, 2, 3), np.uint8), index, index, Fraction(1, 25))
    face = Face(np.zeros((478, 3), np.float32), Box(1.0, 2.0, 3.0 + index, 4.0), 0.9)
    return Sighting(
        frame,
        face if present & 1 else None,
        detected=bool(present & 2),
        track_dropped=bool(present & 4),
        faces_in_view=(present >> 3) & 3,
    )


@st.composite
def readings(draw: st.DrawFn) -> list[IdentityReading]:
    octets = draw(st.binary(max_size=40))
    items, index = [], 0
    for octet in octets:
        index += 1 if octet < 224 else 2  # now and then a pair gave no reading
        items.append(reading(index, octet & 31, octet // 32 % 3))
    return items


@st.composite
def sightings(draw: st.DrawFn) -> list[Pair[Sighting]]:
    octets = draw(st.binary(max_size=40))
    return [Pair(sighting(i, o & 31), sighting(i, o >> 3)) for i, o in enumerate(octets)]


def quality(index: int, present: int) -> QualityReading:
    """The bits of `present`: measured, face, background, large enough, alike, resized."""
    rng = np.random.default_rng([index, present])

    def likeness() -> Likeness:
        ssim, ms_ssim, mse = rng.random(3).tolist()
        large = bool(present & 8)
        return Likeness(ssim if large else None, ms_ssim if large else None, mse * (present & 16))

    there = present & 1, present & 2, present & 4  # as in REGIONS
    regions = {name: likeness() for name, bit in zip(REGIONS, there, strict=True) if bit}
    return QualityReading(regions if present & 2 else {}, 64 + index, bool(present & 32))


@st.composite
def qualities(draw: st.DrawFn) -> list[QualityReading]:
    return [quality(i, o) for i, o in enumerate(draw(st.binary(max_size=40)))]


def motion(first: int, octet: int) -> MotionFeatures:
    features, logits = np.random.default_rng([first, octet]).normal(0, 1, (2, DIM))
    return MotionFeatures(features.astype(np.float32), logits.astype(np.float32), first)


@st.composite
def motions(draw: st.DrawFn) -> list[Pair[MotionFeatures]]:
    octets = draw(st.binary(max_size=40))
    return [Pair(motion(8 * i, o), motion(8 * i, o // 2)) for i, o in enumerate(octets)]


def expression(index: int, octet: int) -> ExpressionReading:
    """The bits of `octet`: original, de-identified, presence, fault, post-processed, still."""
    rng = np.random.default_rng([index, octet])

    def units(bit: int) -> ActionUnits | None:
        if not octet & bit:
            return None
        intensity = rng.normal(1, 1, len(ACTION_UNITS)) * (0 if octet & 32 else 1)
        return ActionUnits(intensity, intensity > 1 if octet & 4 else None)

    return ExpressionReading(
        index,
        Fraction(index, 25),
        Pair(units(1), units(2)),
        ("post-processed", "online", "proxy")[octet // 16 % 3],
        "OpenFace ended with exit code 1." if octet & 8 else None,
        Pair(units(2), units(1)) if octet & 64 else None,
    )


@st.composite
def expressions(draw: st.DrawFn) -> list[ExpressionReading]:
    return [expression(i, o & 127) for i, o in enumerate(draw(st.binary(max_size=40)))]


ITEMS: dict[Any, st.SearchStrategy[list[Any]]] = {
    ExpressionReading: expressions(),
    IdentityReading: readings(),
    Pair[Sighting]: sightings(),
    QualityReading: qualities(),
    Pair[MotionFeatures]: motions(),
}


def streams(cls: type) -> st.SearchStrategy[list[Any]]:
    hints = get_type_hints(cls.update)
    item = next(hint for name, hint in hints.items() if name != "return")
    assert item in ITEMS, f"teach the laws to make {item}"
    return ITEMS[item]


def seen(cls: type, items: Sequence[Any], which: int = 0) -> Any:
    metric = build(cls, which)
    for item in items:
        metric.update(item)
    return metric


def told(metric: Any) -> list[dict[str, Any]]:
    """All that a metric says, ready to be compared."""
    record = [metric.to_record()] if hasattr(metric, "to_record") else []
    return [{"name": s.name, **s.to_record()} for s in metric.result()] + record


def without_runs(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    in_order = ("longest_run", "lag_s")
    return [r for r in said if not any(word in r.get("name", "") for word in in_order)]


def test_the_room_is_not_empty() -> None:
    assert {cls.__name__ for cls in METRICS} >= {"IdentityDistance", "Sampled", "Coverage"}


@every_metric
@given(data=st.data(), which=st.integers(0, 2))
@laws
def test_shards_in_order_of_time_equal_one_pass(cls: type, data: st.DataObject, which: int) -> None:
    items = data.draw(streams(cls))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(items)), max_size=5)))
    bounds = zip([0, *cuts], [*cuts, len(items)], strict=True)
    shards = [seen(cls, items[start:stop], which) for start, stop in bounds]
    while len(shards) > 1:
        place = data.draw(st.integers(0, len(shards) - 2))
        shards[place].merge(shards.pop(place + 1))
    assert_alike(told(shards[0]), told(seen(cls, items, which)), **TOLERANCE)


@every_metric
@given(data=st.data())
@laws
def test_shards_in_any_order_equal_one_pass_but_for_runs(cls: type, data: st.DataObject) -> None:
    items = data.draw(streams(cls))
    third = len(items) // 3
    shards = [seen(cls, items[i:j]) for i, j in ((0, third), (third, 2 * third), (2 * third, None))]
    first, *others = data.draw(st.permutations(shards))
    for other in others:
        first.merge(other)
    assert_alike(without_runs(told(first)), without_runs(told(seen(cls, items))), **TOLERANCE)


@every_metric
@given(data=st.data(), which=st.integers(0, 2))
@laws
def test_a_fresh_metric_merged_in_changes_nothing(
    cls: type, data: st.DataObject, which: int
) -> None:
    items = data.draw(streams(cls))
    want = told(seen(cls, items, which))
    one, other = seen(cls, items, which), build(cls, which)
    one.merge(build(cls, which))
    other.merge(seen(cls, items, which))
    assert_alike(told(one), want)
    assert_alike(told(other), want)


@every_metric
@given(data=st.data())
@laws
def test_merge_leaves_the_other_as_it_was(cls: type, data: st.DataObject) -> None:
    items = data.draw(streams(cls))
    half = len(items) // 2
    other = seen(cls, items[half:])
    before, state = told(other), other.to_state()
    one = seen(cls, items[:half])
    one.merge(other)
    fresh = build(cls)
    fresh.merge(other)
    for item in items[:half]:
        fresh.update(item)
    assert_alike(told(other), before)
    assert_alike(other.to_state(), state)


@every_metric
@given(data=st.data(), which=st.integers(0, 2))
@laws
def test_a_state_survives_files_and_can_be_gone_on_from(
    cls: type, data: st.DataObject, which: int
) -> None:
    items = data.draw(streams(cls))
    half = len(items) // 2
    first = seen(cls, items[:half], which)
    restored = seen(cls, items[half:], which)  # what it had seen is replaced
    restored.load_state(through_files(first.to_state()))
    assert_alike(restored.to_state(), first.to_state())
    assert_alike(told(restored), told(first))
    for item in items[half:]:
        restored.update(item)
    # Not to the last digit: a metric may put items together that a state has kept apart.
    assert_alike(told(restored), told(seen(cls, items, which)), **TOLERANCE)


@every_metric
@given(data=st.data())
@laws
def test_a_state_is_a_copy_with_plain_keys(cls: type, data: st.DataObject) -> None:
    metric = seen(cls, data.draw(streams(cls)))
    again = metric.to_state()
    restored = build(cls)
    state = metric.to_state()
    restored.load_state(state)
    for path, array in arrays_in(state):
        assert path.replace("/", "").isidentifier(), path
        array += 1
    assert_alike(metric.to_state(), again)
    assert_alike(restored.to_state(), again)


def arrays_in(state: Mapping[str, Any], path: str = "") -> list[tuple[str, np.ndarray]]:
    found = []
    for key, value in state.items():
        assert key.isidentifier()
        if isinstance(value, Mapping):
            found += arrays_in(value, f"{path}/{key}")
        elif isinstance(value, np.ndarray):
            found.append((f"{path}/{key}", value))
    return found


def spoilt(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The state with each of its values, at any depth, taken out or replaced by nonsense."""
    states = []
    for key, value in state.items():
        states.append({other: state[other] for other in state if other != key})
        states.append({**state, key: 0.5 if key in SENTENCES else "nonsense"})
        if isinstance(value, Mapping):
            states += [{**state, key: inner} for inner in spoilt(value)]
    return states


@every_metric
@given(data=st.data())
@settings(max_examples=3, deadline=None, derandomize=True)
def test_a_spoilt_state_is_refused_and_changes_nothing(cls: type, data: st.DataObject) -> None:
    items = data.draw(streams(cls).filter(lambda items: len(items) > 8))
    metric, state = seen(cls, items[:3]), seen(cls, items).to_state()
    before = metric.to_state()
    for nonsense in spoilt(state):
        with pytest.raises(ValueError, match="state of "):
            metric.load_state(nonsense)
    assert_alike(metric.to_state(), before)


@every_metric
def test_other_settings_are_neither_merged_nor_loaded(cls: type) -> None:
    for name in inspect.signature(cls).parameters:
        one, other = build(cls), build(cls, **{name: SETTINGS[name][1]})
        if name in ONLY_SHOWN:
            one.merge(other)
            continue
        with pytest.raises(ValueError, match="cannot merge"):
            one.merge(other)
        with pytest.raises(ValueError, match="state of"):
            one.load_state(other.to_state())


@every_metric
@given(data=st.data(), which=st.integers(0, 2))
@laws
def test_scores_are_the_same_names_every_time_and_missing_ones_say_why(
    cls: type, data: st.DataObject, which: int
) -> None:
    metric = seen(cls, data.draw(streams(cls)), which)
    scores: Sequence[Score] = metric.result()
    names = [score.name for score in scores]
    assert len(set(names)) == len(names)
    assert names == [score.name for score in build(cls, which).result()]
    assert_alike(told(metric), told(metric))
    for score in scores:
        if score.value is None:
            assert score.count == 0
            assert score.std is None
            assert score.reason
            assert score.reason.strip() == score.reason
    through_files({"told": {str(k): dict(v) for k, v in enumerate(told_as_json(metric))}})


def told_as_json(metric: Any) -> list[dict[str, Any]]:
    """Without lists, which states do not have."""
    return [{k: v for k, v in r.items() if not isinstance(v, list)} for r in told(metric)]


@every_metric
@pytest.mark.parametrize("which", [0, 1, 2])
def test_without_data_no_score_has_a_value(cls: type, which: int) -> None:
    for score in build(cls, which).result():
        assert score.value is None


@every_metric
@given(data=st.data(), which=st.integers(0, 2))
@laws
def test_columns_are_those_announced_and_change_nothing(
    cls: type, data: st.DataObject, which: int
) -> None:
    metric = build(cls, which)
    announced = metric.column_names
    assert len(set(announced)) == len(announced)
    items = data.draw(streams(cls))
    for item in items:
        cells = metric.columns(item)
        assert set(cells) in (set(announced), set()), "all, or none: no row is this item's"
        for value in cells.values():
            assert value is None or type(value) in {float, int, bool}
            assert value is None or np.isfinite(value)
    assert_alike(metric.to_state(), build(cls, which).to_state())
    assert metric.column_names == announced


@every_metric
@given(data=st.data())
@laws
def test_memory_does_not_grow_with_length(cls: type, data: st.DataObject) -> None:
    items = data.draw(streams(cls).filter(lambda items: len(items) > 8))
    limits = {name: SETTINGS[name][0] for name in inspect.signature(cls).parameters}

    def size(state: Mapping[str, Any]) -> int:
        return sum(array.nbytes for _, array in arrays_in(state))

    bound = size(seen(cls, items).to_state()) + 8 * limits.get("size", 0) * (4 + 3 * DIM)
    bound += 8 * 16 * DIM  # means of what had not been seen in so few
    metric, later = build(cls), 0
    for _ in range(3):
        for item in items:
            metric.update(later_by(item, later))
        later += 1000
    assert size(metric.to_state()) <= bound


def later_by(item: Any, frames: int) -> Any:
    if isinstance(item, IdentityReading):
        return IdentityReading(item.index + frames, item.time, item.own, item.paired)
    if isinstance(item, ExpressionReading):
        return replace(item, index=item.index + frames)
    if isinstance(item, Pair) and isinstance(item.original, MotionFeatures):
        return item.map(lambda side: replace(side, first=side.first + frames))
    return item
