"""The whole analysis as one expression: read this first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from streamdeid.engine.action_units import Files, expression
from streamdeid.engine.branch import Branch
from streamdeid.engine.models import Models
from streamdeid.engine.references import load_references
from streamdeid.frame import FramePair
from streamdeid.inference.session import Session
from streamdeid.metrics import (
    Coverage,
    FeatureSpace,
    FrechetDistance,
    IdentityDistance,
    ImageQuality,
    KernelDiscrepancy,
    Sampled,
)
from streamdeid.metrics.metric import Metric
from streamdeid.observations import IdentityReading, Sighting
from streamdeid.pair import Pair
from streamdeid.settings import Settings
from streamdeid.stages.chips import FaceChips, every_pair
from streamdeid.stages.crops import FaceCrops, FsmetricCropping, SteadyCropping
from streamdeid.stages.faces import FaceFinder, FindFaces
from streamdeid.stages.identity import IdentityEmbedder
from streamdeid.stages.motion import ContinualI3D, I3DClips
from streamdeid.stages.quality import QualityMeter
from streamdeid.stages.sides import BothSides

Sightings: TypeAlias = Branch[Pair[Sighting], Any]

_STEADY = "1.5 times the longer side of the original's face, gliding with it; 224 x 224"
_FSMETRIC = "the original's face without margin, renewed every 10 frames; 224 x 224"
_POOLED = FeatureSpace("features", 1024, "global average pool", "-1..1", _STEADY)
_POOLED_AS_FSMETRIC = FeatureSpace("features", 1024, "global average pool", "0..1", _FSMETRIC)
_LOGITS = FeatureSpace("logits", 400, "logits of clips", "-1..1", _STEADY, length=16, stride=16)
_DRAWN_ROWS = 1000  # of features, for the MMD: 16 MB
_NO_FILES: Files = Pair(None, None)


def plan(
    settings: Settings,
    models: Models,
    files: Files = _NO_FILES,
    first_index: int = 0,
    *,
    live: bool = False,
) -> Branch[FramePair, Any]:
    """What is done with every frame pair, from faces to scores.

    Args:
        files: the videos, for whoever must read them again.
        first_index: of the first frame pair, for metrics that draw rows by their index or join
            runs of frames that follow each other: what is to be merged must not share any.
        live: what is said while it goes on matters, not only what is said in the end.

    Raises:
        InputError: a setting or a reference picture cannot be used.
        ModelError: a model cannot be loaded.
    """
    wanted = frozenset(settings.metrics)
    branches: list[Sightings] = []
    if "identity" in wanted:
        branches.append(_identity(settings, models, first_index))
    if "expression" in wanted:
        branches.append(expression(settings, models, files, live=live))
    if "quality" in wanted:
        branches.append(Branch(QualityMeter(settings.quality_every), [ImageQuality()]))
    if wanted & {"realism", "fvd"}:
        branches.append(_realism(settings, models.motion(), first_index))
    if "fsmetric" in wanted:
        branches.append(_as_fsmetric(models.motion(), first_index))
    finders = Pair(_finder(settings, models), _finder(settings, models))
    return Branch(FindFaces(finders), [Coverage()], branches)


def _finder(settings: Settings, models: Models) -> FaceFinder:
    return FaceFinder(
        models.landmarks(),
        *models.detectors(),
        choice=settings.face,
        confirm_every=settings.confirm_every,
        search_every=settings.search_every,
    )


def _identity(settings: Settings, models: Models, first_index: int) -> Sightings:
    embedder = models.embedder()
    alignment = models.alignment(embedder)
    distances = IdentityDistance(
        load_references(settings, models, alignment, embedder),
        distance=embedder.spec.distance,
        threshold=settings.threshold or embedder.spec.threshold,
        impostor_distance=embedder.spec.impostor_distance,
    )
    metric: Metric[IdentityReading] = distances
    wants: Callable[[int], bool] = every_pair
    if settings.frames is not None:
        metric = drawn = Sampled(distances, settings.frames, settings.seed)
        wants = drawn.wants
    embedded = Branch(IdentityEmbedder(embedder, wants), [metric])
    return Branch(FaceChips(alignment, wants, first_index), branches=[embedded])


def _realism(settings: Settings, i3d: Session, first_index: int) -> Sightings:
    whole_video = Branch(
        BothSides(partial(ContinualI3D, i3d)),
        [
            FrechetDistance("fid_i3d", _POOLED),
            KernelDiscrepancy("mmd_i3d", _POOLED, _DRAWN_ROWS, settings.seed),
        ],
    )
    clips = Branch(BothSides(partial(I3DClips, i3d)), [FrechetDistance("fvd", _LOGITS)])
    branches = {"realism": whole_video, "fvd": clips}
    return Branch(
        FaceCrops(SteadyCropping(), first_index),
        branches=[branch for name, branch in branches.items() if name in settings.metrics],
    )


def _as_fsmetric(i3d: Session, first_index: int) -> Sightings:
    motion = BothSides(partial(ContinualI3D, i3d, input_range="0..1"))
    distance = FrechetDistance("fid_fsmetric", _POOLED_AS_FSMETRIC)
    return Branch(FaceCrops(FsmetricCropping(), first_index), branches=[Branch(motion, [distance])])
