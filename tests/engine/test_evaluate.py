"""evaluate: real faces through the whole engine."""

from __future__ import annotations

import csv
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from threadpoolctl import threadpool_limits

from streamdeid import Progress, Settings, evaluate
from streamdeid.engine.covering import CoveredSource
from streamdeid.errors import (
    ModelError,
    PairingError,
    ReferenceImageError,
    SettingsError,
    SourceError,
)
from streamdeid.frame import Frame, Image
from streamdeid.sources.arrays import ArraySource
from tests.conftest import blas_threads
from tests.engine.conftest import FRAMES


def identity(**more: Any) -> Settings:
    """Identity alone, which is quick; what else can be measured has tests of its own."""
    return Settings(metrics="identity", provider="cpu", **more)


def source(images: list[Image], rate: int = 25) -> ArraySource:
    return ArraySource(images, frame_rate=rate)


class Breaks(ArraySource):
    """Gives some frames and then raises `error`."""

    def __init__(self, images: list[Image], after: int, error: Exception) -> None:
        super().__init__(images, frame_rate=25)
        self._breaks_at = after
        self._error = error

    def __next__(self) -> Frame:
        frame = super().__next__()
        if frame.index == self._breaks_at:
            raise self._error
        return frame


def test_a_video_against_itself_is_the_same_person_at_no_distance(
    carphone: list[Image], portrait: Path
) -> None:
    report = evaluate(source(carphone), source(carphone), identity(source_images=(portrait,)))
    assert report.complete
    assert report.coverage["paired"] == FRAMES
    assert report.coverage["face_in_both"] == FRAMES
    assert report["identity.distance_between_sides"].value == 0
    assert report["identity_paired.distance_between_sides"].value == 0
    assert report["identity.verified_as_source.deidentified"].value == 1
    assert report["identity.longest_run_as_source.original"].value == FRAMES
    assert (report["identity.distance_to_source.original"].value or 9) < 0.45
    same = report["identity.distance_to_source.original"]
    assert replace(same, name="") == replace(
        report["identity.distance_to_source.deidentified"], name=""
    )


def test_a_blacked_out_face_is_gone_and_the_crop_is_no_evidence(
    carphone: list[Image], carphone_file: Path, portrait: Path
) -> None:
    report = evaluate(
        carphone_file,
        CoveredSource(str(carphone_file), "blackout"),
        identity(source_images=(portrait,)),
    )
    assert report.coverage["lost_by_deidentified"] == len(carphone)
    gone = report["identity.distance_between_sides"]
    assert (gone.value, gone.reason) == (None, "no face was found in the de-identified video")
    paired = report["identity_paired.verified_as_source.deidentified"]
    assert paired.value is None
    assert paired.details["flat_crops"] == len(carphone)
    assert report["identity.verified_as_source.original"].value == 1


def test_a_mild_blur_is_still_the_same_person_to_who_knows_the_geometry(
    carphone_file: Path,
) -> None:
    report = evaluate(carphone_file, CoveredSource(str(carphone_file), "blur", 0.2), identity())
    assert report["identity_paired.verified_between_sides"].value == 1


def test_the_figures_do_not_depend_on_how_the_threads_took_turns(carphone: list[Image]) -> None:
    blurred = [np.ascontiguousarray(np.roll(image, 1, axis=1)) for image in carphone]
    runs = [evaluate(source(carphone), source(blurred), identity()).scores for _ in range(2)]
    assert runs[0] == runs[1]


def test_half_the_frame_rate_and_another_size_are_joined_by_time(carphone: list[Image]) -> None:
    small = [np.array(PillowImage.fromarray(image).resize((160, 120))) for image in carphone[::2]]
    report = evaluate(source(carphone, 30), source(small, 15), identity())
    assert report.coverage["paired"] == FRAMES // 2
    assert report.coverage["original"]["unpaired"] == FRAMES // 2
    assert report.coverage["deidentified"]["unpaired"] == 0
    assert (report["identity.distance_between_sides"].value or 9) < 0.3


