"""What the tests of the models share: the shipped manifest, and figures of independent runtimes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamdeid.inference.manifest import Manifest

REFERENCES = Path(__file__).parents[1] / "data" / "model_references.npz"


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    return Manifest.load()


@pytest.fixture(scope="session")
def references() -> Mapping[str, NDArray[Any]]:
    """As tools/record_references.py describes them."""
    with np.load(REFERENCES) as file:
        return dict(file)
