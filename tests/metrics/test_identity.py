"""Identity scores held against plain numpy and scipy over all stored embeddings."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from streamdeid.metrics import IdentityDistance, References
from streamdeid.observations import Embedding, IdentityReading
from streamdeid.pair import Pair
from streamdeid.score import Score

DIM = 8
FPS = 25
Vectors = list[Embedding | None]


def person(seed: int) -> Embedding:
    return np.random.default_rng(seed).normal(0, 0.5, DIM).astype(np.float32)


SOURCE, TARGET = person(1), person(2)
REFERENCES = References(SOURCE, TARGET)


def metric(references: References = REFERENCES, distance: str = "euclidean", **more: Any) -> Any:
    return IdentityDistance(references, distance, more.pop("threshold", 0.6), **more)


def scores_of(measured: Any) -> dict[str, Score]:
    return {score.name: score for score in measured.result()}


def read(
    original: Vectors, deidentified: Vectors, paired: Vectors | None = None, start: int = 0
) -> list[IdentityReading]:
    crops = paired or [None] * len(original)
    return [
        IdentityReading(start + i, Fraction(start + i, FPS), Pair(a, b), crop)
        for i, (a, b, crop) in enumerate(zip(original, deidentified, crops, strict=True))
    ]


def scores(readings: list[IdentityReading], **settings: Any) -> dict[str, Score]:
    measured = metric(**settings)
    for reading in readings:
        measured.update(reading)
    return scores_of(measured)


@st.composite
def videos(draw: st.DrawFn) -> tuple[Vectors, Vectors, Vectors]:
    """Faces near one person or another, missing now and then, on either side and in the crops."""
    frames = draw(st.integers(1, 70))  # more than two of the batches in which readings are added
    octets = draw(st.binary(min_size=frames, max_size=frames))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def face(present: int) -> Embedding | None:
        near = (SOURCE, TARGET)[rng.integers(2)] + rng.normal(0, 0.2, DIM)
        return near.astype(np.float32) if present else None

    faces = [(face(o & 1), face(o & 2), face(o & 4 and o & 1)) for o in octets]
    original, deidentified, paired = (list(column) for column in zip(*faces, strict=True))
    return original, deidentified, paired


def between(a: np.ndarray, b: np.ndarray, distance: str) -> np.ndarray:
    """Distances of rows of `a` to those of `b`, (n, m), by scipy."""
    return cdist(np.float64(a), np.float64(b), "cosine" if distance == "cosine" else "euclidean")


@given(video=videos(), distance=st.sampled_from(["euclidean", "cosine"]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_distances_and_rates_are_those_of_plain_numpy(
    video: tuple[Vectors, Vectors, Vectors], distance: str
) -> None:
    original, deidentified, paired = video
    have = scores(read(original, deidentified, paired), distance=distance)
    own = {"original": original, "deidentified": deidentified}
    for prefix, sides in (("identity", own), ("identity_paired", {"deidentified": paired})):
        for side, faces in sides.items():
            for role, reference in (("source", SOURCE), ("target", TARGET)):
                seen = [face for face in faces if face is not None]
                want = between(np.array(seen), reference[None], distance)[:, 0] if seen else []
                check_distances(have[f"{prefix}.distance_to_{role}.{side}"], np.array(want))
                check_rate(have[f"{prefix}.verified_as_{role}.{side}"], np.array(want))
    for prefix, faces in (("identity", deidentified), ("identity_paired", paired)):
        both = [(a, b) for a, b in zip(original, faces, strict=True) if a is not None]
        want = [between(a[None], b[None], distance)[0, 0] for a, b in both if b is not None]
        check_distances(have[f"{prefix}.distance_between_sides"], np.array(want))
        check_rate(have[f"{prefix}.verified_between_sides"], np.array(want))


def check_distances(score: Score, want: np.ndarray) -> None:
    assert score.count == len(want)
    if len(want) == 0:
        assert score.value is None
        return
    # scipy's cosine is 1 - a·b/|a||b|, with an absolute error of some 1e-16.
    assert score.value == pytest.approx(want.mean(), rel=1e-12, abs=1e-14)
    assert score.details["min"] == pytest.approx(want.min(), rel=1e-12, abs=1e-14)
    assert score.details["max"] == pytest.approx(want.max(), rel=1e-12, abs=1e-14)
    for name, q in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
        assert score.details[name] == pytest.approx(np.quantile(want, q), abs=0.001 + 1e-12)
    if len(want) == 1:
        assert score.std is None
        assert score.reason == "too few frames for a standard deviation: 1, and it needs 2"
    else:
        assert score.std == pytest.approx(want.std(ddof=1), rel=1e-9, abs=1e-12)
        assert score.reason is None


def check_rate(score: Score, want: np.ndarray) -> None:
    assert score.count == len(want)
    assert score.details["threshold"] == 0.6
    assert score.details["verified"] == (want <= 0.6).sum()
    assert score.value == (pytest.approx((want <= 0.6).mean()) if len(want) else None)


@given(video=videos(), distance=st.sampled_from(["euclidean", "cosine"]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_rms_distance_is_that_of_all_pairs_of_frames(
    video: tuple[Vectors, Vectors, Vectors], distance: str
) -> None:
    original, deidentified, paired = video
    have = scores(read(original, deidentified, paired), distance=distance)
    for prefix, faces in (("identity", deidentified), ("identity_paired", paired)):
        score = have[f"{prefix}.rms_distance_all_pairs"]
        a = np.array([face for face in original if face is not None], dtype=np.float64)
        b = np.array([face for face in faces if face is not None], dtype=np.float64)
        assert score.unit == "euclidean"
        assert score.count == len(a) * len(b)
        assert (score.details["frames_original"], score.details["frames_deidentified"]) == (
            len(a),
            len(b),
        )
        if score.count == 0:
            assert score.value is None
            continue
        if distance == "cosine":
            mean_cosine = cdist(a, b, "cosine").mean()
            assert score.value == pytest.approx(math.sqrt(2 * mean_cosine), rel=1e-9)
            assert "mean cosine distance" in score.details["vectors"]
        else:
            assert score.value == pytest.approx(math.sqrt((cdist(a, b) ** 2).mean()), rel=1e-12)


@given(video=videos(), gaps=st.sets(st.integers(0, 69)), cut=st.integers(0, 70))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_longest_run_is_that_of_a_plain_loop_whatever_the_cut(
    video: tuple[Vectors, Vectors, Vectors], gaps: set[int], cut: int
) -> None:
    original, deidentified, paired = video
    readings = [r for r in read(original, deidentified, paired) if r.index not in gaps]
    before, after = metric(), metric()
    for reading in readings:
        (before if reading.index < cut else after).update(reading)
    before.merge(after)
    have = scores_of(before)
    for name, faces in (
        ("identity.longest_run_as_source.original", original),
        ("identity.longest_run_as_source.deidentified", deidentified),
        ("identity_paired.longest_run_as_source.deidentified", paired),
    ):
        hits = [
            i
            for i, face in enumerate(faces)
            if i not in gaps
            and face is not None
            and np.linalg.norm(np.float64(face) - SOURCE) <= 0.6
        ]
        runs: list[list[int]] = [[i] for i in hits[:1]]
        for i, j in pairwise(hits):
            if j == i + 1:
                runs[-1].append(j)
            else:
                runs.append([j])
        longest = max(runs, key=len, default=[])
        score = have[name]
        assert score.unit == "frames"
        if score.value is None:
            assert not hits
            continue
        assert score.value == len(longest)
        if longest:
            assert score.details["start_s"] == longest[0] / FPS
            assert score.details["end_s"] == longest[-1] / FPS
            assert score.details["seconds"] == pytest.approx((len(longest) - 1) / FPS)
        else:
            assert score.details["start_s"] is None
            assert score.details["seconds"] == 0.0


def test_a_run_goes_on_across_shards_and_ends_where_a_frame_has_no_face() -> None:
    shards = [metric() for _ in range(3)]
    for shard, start in zip(shards, (0, 10, 20), strict=True):
        for reading in read([SOURCE] * 10, [SOURCE] * 10, start=start):
            shard.update(reading)
    shards[2].update(*read([None], [SOURCE], start=30))
    shards[2].update(*read([SOURCE], [SOURCE], start=31))
    shards[1].merge(shards[2])
    shards[0].merge(shards[1])
    have = scores_of(shards[0])
    original = have["identity.longest_run_as_source.original"]
    assert (original.value, original.details["end_s"]) == (30, 29 / FPS)
    assert have["identity.longest_run_as_source.deidentified"].value == 32


def test_a_video_against_itself_is_the_same_person_throughout() -> None:
    faces: Vectors = [person(5)] * 3 + [person(6)] * 4
    have = scores(read(faces, faces, faces))
    for prefix in ("identity", "identity_paired"):
        score = have[f"{prefix}.distance_between_sides"]
        assert (score.value, score.std, score.details["q95"]) == (0.0, 0.0, 0.0)
        assert have[f"{prefix}.verified_between_sides"].value == 1.0


def test_the_threshold_itself_still_verifies() -> None:
    origin = np.zeros(DIM, dtype=np.float32)
    at = origin.copy()
    at[0] = 0.5
    beyond = origin.copy()
    beyond[0] = np.nextafter(np.float32(0.5), np.float32(1))
    have = scores(read([at, beyond], [None, None]), references=References(origin), threshold=0.5)
    assert have["identity.verified_as_source.original"].details["verified"] == 1
    assert have["identity.longest_run_as_source.original"].value == 1


def test_cosine_distances_take_no_notice_of_length() -> None:
    faces = [person(seed) for seed in range(3, 9)]
    longer = [(3 * face).astype(np.float32) for face in faces]
    short = scores(read(faces, faces[::-1]), distance="cosine")
    long = scores(read(longer, longer[::-1]), distance="cosine")
    # The tripled vectors are rounded to float32 anew.
    have, want = ({k: v.value for k, v in s.items() if v.count} for s in (long, short))
    assert have == pytest.approx(want, rel=1e-6)


def test_the_names_are_the_contract() -> None:
    sides = ("original", "deidentified")
    own = [
        *(f"{kind}_{role}.{side}" for kind in ("distance_to", "verified_as")
          for role in ("source", "target") for side in sides),
        *(f"longest_run_as_source.{side}" for side in sides),
        "exposed_as_source.deidentified",
        "distance_between_sides", "verified_between_sides", "rms_distance_all_pairs",
        "exposed_between_sides",
    ]  # fmt: skip
    paired = [name for name in own if not name.endswith(".original")]
    assert [score.name for score in metric().result()] == [
        *(f"identity.{name}" for name in own),
        *(f"identity_paired.{name}" for name in paired),
    ]


def test_the_columns_are_the_contract() -> None:
    assert metric().column_names == (
        "distance_to_source.original",
        "distance_to_source.deidentified",
        "distance_to_target.original",
        "distance_to_target.deidentified",
        "distance_between_sides",
        "paired.distance_to_source.deidentified",
        "paired.distance_to_target.deidentified",
        "paired.distance_between_sides",
    )


def test_a_row_holds_the_distances_of_its_frame_alone() -> None:
    measured = metric(References(source=SOURCE))
    [reading] = read([SOURCE], [None], [TARGET])
    cells = measured.columns(reading)
    apart = float(np.linalg.norm(np.float64(SOURCE) - TARGET))
    assert cells == {
        "distance_to_source.original": 0.0,
        "distance_to_source.deidentified": None,
        "distance_to_target.original": None,
        "distance_to_target.deidentified": None,
        "distance_between_sides": None,
        "paired.distance_to_source.deidentified": pytest.approx(apart),
        "paired.distance_to_target.deidentified": None,
        "paired.distance_between_sides": pytest.approx(apart),
    }


FACE = person(3)


@pytest.mark.parametrize(
    ("references", "readings", "name", "reason"),
    [
        (REFERENCES, [], "identity.distance_between_sides", "no frame pair was analysed"),
        (
            References(target=TARGET),
            read([FACE], [FACE]),
            "identity.distance_to_source.original",
            "no source reference image was given (--source-image)",
        ),
        (
            References(source=SOURCE),
            [],
            "identity_paired.verified_as_target.deidentified",
            "no target reference image was given (--target-image)",
        ),
        (
            REFERENCES,
            read([FACE], [None]),
            "identity.longest_run_as_source.deidentified",
            "no face was found in the de-identified video",
        ),
        (
            REFERENCES,
            read([None], [FACE]),
            "identity.rms_distance_all_pairs",
            "no face was found in the original video",
        ),
        (
            REFERENCES,
            read([None], [None]),
            "identity.distance_between_sides",
            "no face was found in either video",
        ),
        (
            REFERENCES,
            read([FACE, None], [None, FACE]),
            "identity.verified_between_sides",
            "no frame pair has a face on both sides",
        ),
        (
            REFERENCES,
            read([None], [FACE]),
            "identity_paired.distance_to_source.deidentified",
            "no face was found in the original video, so there is no place to look at",
        ),
        (
            REFERENCES,
            read([FACE], [FACE]),
            "identity_paired.distance_between_sides",
            "the de-identified video was not read at the original's landmarks",
        ),
        (
            REFERENCES,
            [IdentityReading(0, Fraction(0), Pair(FACE, None), paired_flat=True)],
            "identity_paired.rms_distance_all_pairs",
            "all crops at the original's landmarks are of one colour",
        ),
    ],
)
def test_what_is_missing_says_why(
    references: References, readings: list[IdentityReading], name: str, reason: str
) -> None:
    score = scores(readings, references=references)[name]
    assert (score.value, score.count, score.reason) == (None, 0, reason)


def crop(index: int, detail: float | None, *, flat: bool = False) -> IdentityReading:
    paired = None if flat else FACE
    return IdentityReading(index, Fraction(index), Pair(FACE, None), paired, flat, detail)


def test_blurred_crops_are_counted_and_cautioned_against() -> None:
    readings = [crop(0, 0.1), crop(1, 0.2), crop(2, 0.25), crop(3, None, flat=True)]
    have = scores(readings, impostor_distance=(0.75, 0.84))
    for name, score in have.items():
        if name.startswith("identity_paired."):
            assert score.details["flat_crops"] == 1
            assert score.details["low_detail_rate"] == pytest.approx(2 / 3)
            caution = score.details["caution"]
            assert caution.startswith("67% of these crops keep little detail")
            assert caution.endswith("compare with the impostor level, 0.75 to 0.84")
        else:
            assert "caution" not in score.details

    sharp = scores([crop(0, 0.1), crop(1, 0.9)])
    details = sharp["identity_paired.verified_as_source.deidentified"].details
    assert details["low_detail_rate"] == 0.5
    assert "caution" not in details


def test_looking_at_the_figures_does_not_change_their_last_digit() -> None:
    rng = np.random.default_rng(8)
    faces: Vectors = list(rng.normal(0, 0.5, (40, DIM)).astype(np.float32))
    looked_at, left_alone = metric(), metric()
    for reading in read(faces, faces[::-1]):
        looked_at.update(reading)
        left_alone.update(reading)
        looked_at.result()
        looked_at.to_state()
        metric().merge(looked_at)
    assert scores_of(looked_at) == scores_of(left_alone)


def test_the_impostor_level_stands_beside_every_distance() -> None:
    have = scores(read([FACE], [FACE], [FACE]), impostor_distance=(0.75, 0.84))
    for name, score in have.items():
        assert ("impostor_level" in score.details) == ("distance" in name), name
    assert have["identity.distance_between_sides"].details["impostor_level"] == [0.75, 0.84]
    cosine = scores(read([FACE], [FACE]), distance="cosine", impostor_distance=(0.8, 1.1))
    # The level is a cosine distance, and this figure a Euclidean one.
    assert "impostor_level" not in cosine["identity.rms_distance_all_pairs"].details


@pytest.mark.parametrize(
    ("distance", "broken", "sentence"),
    [
        ("euclidean", np.full(DIM, np.nan, np.float32), "the model is broken"),
        ("euclidean", np.full(DIM, np.inf, np.float32), "the model is broken"),
        ("cosine", np.zeros(DIM, np.float32), "the model is broken"),
        ("cosine", np.ones(DIM + 1, np.float32), "others have"),
        ("euclidean", np.ones((1, DIM), np.float32), "others have"),
    ],
)
def test_what_is_no_embedding_is_refused_at_once(
    distance: str, broken: np.ndarray, sentence: str
) -> None:
    measured = metric(distance=distance)
    with pytest.raises(ValueError, match=sentence):
        measured.update(*read([None], [broken]))
    assert scores_of(measured)["identity.distance_between_sides"].value is None


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"distance": "manhattan"}, "must be one of"),
        ({"threshold": 0.0}, "must be a positive number"),
        ({"threshold": float("nan")}, "must be a positive number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        metric(**settings)


def test_references_of_two_models_are_refused() -> None:
    with pytest.raises(ValueError, match="of different models"):
        References(SOURCE, np.ones(DIM + 1, np.float32))


def test_exposure_counts_all_faces_of_the_original() -> None:
    other = [None, SOURCE, None, TARGET]
    have = scores(read([SOURCE] * 4, other, paired=[SOURCE, None, None, TARGET]))
    assert have["identity.verified_as_source.deidentified"].value == 0.5  # of two faces found
    for name in ("identity.exposed_as_source.deidentified", "identity.exposed_between_sides"):
        assert (have[name].value, have[name].count) == (0.25, 4)
    assert have["identity_paired.exposed_as_source.deidentified"].value == 0.25
    # A face where the original has none exposes nobody who was there.
    invented = scores(read([SOURCE, None], [None, SOURCE]))
    assert invented["identity.exposed_as_source.deidentified"].value == 0
    # Nobody there at all, or nobody to compare with: no value, and a reason.
    assert scores(read([None], [SOURCE]))["identity.exposed_between_sides"].value is None
    unknown = scores(read([SOURCE], [SOURCE]), references=References())
    assert "--source-image" in str(unknown["identity.exposed_as_source.deidentified"].reason)


def test_references_that_the_embedder_cannot_tell_apart_are_a_caution() -> None:
    near = (SOURCE + 0.6 / math.sqrt(DIM)).astype(np.float32)
    have = scores(read([SOURCE], [SOURCE]), references=References(SOURCE, near))
    details = have["identity.verified_as_target.original"].details
    assert details["source_to_target"] == pytest.approx(0.6, abs=1e-6)
    assert "hardly tells these two people apart" in details["caution"]
    apart = scores(read([SOURCE], [SOURCE]))["identity.verified_as_target.original"].details
    assert "caution" not in apart


def test_states_of_other_people_are_refused() -> None:
    one, other = metric(References(SOURCE, None)), metric(References(TARGET, None))
    with pytest.raises(ValueError, match="source"):
        other.load_state(one.to_state())
    with pytest.raises(ValueError, match="cannot merge"):
        other.merge(one)
