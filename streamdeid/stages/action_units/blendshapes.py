"""BlendshapeSource: the landmarks of both faces → stand-ins for their action units."""

from __future__ import annotations

from collections.abc import Iterable

from streamdeid.cores import CORES
from streamdeid.inference.session import Session
from streamdeid.observations import ActionUnits, ExpressionReading, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.action_units.proxies import ORIGIN, proxies


class BlendshapeSource:
    """Gives a proxy for each action unit of each face that is followed, see `proxies`.

    Every frame stands for itself, so the same frames give the same figures.

    Args:
        session: the manifest's model for "blendshapes"; half a millisecond a face.
    """

    name = "blendshapes"
    delay: int | None = 0
    stride = 1
    origin = ORIGIN

    def __init__(self, session: Session) -> None:
        self._session = session
        self._index = 0

    def push(self, item: Pair[Sighting]) -> Iterable[ExpressionReading]:
        index, self._index = self._index, self._index + 1
        original, deidentified = CORES.both(
            lambda: self._units(item.original), lambda: self._units(item.deidentified)
        )
        time = item.original.frame.elapsed
        yield ExpressionReading(index, time, Pair(original, deidentified), "proxy")

    def flush(self) -> Iterable[ExpressionReading]:
        return ()

    def reset(self) -> None:
        """Nothing to forget: every frame pair stands for itself."""

    def _units(self, seen: Sighting) -> ActionUnits | None:
        if seen.face is None:
            return None
        landmarks = seen.face.landmarks
        (blendshapes,) = self._session.run(landmarks=landmarks[None])
        return ActionUnits(proxies(blendshapes[0], landmarks))
