"""Settings take what callers have at hand, and refuse what makes no sense in one sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamdeid.errors import SettingsError
from streamdeid.settings import MAX_OFFSET_S, OnePath, Settings, expand_images


@pytest.mark.parametrize(
    "given", ["anna.jpg", Path("anna.jpg"), ["anna.jpg"], (Path("anna.jpg"),), [Path("anna.jpg")]]
)
def test_one_picture_and_several_are_kept_as_a_tuple(given: OnePath | Sequence[OnePath]) -> None:
    settings = Settings(source_images=given, target_images=given)
    assert settings.source_images == settings.target_images == (Path("anna.jpg"),)


def test_names_of_files_may_be_strings() -> None:
    settings = Settings(timeline="rows.csv", models_dir="models")
    assert (settings.timeline, settings.models_dir) == (Path("rows.csv"), Path("models"))
    assert Settings().timeline is None
    assert Settings().models_dir is None


def test_one_metric_and_several_are_kept_as_a_tuple() -> None:
    assert Settings(metrics="identity").metrics == ("identity",)
    assert Settings(metrics=["identity", "fvd"]).metrics == ("identity", "fvd")


@pytest.mark.parametrize(("given", "kept"), [(2, 2), (0.5, Fraction(1, 2)), ("auto", "auto")])
def test_an_offset_is_a_number_or_auto(given: Any, kept: Any) -> None:
    assert Settings(offset_s=given).offset_s == kept


def test_settings_that_were_kept_are_taken_again() -> None:
    settings = Settings(source_images="anna.jpg", timeline="rows.csv", metrics="fvd")
    assert replace(settings) == settings
    assert hash(replace(settings, seed=1)) != hash(settings)


@pytest.mark.parametrize(
    ("choice", "named"),
    [
        ({"offset_s": MAX_OFFSET_S + 1}, "--offset is 1e"),
        ({"offset_s": -MAX_OFFSET_S - 0.5}, "--offset is -1e"),
        ({"offset_s": float("inf")}, "--offset is inf"),
        ({"offset_s": float("nan")}, "--offset is nan"),
        ({"offset_s": "1e99999999"}, "--offset is '1e99999999'"),
        ({"threshold": float("inf")}, "--threshold is inf"),
        ({"threshold": float("nan")}, "--threshold is nan"),
        ({"metrics": "sharpness"}, "--metrics is 'sharpness'"),
        ({"metrics": ()}, "--metrics is ''"),
        ({"timeline": "rows.txt"}, "--timeline is rows.txt"),
        ({"timeline": b"rows.csv"}, "--timeline is b'rows.csv'"),
        ({"frames": 2.5}, "--frames is 2.5"),
        ({"frames": True}, "--frames is True"),
        ({"frames": "3"}, "--frames is '3'"),
        ({"face": 2.0}, "--face is 2.0"),
        ({"seed": None}, "--seed is None"),
        ({"confirm_every": 1.5}, "--confirm-every is 1.5"),
        ({"openface": 5}, "--openface is 5"),
        ({"threshold": "0.5"}, "--threshold is '0.5'"),
        ({"threshold": ""}, "--threshold is ''"),
        ({"source_images": None}, "--source-image is None"),
        ({"source_images": [b"anna.jpg"]}, "--source-image is [b'anna.jpg']"),
        ({"detector": None}, "--detector is None"),
        ({"metrics": 5}, "--metrics is 5"),
        ({"models_dir": 5}, "--models-dir is 5"),
    ],
)
def test_what_makes_no_sense_is_refused(choice: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings(**choice)
    assert str(refused.value).startswith(named)


def test_numbers_of_numpy_are_kept_as_pythons() -> None:
    settings = Settings(
        frames=np.int64(3), seed=np.int64(4), face=np.int64(1), threshold=np.float32(0.5)
    )
    assert json.dumps(settings.to_record())
    assert (settings.frames, settings.seed, settings.face, settings.threshold) == (3, 4, 1, 0.5)


def test_what_a_folder_hides_is_no_picture(tmp_path: Path) -> None:
    for name in ("a.png", "._a.png"):
        (tmp_path / name).touch()
    (tmp_path / "more.png").mkdir()
    assert expand_images((tmp_path,), "--source-image") == (tmp_path / "a.png",)


@pytest.mark.parametrize("name", ["a" * 300, "nobody.jpg", "nul\0.jpg"])
def test_a_picture_that_cannot_be_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--source-image"):
        expand_images((tmp_path / name,), "--source-image")
