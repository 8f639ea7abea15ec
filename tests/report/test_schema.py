"""The JSON Schema is the contract: every report keeps it, and nothing that breaks it passes."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from streamdeid.report.report import SCHEMA, Report
from streamdeid.report.schema import report_schema, score_names
from tests.report.examples import a_report


def check(record: dict[str, Any]) -> None:
    jsonschema.validate(record, report_schema(), jsonschema.Draft202012Validator)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(report_schema())
    assert report_schema()["properties"]["schema"]["const"] == SCHEMA


def test_every_report_keeps_the_schema() -> None:
    check(json.loads(a_report().to_json()))
    check(json.loads(Report(complete=False).to_json()))


def test_the_schema_names_every_part_of_a_report() -> None:
    assert set(report_schema()["required"]) == set(a_report().to_record())
    assert set(report_schema()["properties"]) == set(a_report().to_record())


@pytest.mark.parametrize(
    "change",
    [
        {"value": None},
        {"value": "0.5"},
        {"count": -1},
        {"count": 1.5},
        {"unit": None},
        {"std": -0.1},
    ],
)
def test_a_score_that_breaks_the_contract_is_found(change: dict[str, Any]) -> None:
    record = json.loads(a_report().to_json())
    record["scores"]["identity.distance_between_sides"] |= change
    with pytest.raises(jsonschema.ValidationError):
        check(record)


def test_the_names_of_the_contract_are_known() -> None:
    assert {
        "identity.distance_to_source.original",
        "identity.distance_to_source.deidentified",
        "identity.distance_to_target.deidentified",
        "identity.verified_as_source.deidentified",
        "identity.verified_as_target.original",
        "identity.distance_between_sides",
        "identity.rms_distance_all_pairs",
        "identity_paired.verified_as_source.deidentified",
        "expression.au01.pcc",
        "expression.au45.ccc",
        "expression.mean.rmse",
        "expression.coverage",
        "expression.lag_s",
    } <= set(score_names())


def test_scores_of_expression_are_those_that_the_schema_describes() -> None:
    patterns = report_schema()["properties"]["scores"]["patternProperties"]
    names = [name for name in score_names() if name.startswith("expression")]
    assert len(names) == 2 * (18 * 5 + 2) + 18 * 2
    for name in names:
        assert any(re.search(pattern, name) for pattern in patterns), name
