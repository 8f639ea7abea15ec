"""References: pictures of the two people → the templates that faces are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from streamdeid.engine.models import Models
from streamdeid.errors import ReferenceImageError
from streamdeid.frame import Frame
from streamdeid.inference.preprocess import unit_length
from streamdeid.metrics.identity import References
from streamdeid.observations import Embedding, Sighting
from streamdeid.settings import Settings, expand_images
from streamdeid.sources.still import read_picture
from streamdeid.stages.alignment import Alignment
from streamdeid.stages.detection import FirstThatFinds
from streamdeid.stages.faces import FaceFinder
from streamdeid.stages.identity import FaceEmbedder


def load_references(
    settings: Settings, models: Models, alignment: Alignment, embedder: FaceEmbedder
) -> References:
    """The templates of the source and of the target person, each None if it has no picture.

    Raises:
        SettingsError: a path does not exist, or a folder holds no picture.
        ReferenceImageError: a picture cannot be read, or shows no face, or more than one.
    """
    source = expand_images(settings.source_images, "--source-image")
    target = expand_images(settings.target_images, "--target-image")
    return References(
        source=_template(source, models, alignment, embedder),
        target=_template(target, models, alignment, embedder),
    )


def _template(
    paths: Sequence[Path], models: Models, alignment: Alignment, embedder: FaceEmbedder
) -> Embedding | None:
    """The mean of the pictures' embeddings; for a cosine distance, of unit length again."""
    if not paths:
        return None
    mean = np.mean([_embed(path, models, alignment, embedder) for path in paths], axis=0)
    return unit_length(mean) if embedder.spec.distance == "cosine" else mean


def _embed(path: Path, models: Models, alignment: Alignment, embedder: FaceEmbedder) -> Embedding:
    quick, thorough = models.detectors()
    # A picture is looked at once: the thorough detector may as well come first.
    detector = FirstThatFinds([thorough, quick]) if thorough else quick
    frame = Frame(read_picture(path), index=0, pts=0, time_base=Fraction(1))
    seen = FaceFinder(models.landmarks(), detector).search(Sighting(frame, None))
    if seen.faces_in_view > 1:
        raise ReferenceImageError(
            f"{path} shows {seen.faces_in_view} faces; cut out the one that is meant."
        )
    if seen.face is None:
        raise ReferenceImageError(
            f"no face was found in {path}; give a clear frontal picture of one person."
        )
    points = alignment.points(frame.image, seen.face)
    embedding: Embedding = embedder.embed([alignment.chip(frame.image, points)])[0]
    return embedding
