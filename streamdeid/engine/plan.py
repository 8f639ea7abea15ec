"""The whole analysis as one expression: read this first."""

from __future__ import annotations

from typing import Any

from streamdeid.engine.branch import Branch
from streamdeid.engine.models import Models
from streamdeid.engine.references import load_references
from streamdeid.frame import Frame
from streamdeid.metrics.coverage import Coverage
from streamdeid.metrics.identity import IdentityDistance
from streamdeid.metrics.sampled import Sampled
from streamdeid.pair import Pair
from streamdeid.settings import Settings
from streamdeid.stages.faces import FaceFinder, FindFaces
from streamdeid.stages.identity import IdentityEmbedder


def plan(settings: Settings, models: Models) -> Branch[Pair[Frame], Any]:
    """What is done with every frame pair, from faces to scores.

    Raises:
        InputError: a setting or a reference picture cannot be used.
        ModelError: a model cannot be loaded.
    """
    landmarks = models.landmarks()
    quick, thorough = models.detectors()
    embedder = models.embedder()
    alignment = models.alignment(embedder)
    references = load_references(settings, models, alignment, embedder)

    def finder() -> FaceFinder:
        return FaceFinder(
            landmarks,
            quick,
            thorough,
            choice=settings.face,
            confirm_every=settings.confirm_every,
            search_every=settings.search_every,
        )

    distances = IdentityDistance(
        references,
        distance=embedder.spec.distance,
        threshold=settings.threshold or embedder.spec.threshold,
        impostor_distance=embedder.spec.impostor_distance,
    )
    if settings.frames is None:
        identity = Branch(IdentityEmbedder(alignment, embedder), [distances])
    else:
        drawn = Sampled(distances, settings.frames, settings.seed)
        identity = Branch(IdentityEmbedder(alignment, embedder, drawn.wants), [drawn])

    return Branch(
        FindFaces(Pair(finder(), finder())),
        [Coverage()],
        [identity],
    )