def test_drawn_frames_are_the_same_for_the_same_seed(carphone: list[Image]) -> None:
    def drawn(seed: int) -> object:
        settings = identity(frames=5, seed=seed)
        return evaluate(source(carphone), source(carphone[::-1]), settings)[
            "identity.distance_between_sides"
        ]

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert first == again
    assert first != other
    assert first.count == 5  # type: ignore[attr-defined]


def test_two_videos_without_a_face_give_reasons_and_no_figures() -> None:
    gray = [np.full((96, 96, 3), 90, np.uint8) for _ in range(6)]
    report = evaluate(source(gray), source(gray), identity())
    assert report.complete
    assert report.coverage["face_in_neither"] == 6
    for name in ("identity.distance_between_sides", "identity.rms_distance_all_pairs"):
        assert report[name].value is None
        assert report[name].reason


def test_stopping_early_reports_what_was_seen(carphone: list[Image]) -> None:
    stop = threading.Event()
    seen: list[Image] = []

    def frames() -> Iterator[Image]:
        for image in carphone * 50:
            seen.append(image)
            if len(seen) == 15:
                stop.set()
            yield image

    report = evaluate(
        ArraySource(frames(), frame_rate=25),
        source(carphone * 50),
        identity(),
        stop=stop,
    )
    assert not report.complete
    assert "stopped" in report.notes[-1]
    assert 1 <= report["identity.distance_between_sides"].count < 40


@pytest.mark.parametrize(
    "error", [SourceError("the cable was pulled."), ZeroDivisionError("oops"), MemoryError()]
)
def test_a_run_that_breaks_off_loses_nothing(carphone: list[Image], error: Exception) -> None:
    report = evaluate(Breaks(carphone, 9, error), source(carphone), identity())
    assert not report.complete
    assert report["identity.distance_between_sides"].count >= 7
    assert any("broke off" in note for note in report.notes)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("lane-")]


def test_videos_without_a_common_moment_are_refused(carphone: list[Image]) -> None:
    with pytest.raises(PairingError, match="--offset"):
        evaluate(source(carphone), source(carphone), identity(offset_s=Fraction(9)))


def test_a_face_number_that_no_frame_shows_is_told(carphone: list[Image]) -> None:
    images = carphone[:5]
    report = evaluate(source(images), source(images), identity(face=7))
    assert report["identity.distance_between_sides"].value is None
    original, deidentified = report.notes
    assert "No frame of the original video shows a face number 7" in original
    assert "de-identified video" in deidentified
    assert not evaluate(source(images), source(images), identity(face=0)).notes


