"""The action units on a terminal: a line each, and a column for each measure of agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.text import Text

from streamdeid.pair import SIDES
from streamdeid.report.action_units import MEASURES, NAMES
from streamdeid.report.page import Page
from streamdeid.score import Score

TITLES: Final = {
    "expression": "Expression, by {source}",
    "expression_proxy": "Expression, by {source}",
}
WEAK: Final = "*"


def show_expression(group: str, scores: Sequence[Score], page: Page) -> None:
    """Print the scores of one group, of those in `TITLES`.

    A unit that has no value is left out; why, is said below, once for all that share the reason.
    """
    by_name = {score.name.removeprefix(f"{group}."): score for score in scores}
    rows = {unit: {m: by_name[f"{unit}.{m}"] for m in MEASURES} for unit in ("mean", *NAMES)}
    measures = [m for m in MEASURES if any(row[m].value is not None for row in rows.values())]
    page.say()
    page.columns(
        Text(TITLES[group].format(source=_source(scores)), style="bold"),
        [Text(MEASURES[measure], style="dim") for measure in measures],
        indent=0,
    )
    for unit, row in rows.items():
        if any(row[measure].value is not None for measure in measures):
            cells = [_cell(row[measure]) for measure in measures]
            page.columns(_label(unit, row), cells)
    _show_rest(by_name, page)
    for reason, labels in _missing(rows).items():
        page.remark(f"no {', '.join(labels)}: {reason}")
    for reason in dict.fromkeys(s.reason for s in scores if s.reason and s.value is not None):
        page.remark(reason)
    if any(row["pcc"].details.get("reliability") == "weak" for row in rows.values()):
        page.remark(f"{WEAK} a weak stand-in, which is not part of the mean")


def _source(scores: Sequence[Score]) -> str:
    """OpenFace 2.2.0, post-processed; what is a proxy says so itself."""
    details = scores[0].details
    source, values = details["source"], details["values"]
    return source if values in (None, "proxy") else f"{source}, {values}"


def _label(unit: str, row: Mapping[str, Score]) -> str:
    if unit == "mean":
        return f"mean of {len(row['pcc'].details.get('action_units', ()))} action units"
    weak = WEAK if row["pcc"].details.get("reliability") == "weak" else ""
    return f"AU{int(unit[2:])} {NAMES[unit]}{weak}"


def _cell(score: Score) -> Text:
    if score.value is None:
        return Text("—", style="dim")
    return Text(f"{score.value:.3f}", style="bold" if ".mean." in score.name else "")


def _show_rest(by_name: Mapping[str, Score], page: Page) -> None:
    """What is said of both sides together stands under the de-identified one, as elsewhere."""
    coverage, lag = by_name["coverage"], by_name["lag_s"]
    if coverage.value is not None:
        share = Text(f"{coverage.value:.1%}", style="bold")
        share.append(f" of {coverage.count:,}", style="not bold")
        page.row("with units on both sides", {SIDES[-1]: share})
    if lag.value is not None:
        page.row("face is late by", {SIDES[-1]: Text(f"{lag.value:.3f} s", style="bold")})
    elif lag.reason:
        page.remark(f"no shift between the faces: {lag.reason}")


def _missing(rows: Mapping[str, Mapping[str, Score]]) -> dict[str, list[str]]:
    """Why there is no correlation, and of which units; F1 has a reason of its own for each."""
    found: dict[str, list[str]] = {}
    for unit, row in rows.items():
        score = row["pcc"]
        if score.value is None and score.reason:
            label = "mean" if unit == "mean" else f"AU{int(unit[2:])}"
            found.setdefault(score.reason, []).append(label)
    if any(len(labels) == len(rows) for labels in found.values()):
        return {reason: ["action units"] for reason in found}
    return found
