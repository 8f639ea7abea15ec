"""IdentityEmbedder: the chips of a frame pair → their embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamdeid.cores import CORES
from streamdeid.inference.manifest import EmbeddingSpec
from streamdeid.inference.preprocess import prepare, unit_length
from streamdeid.inference.session import Session
from streamdeid.observations import Chips, IdentityReading
from streamdeid.pair import Pair
from streamdeid.stages.chips import every_pair
from streamdeid.stages.sampling import Planes


class FaceEmbedder(Protocol):
    """Turns chips into vectors.

    Attributes:
        spec: size of the chip, and how the vectors are compared.
    """

    spec: EmbeddingSpec

    def embed(self, chips: Sequence[Planes]) -> NDArray[np.float32]:
        """One vector for each chip, shape (n, dim); of unit length if compared by cosine."""
        ...


class OnnxEmbedder:
    """An embedder of the manifest.

    Args:
        session: its model; the spec must have an `embedding` section.
    """

    def __init__(self, session: Session) -> None:
        if session.spec.embedding is None:
            raise ValueError(f"model {session.spec.name} is no embedder")
        self.spec = session.spec.embedding
        self._session = session
        self._input = session.spec.input

    def embed(self, chips: Sequence[Planes]) -> NDArray[np.float32]:
        prepared = prepare(self._input, np.stack(chips))
        vectors: NDArray[np.float32] = self._session.run(**{self._input.name: prepared})[0]
        return unit_length(vectors) if self.spec.distance == "cosine" else vectors


class IdentityEmbedder:
    """Embeds the chips of a frame pair: half of them, and the other half, in one call each.

    One call for two chips takes a tenth less than two calls, and two calls can go on side by side.

    Args:
        embedder: shared by both sides; it has no memory.
        wants: whether a frame pair of that index is to be embedded. Whoever cut the chips may have
            asked the same too early: before the pairs in between were drawn, or not.
    """

    name = "identity"
    delay: int | None = 0
    stride = 1

    def __init__(
        self,
        embedder: FaceEmbedder,
        wants: Callable[[int], bool] = every_pair,
    ) -> None:
        self._embedder = embedder
        self._wants = wants

    def push(self, item: Chips) -> Iterable[IdentityReading]:
        if not self._wants(item.index):
            yield IdentityReading(item.index, item.time, Pair(None, None))
            return
        chips = (item.own.original, item.own.deidentified, item.paired)
        found = [chip for chip in chips if chip is not None]
        half = len(found) // 2
        # The same halves whether or not a core is free: figures must not hang on that.
        first, second = CORES.both(
            lambda: self._embed(found[:half]), lambda: self._embed(found[half:])
        )
        vectors = iter(first + second)
        original, deidentified, paired = (None if c is None else next(vectors) for c in chips)
        yield IdentityReading(
            item.index,
            item.time,
            Pair(original, deidentified),
            paired,
            item.paired_flat,
            item.paired_detail,
        )

    def flush(self) -> Iterable[IdentityReading]:
        return ()

    def reset(self) -> None:
        """Nothing to forget: every frame pair stands for itself."""

    def _embed(self, chips: Sequence[Planes]) -> list[NDArray[np.float32]]:
        return list(self._embedder.embed(chips)) if chips else []
