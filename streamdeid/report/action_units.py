"""How the scores of expression are named: an action unit and a measure each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from streamdeid.pair import SIDES

MEASURES: Final = {"pcc": "PCC", "ccc": "CCC", "rmse": "RMSE", "mae": "MAE", "f1": "F1"}
NAMES: Final = {
    "au01": "inner brow raiser",
    "au02": "outer brow raiser",
    "au04": "brow lowerer",
    "au05": "upper lid raiser",
    "au06": "cheek raiser",
    "au07": "lid tightener",
    "au09": "nose wrinkler",
    "au10": "upper lip raiser",
    "au12": "lip corner puller",
    "au14": "dimpler",
    "au15": "lip corner depressor",
    "au17": "chin raiser",
    "au20": "lip stretcher",
    "au23": "lip tightener",
    "au25": "lips part",
    "au26": "jaw drop",
    "au45": "blink",
}
"""As the Facial Action Coding System has them."""


def expression_names() -> Iterator[str]:
    """The names of all scores of expression, in order."""
    for prefix in ("expression", "expression_proxy"):
        for unit in (*NAMES, "mean"):
            yield from (f"{prefix}.{unit}.{measure}" for measure in MEASURES)
        yield from (f"{prefix}.coverage", f"{prefix}.lag_s")
    for unit in (*NAMES, "mean"):
        for side in SIDES:
            yield f"expression_agreement.{unit}.pcc.{side}"
