"""The contract of the report, as JSON Schema: what it holds, and the names of its scores."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from streamdeid.report.action_units import expression_names


@cache
def report_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `Report.to_json` writes."""
    schema: dict[str, Any] = json.loads(
        files("streamdeid.report").joinpath("schema.json").read_text(encoding="utf-8")
    )
    return schema


def score_names() -> tuple[str, ...]:
    """The names of all scores that a report has."""
    return (*report_schema()["properties"]["scores"]["properties"], *expression_names())
