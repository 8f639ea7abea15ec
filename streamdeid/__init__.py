"""streamdeid: is the person gone, is the expression still there, does it still look real?

    errors, pair, frame, observations, score, settings, condition     the nouns that travel
    cores, memory, closing     what rooms share: turns at computing, the heap, how things end
    sources      bytes → frames
    stages       frames → observations
    metrics      observations → scores
    report       scores → what people read
    inference    arrays → arrays          (the only home of onnxruntime)
    stats        numbers → numbers that merge
    engine       who runs, when: read engine/plan.py first
    engine/live  the same while frames come, for days
    cli          words → calls

>>> import streamdeid
>>> report = streamdeid.evaluate("original.mp4", "deidentified.mp4")  # doctest: +SKIP
>>> report["identity.distance_between_sides"].value  # doctest: +SKIP
0.71
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamdeid.engine.evaluate import evaluate as evaluate
    from streamdeid.engine.events import Progress as Progress
    from streamdeid.engine.live.alerts import Alert as Alert
    from streamdeid.engine.live.watch import Checkpoint as Checkpoint
    from streamdeid.engine.live.watch import Listeners as Listeners
    from streamdeid.engine.live.watch import watch as watch
    from streamdeid.engine.live.watcher import Watching as Watching
    from streamdeid.engine.merge import merge as merge
    from streamdeid.errors import StreamdeidError as StreamdeidError
    from streamdeid.pair import Pair as Pair
    from streamdeid.report.report import Report as Report
    from streamdeid.score import Score as Score
    from streamdeid.settings import Settings as Settings
    from streamdeid.sources.arrays import ArraySource as ArraySource

__version__ = "0.1.0"

# Loaded when they are asked for: `import streamdeid` costs a millisecond, not FFmpeg and numpy.
_HOMES = {
    "Alert": "streamdeid.engine.live.alerts",
    "ArraySource": "streamdeid.sources.arrays",
    "Checkpoint": "streamdeid.engine.live.watch",
    "Listeners": "streamdeid.engine.live.watch",
    "Pair": "streamdeid.pair",
    "Progress": "streamdeid.engine.events",
    "Report": "streamdeid.report.report",
    "Score": "streamdeid.score",
    "Settings": "streamdeid.settings",
    "StreamdeidError": "streamdeid.errors",
    "Watching": "streamdeid.engine.live.watcher",
    "evaluate": "streamdeid.engine.evaluate",
    "merge": "streamdeid.engine.merge",
    "watch": "streamdeid.engine.live.watch",
}
__all__ = [
    "Alert",
    "ArraySource",
    "Checkpoint",
    "Listeners",
    "Pair",
    "Progress",
    "Report",
    "Score",
    "Settings",
    "StreamdeidError",
    "Watching",
    "evaluate",
    "merge",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
