"""I3D as a stream: the numbers of the whole clip, whatever the chunks; and clips on their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamdeid.inference.manifest import Manifest
from streamdeid.inference.session import Session
from streamdeid.observations import FaceCrop, MotionFeatures
from streamdeid.stages.motion import ContinualI3D, I3DClips, InputRange
from streamdeid.stages.stage import Stage
from tests.stages import record_motion

# PyTorch and ONNX Runtime add up in another order: found 3e-6 of 1.6, and 2.2e-5 of 12.
FEATURES = 1e-5
LOGITS = 5e-5

I3D = Stage[FaceCrop, MotionFeatures]


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(Manifest.load().default("motion"))


@pytest.fixture(scope="module")
def recorded() -> Mapping[str, NDArray[np.float32]]:
    with np.load(record_motion.FILE) as file:
        return dict(file)


@pytest.fixture(scope="module")
def noise() -> record_motion.Clip:
    return record_motion.noise()


@pytest.fixture(scope="module")
def face() -> record_motion.Clip:
    return record_motion.face()


def rows(stage: I3D, clip: Iterable[NDArray[np.float32]]) -> list[MotionFeatures]:
    found = [row for at, planes in enumerate(clip) for row in stage.push(FaceCrop(planes, at))]
    return found + list(stage.flush())


def features(found: list[MotionFeatures]) -> NDArray[np.float32]:
    return np.array([row.features for row in found])


def test_a_stream_gives_the_features_of_the_whole_clip(
    session: Session, face: record_motion.Clip, recorded: Mapping[str, NDArray[np.float32]]
) -> None:
    found = rows(ContinualI3D(session, chunk=16), face)
    np.testing.assert_allclose(features(found), recorded["face_features"], atol=FEATURES, rtol=0)
    logits = np.array([row.logits for row in found])
    np.testing.assert_allclose(logits, recorded["face_logits"], atol=LOGITS, rtol=0)
    assert [row.first for row in found] == list(range(0, 88, 8))


def test_the_last_frames_are_left_out_if_they_are_no_eight(
    session: Session, noise: record_motion.Clip, recorded: Mapping[str, NDArray[np.float32]]
) -> None:
    stage = ContinualI3D(session, chunk=8)
    found = rows(stage, [*noise, *noise[:7]])
    np.testing.assert_allclose(features(found), recorded["noise_features"], atol=FEATURES, rtol=0)
    assert stage.unused == 7


def test_the_range_of_fsmetric_can_be_fed(
    session: Session, face: record_motion.Clip, recorded: Mapping[str, NDArray[np.float32]]
) -> None:
    found = rows(ContinualI3D(session, chunk=32, input_range="0..1"), face[:32])
    np.testing.assert_allclose(
        features(found), recorded["fsmetric_features"], atol=FEATURES, rtol=0
    )


@pytest.fixture(scope="module")
def in_two(session: Session, noise: record_motion.Clip) -> NDArray[np.float32]:
    clip = noise[:24] / 127.5 - 1
    return run(session, [clip[:16], clip[16:]])[0]


@settings(max_examples=4)
@given(st.lists(st.integers(0, 9), min_size=3, max_size=12))
def test_the_network_may_be_cut_anywhere(
    session: Session, noise: record_motion.Clip, in_two: NDArray[np.float32], lengths: list[int]
) -> None:
    cuts = [min(int(cut), 24) for cut in np.cumsum(lengths)]
    parts = list(np.split(noise[:24] / 127.5 - 1, cuts))
    found, sizes = run(session, parts)
    np.testing.assert_allclose(found, in_two, atol=FEATURES, rtol=0)
    assert max(sizes) < 19e6, "the states stay small however long the video is"


def run(
    session: Session, parts: list[NDArray[np.float32]]
) -> tuple[NDArray[np.float32], list[int]]:
    """Features of a clip in parts, and the bytes of all states after each."""
    states, found, sizes = session.new_states(), [], []
    for at, part in enumerate(parts):
        first, last = np.array([at == 0], np.int64), np.array([at == len(parts) - 1], np.int64)
        (rows_, _), states = session.step(states, frames=part, first=first, last=last)
        found.append(rows_)
        sizes.append(sum(state.nbytes for state in states.values()))
    return np.concatenate(found), sizes


def test_sides_may_share_a_session_on_two_threads(
    session: Session, face: record_motion.Clip, noise: record_motion.Clip
) -> None:
    clips = [face[:24], noise[:24]]
    alone = [features(rows(ContinualI3D(session), clip)) for clip in clips]
    with ThreadPoolExecutor(2) as pool:
        together = pool.map(lambda clip: features(rows(ContinualI3D(session), clip)), clips)
    for expected, found in zip(alone, together, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_clips_are_seen_each_on_its_own(
    session: Session, face: record_motion.Clip, recorded: Mapping[str, NDArray[np.float32]]
) -> None:
    stage = I3DClips(session)
    found = rows(stage, face[:37])
    logits = np.array([row.logits for row in found])
    np.testing.assert_allclose(logits, recorded["alone_logits"], atol=LOGITS, rtol=0)
    assert [(row.first, row.length) for row in found] == [(0, 16), (16, 16)]
    assert stage.unused == 5


class MeansOfWindows:
    """Stands in for the model where only the stage's own work is tested: means of 16 frames.

    It sees frames one by one, keeps those that it still needs as its state, and says when it is
    called as a session must not be.
    """

    def new_states(self) -> dict[str, NDArray[np.float32]]:
        return {"frames": np.zeros((0, 3, 224, 224), np.float32)}

    def step(
        self, states: dict[str, Any], *, frames: Any, first: Any, last: Any
    ) -> tuple[tuple[Any, Any], dict[str, Any]]:
        assert bool(first[0]) == (len(states["frames"]) == 0)
        assert len(frames) % 8 == 0
        kept = np.concatenate([states["frames"], frames])
        # Like the network, it knows a row only when 8 more frames have come, or none will.
        ready = max(len(kept) - (0 if last[0] else 8) - 8, 0) // 8
        means = [kept[8 * n : 8 * n + 16].mean(axis=(0, 2, 3)) for n in range(ready)]
        found = np.array(means, np.float32).reshape(-1, 3)
        return (found, -found), {"frames": kept[8 * ready :].copy()}


def gray(value: float) -> NDArray[np.float32]:
    return np.full((3, 224, 224), value, np.float32)


def expected_rows(values: list[int], start: int) -> list[tuple[int, float]]:
    """First index and mean in network range, of a context of these gray values."""
    windows = range(0, len(values) // 8 * 8 - 8, 8)
    return [(start + at, float(np.mean(values[at : at + 16]) / 127.5 - 1)) for at in windows]


def as_pairs(found: Iterable[MotionFeatures]) -> list[tuple[int, float]]:
    return [(row.first, float(row.features[0])) for row in found]


@settings(max_examples=25)
@given(st.integers(1, 4), st.lists(st.integers(1, 70), min_size=1, max_size=3))
def test_a_gap_ends_one_context_and_begins_the_next(eights: int, lengths: list[int]) -> None:
    stage = ContinualI3D(MeansOfWindows(), chunk=8 * eights)  # type: ignore[arg-type]
    found, expected, index = [], [], 0
    for number, length in enumerate(lengths):
        values = [(37 * at + 11 * number) % 256 for at in range(length)]
        expected += expected_rows(values, index)
        for at, value in enumerate(values):
            crop = FaceCrop(gray(value), index, after_gap=number > 0 and at == 0)
            found += list(stage.push(crop))
            index += 1
        index += 5
    found += list(stage.flush())
    assert [first for first, _ in as_pairs(found)] == [first for first, _ in expected]
    np.testing.assert_allclose(
        [mean for _, mean in as_pairs(found)], [mean for _, mean in expected], atol=1e-4
    )
    assert stage.unused == sum(n % 8 if n >= 16 else n for n in lengths)


def test_a_reset_forgets_the_context_and_counts_what_it_cost() -> None:
    stage = ContinualI3D(MeansOfWindows(), chunk=8)  # type: ignore[arg-type]
    before = [row for at in range(29) for row in stage.push(FaceCrop(gray(9), at))]
    assert len(before) == 1, "8 frames of context behind, and 5 not handed on yet"
    stage.reset()
    assert stage.unused == 29 - 16
    after = [row for at in range(40, 56) for row in stage.push(FaceCrop(gray(at), at))]
    after += stage.flush()
    (expected,) = expected_rows(list(range(40, 56)), 40)
    (found,) = as_pairs(after)
    assert found == pytest.approx(expected)


def test_less_than_sixteen_frames_give_nothing() -> None:
    stage = ContinualI3D(MeansOfWindows())  # type: ignore[arg-type]
    assert rows(stage, [gray(1)] * 15) == []
    assert stage.unused == 15
    assert list(stage.flush()) == []


def test_a_gap_cuts_a_clip_short() -> None:
    stage = I3DClips(MeansOfWindows(), stride=8)  # type: ignore[arg-type]
    crops = [FaceCrop(gray(at), at, after_gap=at == 30) for at in range(50)]
    found = [row.first for crop in crops for row in stage.push(crop)]
    assert found == [0, 8, 30]
    list(stage.flush())
    assert stage.unused == 6 + 4


@pytest.mark.parametrize("chunk", [0, 4, 12])
def test_chunks_are_multiples_of_eight(chunk: int) -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        ContinualI3D(MeansOfWindows(), chunk=chunk)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [0, 8, 17])
def test_clips_have_room_for_a_row(length: int) -> None:
    with pytest.raises(ValueError, match="16, 24, 32"):
        I3DClips(MeansOfWindows(), length=length)  # type: ignore[arg-type]


@pytest.mark.parametrize("input_range", ["-1..1", "0..1"])
def test_a_crop_of_another_size_is_refused(input_range: InputRange) -> None:
    stage = ContinualI3D(MeansOfWindows(), input_range=input_range)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(3, 224, 224\), not \(3, 100, 100\)"):
        list(stage.push(FaceCrop(np.zeros((3, 100, 100), np.float32), 0)))
