"""IdentityEmbedder: the faces of a frame pair → their embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamdeid.cores import CORES
from streamdeid.inference.manifest import EmbeddingSpec
from streamdeid.inference.preprocess import prepare
from streamdeid.inference.session import Session
from streamdeid.observations import Embedding, IdentityReading, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.alignment import Alignment, Points
from streamdeid.stages.sampling import Planes

# Of the inner two thirds of the chip, where the face is. A painted box comes out of a video codec
# with a deviation of 1 to 2 grey levels, a face with 20 and more.
_FLAT = 4.0


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


def unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same directions with length 1, shape (n, dim); a null vector stays one."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), np.float32)


class IdentityEmbedder:
    """Embeds the face of each side and, at the original's points, the de-identified side again.

    The second is what an attacker can do who knows where the face was: it needs no face to be
    found in the de-identified video.

    Args:
        alignment, embedder: shared by both sides; neither has a memory.
        wants: whether a frame pair of that index is to be embedded at all.
        first_index: of the first frame pair.
    """

    name = "identity"
    delay: int | None = 0
    stride = 1

    def __init__(
        self,
        alignment: Alignment,
        embedder: FaceEmbedder,
        wants: Callable[[int], bool] = lambda index: True,  # noqa: ARG005
        first_index: int = 0,
    ) -> None:
        self._alignment = alignment
        self._embedder = embedder
        self._wants = wants
        self._index = first_index

    def push(self, item: Pair[Sighting]) -> Iterable[IdentityReading]:
        time = item.original.frame.elapsed
        index, self._index = self._index, self._index + 1
        if self._wants(index):
            yield self._read(index, time, item)
        else:
            yield IdentityReading(index, time, Pair(None, None))

    def flush(self) -> Iterable[IdentityReading]:
        return ()

    def reset(self) -> None:
        """Nothing to forget: every frame pair stands for itself."""

    def _read(self, index: int, time: Fraction, item: Pair[Sighting]) -> IdentityReading:
        original, deidentified = CORES.both(
            lambda: self._align_and_embed(item.original),
            lambda: self._align_and_embed(item.deidentified),
        )
        own = Pair(original, deidentified).map(_embedding)
        if original is None:
            return IdentityReading(index, time, own)
        points = _to_frame(original.points, item.original, item.deidentified)
        chip = self._alignment.chip(item.deidentified.frame.image, points)
        if is_flat(chip):
            return IdentityReading(index, time, own, paired_flat=True)
        paired = self._embedder.embed([chip])[0]
        detail = relative_detail(chip, original.chip)
        return IdentityReading(index, time, own, paired, paired_detail=detail)

    def _align_and_embed(self, sighting: Sighting) -> _AlignedFace | None:
        if sighting.face is None:
            return None
        image = sighting.frame.image
        points = self._alignment.points(image, sighting.face)
        chip = self._alignment.chip(image, points)
        if is_flat(chip):
            return None
        return _AlignedFace(points, chip, self._embedder.embed([chip])[0])


@dataclass(frozen=True, slots=True, eq=False)
class _AlignedFace:
    points: Points
    chip: Planes
    embedding: Embedding


def _embedding(face: _AlignedFace | None) -> Embedding | None:
    return None if face is None else face.embedding


def is_flat(chip: Planes) -> bool:
    """Whether the inner part of a chip is one colour, in which no embedder can see a face."""
    return float(_inner(chip).std(axis=(1, 2)).max()) < _FLAT


def relative_detail(chip: Planes, reference: Planes) -> float:
    """Typical gradient of `chip` over that of `reference`, in their inner parts: 0 and above.

    1 where the two are equally rich in detail, near 0 where `chip` is a blur or a mosaic: the
    median, because a mosaic has hard edges but is flat nearly everywhere.
    """
    typical = _typical_gradient(_inner(reference))
    return _typical_gradient(_inner(chip)) / typical if typical > 0 else 0.0


def _inner(chip: Planes) -> Planes:
    sixth = chip.shape[1] // 6
    return chip[:, sixth:-sixth, sixth:-sixth]


def _typical_gradient(planes: Planes) -> float:
    luma = planes.mean(axis=0)
    across, down = np.diff(luma, axis=1)[1:], np.diff(luma, axis=0)[:, 1:]
    return float(np.median(np.hypot(across, down)))


def _to_frame(points: Points, seen: Sighting, other: Sighting) -> Points:
    """Points of one side in pixels of the other, whose frame may have another size."""
    height, width = seen.frame.image.shape[:2]
    rows, columns = other.frame.image.shape[:2]
    scaled: Points = (points + 0.5) * (columns / width, rows / height) - 0.5
    return scaled
