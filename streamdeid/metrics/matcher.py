"""Matcher: how far apart two faces are, and when they count as one person's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamdeid.observations import Embedding
from streamdeid.stats.batch import Floats

DISTANCES = ("euclidean", "cosine")


@dataclass(frozen=True, slots=True)
class Matcher:
    """How embeddings are compared; comes with the embedder.

    Attributes:
        distance: "euclidean", or "cosine" = 1 - cos, from 0 to 2.
        threshold: two faces at this distance or nearer are taken for one person's, as
            `face_recognition.compare_faces` does.
        impostor_distance: the range in which distances between strangers usually lie, if known.

    Raises:
        ValueError: if the distance is another one, or the threshold is not positive.
    """

    distance: str
    threshold: float
    impostor_distance: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.distance not in DISTANCES:
            raise ValueError(f"distance is {self.distance!r}, and must be one of {DISTANCES}")
        if not 0 < self.threshold < float("inf"):
            raise ValueError(f"threshold is {self.threshold}, and must be a positive number")

    def vectors(self, embeddings: Sequence[Embedding | None]) -> Floats:
        """The embeddings as rows (n, dim) of float64, NaN where there is none.

        For a cosine distance all rows get length 1. Without any embedding, dim is 1.

        Raises:
            ValueError: if lengths differ, or an embedding is no proper vector: the model is broken.
        """
        dim = next((len(embedding) for embedding in embeddings if embedding is not None), 1)
        rows = np.full((len(embeddings), dim), np.nan)
        for row, embedding in zip(rows, embeddings, strict=True):
            if embedding is not None:
                self.check(embedding, dim)
                row[:] = embedding
        if self.distance == "cosine":
            rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, np.newaxis]
        return rows

    def check(self, embedding: Embedding, dim: int) -> None:
        """Refuse what cannot be compared.

        Raises:
            ValueError: if its shape is not (dim,), it holds NaN or infinities, or it has no
                direction where directions are compared.
        """
        if embedding.shape != (dim,):
            raise ValueError(f"an embedding has shape {embedding.shape}, others have {(dim,)}")
        squared = float(np.vdot(embedding, embedding))
        if not math.isfinite(squared) or (squared == 0 and self.distance == "cosine"):
            raise ValueError(f"an embedding has squared length {squared}: the model is broken")

    def distances(self, a: Floats, b: Floats) -> Floats:
        """Row by row, shape (n,); NaN where either is missing. `b` may be one vector for all rows.

        Raises:
            ValueError: if the vectors of `a` and `b` have different lengths.
        """
        if a.shape[-1] != b.shape[-1] and not (np.isnan(a).all() or np.isnan(b).all()):
            lengths = f"{a.shape[-1]} and {b.shape[-1]}"
            raise ValueError(f"embeddings of lengths {lengths} are of different models")
        difference = a - b
        squared: Floats = np.einsum("ij,ij->i", difference, difference)
        if self.distance == "euclidean":
            return np.sqrt(squared)
        # For unit vectors 1 - cos = |a-b|²/2, which unlike 1 - a·b has digits left near 0.
        return np.minimum(squared / 2, 2.0)
