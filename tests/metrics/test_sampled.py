"""A drawn sample says what its metric says of exactly the drawn frames."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from streamdeid.metrics import IdentityDistance, References, Sampled
from streamdeid.observations import IdentityReading
from streamdeid.pair import Pair
from streamdeid.score import Score

DIM = 8
RNG = np.random.default_rng(11)
REFERENCES = References(*RNG.normal(0, 0.5, (2, DIM)).astype(np.float32))


def inner() -> IdentityDistance:
    return IdentityDistance(REFERENCES, "euclidean", 0.6)


def video(frames: int = 300) -> list[IdentityReading]:
    readings = []
    for index in range(frames):
        original, deidentified, crop = RNG.normal(0, 0.5, (3, DIM)).astype(np.float32)
        faces = Pair(
            original if index % 3 else None,  # a third without a face in the original,
            deidentified if index % 2 else None,  # so a sixth without any
        )
        seen = faces.original is not None
        flat = seen and index % 10 == 1
        readings.append(
            IdentityReading(
                index,
                Fraction(index, 25),
                faces,
                crop if seen and not flat else None,
                paired_flat=flat,
                paired_detail=index / frames if seen and not flat else None,
            )
        )
    return readings


VIDEO = video()


def drawn_from(readings: list[IdentityReading], size: int, seed: int = 3) -> Sampled:
    sampled = Sampled(inner(), size, seed)
    for reading in readings:
        sampled.update(reading)
    return sampled


def by_name(metric: Sampled | IdentityDistance) -> dict[str, Score]:
    return {score.name: score for score in metric.result()}


def has_face(reading: IdentityReading) -> bool:
    return reading.own.original is not None or reading.own.deidentified is not None


def test_it_says_what_the_metric_says_of_the_drawn_frames() -> None:
    population = [reading for reading in VIDEO if has_face(reading)]
    have = by_name(drawn_from(VIDEO, 40))
    # Which ones were drawn: those that a draw of the population alone would want last.
    indices = set(drawn_from(VIDEO, 40).to_state()["drawn"]["ids"].tolist())  # type: ignore
    assert len(indices) == 40
    assert indices <= {reading.index for reading in population}
    plain = inner()
    for reading in VIDEO:
        if reading.index in indices:
            plain.update(reading)
    for name, want in by_name(plain).items():
        if "longest_run" in name:
            continue
        assert have[name].value == want.value, name
        assert (have[name].count, have[name].std) == (want.count, want.std)
        assert have[name].details == {**want.details, "drawn": 40, "seed": 3}


def test_a_draw_of_more_than_there_is_takes_all() -> None:
    everything = inner()
    for reading in VIDEO:
        everything.update(reading)
    have, want = by_name(drawn_from(VIDEO, 10_000)), by_name(everything)
    for name in want:
        if "longest_run" not in name:
            assert have[name].value == pytest.approx(want[name].value, rel=1e-12), name
            assert have[name].details["drawn"] == 250


def test_work_that_is_not_wanted_can_be_spared() -> None:
    spared, embedded = Sampled(inner(), 20, seed=5), 0
    for reading in VIDEO:
        if spared.wants(reading.index):
            spared.update(reading)
            embedded += 1
        else:
            spared.update(IdentityReading(reading.index, reading.time, Pair(None, None)))
    assert embedded < 150
    assert by_name(spared) == by_name(drawn_from(VIDEO, 20, seed=5))


def test_another_seed_draws_other_frames() -> None:
    one, other = drawn_from(VIDEO, 20, seed=1), drawn_from(VIDEO, 20, seed=2)
    name = "identity.distance_to_source.original"
    assert by_name(one)[name].value != by_name(other)[name].value
    assert by_name(one) == by_name(drawn_from(VIDEO, 20, seed=1))


def test_shards_draw_what_one_pass_draws_in_any_order() -> None:
    late, early = drawn_from(VIDEO[170:], 20), drawn_from(VIDEO[:170], 20)
    late.merge(early)
    assert by_name(late) == by_name(drawn_from(VIDEO, 20))


def test_a_run_needs_all_frames() -> None:
    for name, score in by_name(drawn_from(VIDEO, 20)).items():
        if "longest_run" in name:
            assert score.value is None
            assert score.reason is not None
            assert "needs all frames" in score.reason
            assert score.details["start_s"] is None


def test_a_reason_says_that_only_some_frames_were_looked_at() -> None:
    one_sided = [r for r in VIDEO if r.own.deidentified is None]
    score = by_name(drawn_from(one_sided, 20))["identity.distance_between_sides"]
    want = "no face was found in the de-identified video, among the 20 frames drawn"
    assert score.reason == want
    faceless = [r for r in VIDEO if not has_face(r)]
    score = by_name(drawn_from(faceless, 20))["identity.distance_between_sides"]
    assert score.reason == "no face was found in either video"
    score = by_name(drawn_from([], 20))["identity.distance_between_sides"]
    assert score.reason == "no frame pair was analysed"


def test_figures_follow_while_the_draw_goes_on() -> None:
    sampled = Sampled(inner(), 20, seed=3)
    name = "identity.distance_between_sides"
    counts = []
    for reading in VIDEO[:60]:
        sampled.update(reading)
        counts.append(by_name(sampled)[name].count)
    assert counts[0] < counts[10] < max(counts)
    assert by_name(sampled) == by_name(drawn_from(VIDEO[:60], 20))


def test_figures_are_those_of_the_state_that_was_loaded() -> None:
    early, late = drawn_from(VIDEO[:20], 100), drawn_from(VIDEO[60:80], 100)
    assert by_name(early) != by_name(late)
    late.load_state(early.to_state())
    assert by_name(late) == by_name(early)


def test_at_least_one_frame_is_drawn() -> None:
    with pytest.raises(ValueError, match="0 frames cannot be drawn"):
        Sampled(inner(), 0, seed=1)
