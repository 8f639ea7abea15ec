"""The scripts in tools/ import each other by plain name, as Python does for scripts."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tools"))