def test_rows_of_the_timeline_are_the_frame_pairs(carphone: list[Image], tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    report = evaluate(source(carphone), source(carphone), identity(timeline=rows))
    with rows.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [int(row["index"]) for row in read] == list(range(FRAMES))
    assert [float(row["time_s"]) for row in read] == pytest.approx([n / 25 for n in range(FRAMES)])
    assert {row["distance_between_sides"] for row in read} == {"0.0"}
    assert all(row["original.box_left"] for row in read)
    assert report.coverage["paired"] == FRAMES


def test_progress_tells_how_far_it_is_and_what_the_figures_are(carphone: list[Image]) -> None:
    told: list[Progress] = []
    evaluate(
        source(carphone * 3),
        source(carphone * 3),
        identity(),
        on_progress=told.append,
    )
    assert told
    assert [event.pairs for event in told] == sorted(event.pairs for event in told)
    last = told[-1]
    assert last.duration_s == pytest.approx(FRAMES * 3 / 25)
    assert last.left_s is None or last.left_s >= 0
    assert any(score.name == "identity.distance_between_sides" for score in last.scores)


def test_blas_computes_in_one_thread_until_the_evaluation_ends(carphone: list[Image]) -> None:
    seen: set[int] = set()

    class Asks(ArraySource):
        def __next__(self) -> Frame:
            seen.add(blas_threads())
            return super().__next__()

    with threadpool_limits(limits=2, user_api="blas"):
        evaluate(Asks(carphone, frame_rate=25), source(carphone), identity())
        assert blas_threads() == 2
    assert seen == {1}


def distance(images: list[Image]) -> float | None:
    report = evaluate(source(images), source(images), identity())
    return report["identity.distance_between_sides"].value


@pytest.mark.skipif(sys.platform == "win32", reason="it knows no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_evaluates_too(carphone: list[Image]) -> None:
    assert distance(carphone) == 0.0
    pool = ProcessPoolExecutor(1, mp_context=get_context("fork"))
    with pool:
        assert pool.submit(distance, carphone).result(timeout=60) == 0.0


def test_the_last_note_says_why_a_run_broke_off(carphone: list[Image]) -> None:
    damaged = source(carphone)
    damaged.notes = ["it has damaged data."]
    report = evaluate(damaged, Breaks(carphone, 3, OSError("gone")), identity())
    assert "it has damaged data." in report.notes
    assert "gone" in report.notes[-1]


def test_the_same_file_twice_is_worth_a_note(carphone_file: Path) -> None:
    report = evaluate(carphone_file, carphone_file, identity())
    assert any("same file" in note for note in report.notes)


def test_an_offset_can_be_found_only_where_a_video_can_be_read_twice(
    carphone: list[Image],
) -> None:
    with pytest.raises(SettingsError, match="give the seconds instead"):
        evaluate(source(carphone), source(carphone), identity(offset_s="auto"))


def test_a_reference_picture_without_a_face_or_with_two_is_refused(
    carphone: list[Image], tmp_path: Path
) -> None:
    empty, crowd = tmp_path / "empty.png", tmp_path / "crowd.png"
    PillowImage.new("RGB", (200, 200), "gray").save(empty)
    PillowImage.fromarray(np.hstack([carphone[0], carphone[0]])).save(crowd)
    for picture, message in ((empty, "no face was found in"), (crowd, "shows 2 faces")):
        with pytest.raises(ReferenceImageError, match=message):
            evaluate(source(carphone), source(carphone), identity(source_images=(picture,)))


def test_an_unknown_model_is_refused_with_the_names_that_there_are(
    carphone: list[Image],
) -> None:
    with pytest.raises((SettingsError, ModelError), match="blazeface"):
        evaluate(source(carphone), source(carphone), identity(detector="haar"))


def test_the_same_file_as_path_and_as_url_is_worth_a_note(carphone_file: Path) -> None:
    report = evaluate(carphone_file, carphone_file.as_uri(), identity())
    assert any("same file" in note for note in report.notes)


def test_what_is_no_video_is_refused_and_one_source_for_both_sides_too(
    carphone: list[Image],
) -> None:
    with pytest.raises(SettingsError, match=r"The original video is 123; give a path"):
        evaluate(123, source(carphone))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="The de-identified video is None"):
        evaluate(source(carphone), None)  # type: ignore[arg-type]
    both = source(carphone)
    with pytest.raises(SettingsError, match="one and the same source"):
        evaluate(both, both)


def test_many_frames_without_a_partner_are_worth_a_note() -> None:
    gray = [np.full((96, 96, 3), 90, np.uint8) for _ in range(40)]
    alike = evaluate(source(gray), source(gray[:39]), identity())
    assert not any("no partner" in note for note in alike.notes)
    apart = evaluate(source(gray), source(gray[:30]), identity())
    assert [note for note in apart.notes if "no partner" in note] == [
        note for note in apart.notes if note.startswith("10 of 40 original frames found no partner")
    ]
    assert any("no partner" in note for note in apart.notes)


def test_with_a_negative_offset_the_longest_run_has_the_times_of_the_timeline(
    carphone: list[Image], portrait: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    settings = identity(
        source_images=(portrait,),
        offset_s=Fraction(-1, 5),
        timeline=rows,
    )
    report = evaluate(source(carphone), source(carphone), settings)
    with rows.open(newline="") as file:
        times = [float(row["time_s"]) for row in csv.DictReader(file)]
    assert times[0] == pytest.approx(0.2)
    details = report["identity.longest_run_as_source.original"].details
    assert details["start_s"] == pytest.approx(times[0])
    assert details["end_s"] == pytest.approx(times[-1])
