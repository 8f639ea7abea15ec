"""A report is the same after a trip through JSON, and never holds what JSON cannot."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from streamdeid import __version__
from streamdeid.errors import InputError
from streamdeid.report.report import Report
from streamdeid.score import Score
from tests.report.examples import REPORTS, a_report


@given(REPORTS)
def test_a_report_comes_back_from_json_as_it_was(report: Report) -> None:
    assert Report.from_json(report.to_json()) == report
    assert Report.from_json(report.to_json()).to_json() == report.to_json()


def test_a_report_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "bericht-ü.json"
    path.write_text(a_report().to_json(), encoding="utf-8")
    assert Report.read(path) == a_report()
    assert Report.read(str(path)) == a_report()


def test_scores_are_found_by_name() -> None:
    report = a_report()
    assert report["identity.distance_between_sides"].value == 0.7
    assert "identity.distance_between_sides" in report
    assert "identity.nonsense" not in report
    assert list(report) == [score.name for score in report.scores]


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(KeyError, match=r"near: identity\.distance_between_sides"):
        a_report()["identity.distance_between_side"]


def test_scores_stand_under_their_names_with_all_that_they_have() -> None:
    score = Score("a.b", 0.5, "rate", 3, std=0.1, details={"q05": 0.4, "longest_run": {"s": 1.2}})
    record = json.loads(a_report(scores=(score,)).to_json())
    assert record["schema"] == "streamdeid-report/1"
    assert record["version"] == __version__
    assert record["scores"]["a.b"] == {
        "value": 0.5,
        "std": 0.1,
        "count": 3,
        "unit": "rate",
        "reason": None,
        "q05": 0.4,
        "longest_run": {"s": 1.2},
    }


def test_numbers_of_numpy_and_python_become_numbers_of_json() -> None:
    report = a_report(
        performance={
            "wall_s": np.float32(0.5),
            "count": np.int64(3),
            "rate": Fraction(1, 4),
            "yes": np.bool_(True),
            "row": np.arange(2),
            "path": Path("a", "b"),
            "pair": (1, 2),
        }
    )
    assert report.performance == {
        "wall_s": 0.5,
        "count": 3,
        "rate": 0.25,
        "yes": True,
        "row": [0, 1],
        "path": str(Path("a", "b")),
        "pair": [1, 2],
    }
    assert Report.from_json(report.to_json()) == report


@pytest.mark.parametrize("number", [float("nan"), float("inf"), np.float32("-inf")])
def test_a_number_that_is_not_finite_becomes_null_and_is_told(number: float) -> None:
    score = Score("a.b", 0.5, "rate", 3, details={"q05": number})
    report = a_report(scores=(score,), performance={"wall_s": number}, notes=("a note",))
    assert report.performance["wall_s"] is None
    assert report["a.b"].details["q05"] is None
    assert report.notes[0] == "a note"
    assert [note.partition(" ")[0] for note in report.notes[1:]] == [
        "performance.wall_s",
        "scores.a.b.q05",
    ]
    assert Report.from_json(report.to_json()) == report


def test_a_name_that_is_no_text_does_not_spoil_the_report() -> None:
    name = b"video-\xff.mp4".decode("utf-8", "surrogateescape")
    report = a_report(streams={"original": {"uri": name}}, notes=(f"{name} is cut off.",))
    assert Report.from_json(report.to_json().encode().decode()) == report


def test_what_has_no_place_in_json_is_refused() -> None:
    with pytest.raises(TypeError, match=r"settings\.sides: a set has no place in a report"):
        a_report(settings={"sides": {1, 2}})


def test_a_report_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        a_report().complete = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is not JSON"),
        ("{", "it is not JSON"),
        ('{"schema": "streamdeid-report/1", "complete": NaN}', "NaN is no JSON"),
        ("[]", "it names no schema"),
        ("{}", "it names no schema"),
        ('{"schema": "streamdeid-report/2"}', "its schema is 'streamdeid-report/2'"),
        ('{"schema": "streamdeid-report/1"}', "is damaged: KeyError"),
    ],
)
def test_what_is_no_report_is_refused_in_one_sentence(
    text: str, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence) as refused:
        Report.read(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


def test_a_score_without_value_and_reason_is_refused() -> None:
    record = json.loads(a_report().to_json())
    record["scores"]["identity.distance_to_source.original"]["reason"] = None
    with pytest.raises(InputError, match="neither a value nor a reason"):
        Report.from_json(json.dumps(record))


def test_a_missing_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json cannot be read: No such file"):
        Report.read(tmp_path / "none.json")


def test_a_file_that_is_no_text_is_told_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match="it is not text"):
        Report.read(path)
