"""Expression through the whole engine, on a real face that talks."""

from __future__ import annotations

import csv
import itertools
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamdeid import Settings, evaluate
from streamdeid.errors import SettingsError
from streamdeid.frame import Image
from streamdeid.observations import ACTION_UNITS
from streamdeid.sources.arrays import ArraySource
from streamdeid.stages.action_units import openface
from tests.stages.action_units import fake_openface as fake
from tests.stages.action_units.conftest import write_program
from tests.stages.record_references import carphone as whole_clip
from tests.videos import write_video

PROXIES = Settings(metrics=("expression",), au_source="blendshapes", provider="cpu")


@pytest.fixture(scope="module")
def clip() -> list[Image]:
    return whole_clip()


def source(images: list[Image]) -> ArraySource:
    return ArraySource(images, frame_rate=25)


def test_a_face_agrees_with_itself_and_the_rows_hold_its_units(
    clip: list[Image], tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    settings = Settings(
        metrics=("expression",), au_source="blendshapes", provider="cpu", timeline=rows
    )
    report = evaluate(source(clip[:40]), source(clip[:40]), settings)
    assert report["expression.mean.pcc"].value == 1
    assert report["expression.au12.rmse"].value == 0
    assert report["expression.lag_s"].value == 0
    assert report["expression.coverage"].value == 1
    assert report["expression.au12.pcc"].details["source"] == "blendshape proxy"
    assert "blendshapes" in [model["name"] for model in report.models]
    with rows.open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 40
    for unit in ACTION_UNITS:
        here, there = (table[7][f"{s}.au{unit:02}.proxy"] for s in ("original", "deidentified"))
        assert float(here) == float(there)


def test_with_both_sources_a_row_holds_the_units_of_either_of_its_own_frames(
    clip: list[Image], tmp_path: Path
) -> None:
    numbered = [image.copy() for image in clip[:20]]
    for number, image in enumerate(numbered):
        image[0, 0] = 0, 0, number  # which the stand-in for OpenFace reads
    program = write_program(tmp_path / "bin", (), generation=1)
    rows, proxies = tmp_path / "both.csv", tmp_path / "blendshapes.csv"
    chosen = Settings(
        metrics=("expression",),
        au_source="both",
        openface=str(program),
        provider="cpu",
        timeline=rows,
    )
    evaluate(source(numbered), source(numbered), chosen)
    alone = replace(chosen, au_source="blendshapes", openface=None, timeline=proxies)
    evaluate(source(numbered), source(numbered), alone)
    with rows.open() as file, proxies.open() as beside:
        table, expected = list(csv.DictReader(file)), list(csv.DictReader(beside))
    assert [int(row["index"]) for row in table] == list(range(20))
    for unit in ACTION_UNITS:
        name = f"original.au{unit:02}"
        assert [row[f"{name}.proxy"] for row in table] == [r[f"{name}.proxy"] for r in expected]
        told = {n: float(v) for n, row in enumerate(table) if (v := row[f"{name}.online"])}
        assert told
        assert told == pytest.approx({n: fake.intensity(unit, n) for n in told}, abs=1e-3)


def test_a_face_that_comes_five_frames_late_is_seen_to(clip: list[Image]) -> None:
    report = evaluate(source(clip[5:]), source(clip[:-5]), PROXIES)
    lag = report["expression.lag_s"]
    assert lag.value == pytest.approx(0.2)
    assert lag.details["pcc"] > lag.details["pcc_without_shift"] + 0.2


def test_a_mirrored_face_keeps_its_symmetric_units(clip: list[Image]) -> None:
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in clip]
    report = evaluate(source(clip), source(mirrored), PROXIES)
    for unit in (1, 2, 25, 26, 45):  # those that move in this clip
        assert (report[f"expression.au{unit:02}.pcc"].value or 0) > 0.8, unit


def test_the_figures_are_the_same_every_time(clip: list[Image]) -> None:
    blurred = [image // 2 + np.roll(image, 2, axis=1) // 2 for image in clip[:40]]
    once, again = (evaluate(source(clip[:40]), source(blurred), PROXIES) for _ in range(2))
    assert once.scores == again.scores


def test_where_nobody_is_seen_the_scores_say_so() -> None:
    black = [np.zeros((120, 160, 3), np.uint8)] * 5
    report = evaluate(source(black), source(black), PROXIES)
    assert report.complete
    for score in report.scores:
        if score.name != "expression.coverage":
            assert score.value is None
            assert "no face with action units" in str(score.reason)


def test_openface_options_without_openface_are_refused() -> None:
    for wrong in ({"openface": "FeatureExtraction"}, {"au_static": True}):
        with pytest.raises(SettingsError, match="is about OpenFace"):
            Settings(au_source="blendshapes", **wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="--au-source is 'openpose'"):
        Settings(au_source="openpose")  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["hang=5", "hang-at-end"])
def test_a_stop_is_obeyed_although_openface_hangs(
    how: str, clip: list[Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openface, "HURRIED_S", 0.3)
    program = write_program(tmp_path / "bin", (how,), 1)
    settings = Settings(metrics=("identity", "expression"), openface=str(program), provider="cpu")
    stop = threading.Event()
    threading.Timer(1.5, stop.set).start()
    endless = itertools.cycle(clip[:20])
    videos = [ArraySource(itertools.islice(endless, 2000), frame_rate=25) for _ in range(2)]
    began = time.monotonic()
    report = evaluate(*videos, settings, stop=stop)
    assert time.monotonic() - began < 30, "it waits for OpenFace for 120 s else"
    assert not report.complete
    assert (report["identity.distance_between_sides"].count or 0) >= 5
    assert "neither read nor wrote" in str(report["expression.mean.pcc"].reason)


def test_a_stop_does_not_wait_for_a_script_that_reads_whole_videos(
    clip: list[Image], tmp_path: Path
) -> None:
    script = tmp_path / "slow.sh"
    script.write_text("#!/bin/sh\nsleep 60\n")
    script.chmod(0o755)
    video = write_video(tmp_path / "clip.mp4", clip)
    stop = threading.Event()
    settings = Settings(metrics=("expression",), openface=str(script), provider="cpu")
    began = time.monotonic()
    report = evaluate(video, video, settings, stop=stop, on_progress=lambda _: stop.set())
    assert time.monotonic() - began < 30
    assert not report.complete
    assert "had not ended when the run was to end" in str(report["expression.mean.pcc"].reason)
