"""Models: the parts of an analysis that the settings name, built on shared sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from streamdeid.errors import ModelError, SettingsError
from streamdeid.inference.insightface import BROUGHT, InsightFaceDetector, InsightFaceEmbedder
from streamdeid.inference.manifest import Manifest
from streamdeid.inference.session import Session
from streamdeid.memory import share_one_heap
from streamdeid.settings import Settings
from streamdeid.stages.alignment import Alignment, ArcFaceAlignment, DlibAlignment
from streamdeid.stages.detection import BlazeFace, BroughtDetector, CenterFace, Detector
from streamdeid.stages.identity import FaceEmbedder, OnnxEmbedder
from streamdeid.stages.landmarks import LandmarkModel

_DETECTORS: Final[Mapping[str, Callable[[Session], Detector]]] = {
    "blazeface": BlazeFace,
    "centerface": CenterFace,
}
# These metrics run I3D a second and third time, on both sides.
_MORE_I3D: Final = frozenset({"fvd", "fsmetric"})
_OTHERS: Final = {
    "detector": ("auto", f"or {BROUGHT}PATH"),
    "embedder": (f"or {BROUGHT}PATH",),
}

_Brought = TypeVar("_Brought", InsightFaceDetector, InsightFaceEmbedder)


class Models:
    """Loads each model once, on first use, and remembers what it really runs on.

    Args:
        settings: detector, landmarks, embedder, provider, models_dir.

    Raises:
        ModelError: the manifest cannot be read; from the methods: a file is missing or changed.
        SettingsError: from the methods: an option names a model that does something else.
    """

    def __init__(self, settings: Settings) -> None:
        share_one_heap()
        self._settings = settings
        self._manifest = Manifest.load(settings.resolved_models_dir())
        self._sessions: dict[str, Session] = {}
        self._brought: dict[str, InsightFaceDetector | InsightFaceEmbedder] = {}

    def detectors(self) -> tuple[Detector, Detector | None]:
        """The quick detector and the thorough one; only one where the settings name one."""
        name = self._settings.detector
        if name == "auto":
            return self._detector("blazeface"), self._detector("centerface")
        return self._detector(name), None

    def landmarks(self) -> LandmarkModel:
        """The model that follows a face."""
        return LandmarkModel(self._session(self._settings.landmarks, "landmarks"))

    def blendshapes(self) -> Session:
        """What the landmarks of a face say of its movements."""
        return self._session(self._manifest.default("blendshapes").name, "blendshapes")

    def embedder(self) -> FaceEmbedder:
        """What turns a chip into a vector."""
        name = self._settings.embedder
        if name.startswith(BROUGHT):
            return self._bring(name, InsightFaceEmbedder)
        return OnnxEmbedder(self._session(name, "embedder"))

    def alignment(self, embedder: FaceEmbedder) -> Alignment:
        """How the chips that `embedder` wants are cut."""
        rule = embedder.spec.alignment
        if rule == "dlib_chip":
            return DlibAlignment(
                self._session(self._manifest.default("alignment").name, "alignment")
            )
        if rule == "arcface":
            return ArcFaceAlignment()
        raise ModelError(f"the manifest names an alignment {rule!r} that nobody knows.")

    def motion(self) -> Session:
        """I3D, a network that takes a video in pieces.

        One call at once holds 170 MiB, and six would be made: so a run with all metrics stays below
        900 MiB at 640x480. With its two calls alone it may take both cores.
        """
        at_once = 1 if _MORE_I3D.intersection(self._settings.metrics) else 2
        return self._session(self._manifest.default("motion").name, "motion", at_once)

    def records(self) -> tuple[dict[str, Any], ...]:
        """What the report says of the models that were loaded."""
        shipped = [
            {
                "name": name,
                "task": session.spec.task,
                "file": session.spec.path.name,
                "sha256": session.spec.sha256,
                "licence": session.spec.licence,
                "provider": session.provider,
            }
            for name, session in self._sessions.items()
        ]
        return (*shipped, *(model.record for model in self._brought.values()))

    def _detector(self, name: str) -> Detector:
        if name.startswith(BROUGHT):
            return BroughtDetector(self._bring(name, InsightFaceDetector))
        # Now and then both sides look at once: what that takes of memory would be kept for good.
        session = self._session(name, "detector", at_once=1)
        kind = session.spec.kind
        if kind not in _DETECTORS:
            raise ModelError(
                f"the manifest says that {name} is a detector of the kind {kind!r}, which nobody "
                f"knows; there are {', '.join(_DETECTORS)}."
            )
        return _DETECTORS[kind](session)

    def _bring(self, name: str, kind: type[_Brought]) -> _Brought:
        model = self._brought.get(name)
        if not isinstance(model, kind):
            path = Path(name.removeprefix(BROUGHT)).expanduser()
            model = self._brought[name] = kind(path, self._settings.provider)
        return model

    def _session(self, name: str, task: str, at_once: int | None = None) -> Session:
        if name not in self._sessions:
            if name not in self._manifest.names(task):
                raise SettingsError(
                    f"--{task} is {name!r}: it must be "
                    f"{', '.join((*self._manifest.names(task), *_OTHERS.get(task, ())))}."
                )
            self._sessions[name] = Session(
                self._manifest.spec(name), self._settings.provider, at_once=at_once
            )
        return self._sessions[name]


def list_models(settings: Settings) -> list[dict[str, Any]]:
    """One record for each model of the manifest: what it is for, and where it comes from."""
    manifest = Manifest.load(settings.resolved_models_dir())
    records = []
    for name in manifest.names():
        spec = manifest.spec(name)
        origin = spec.origin
        records.append(
            {
                "name": name,
                "task": spec.task,
                "default": manifest.default(spec.task).name == name,
                "size": spec.size,
                "licence": spec.licence,
                "origin": f"{origin.package} {origin.version}",
                "file": str(spec.path),
                "sha256": spec.sha256,
            }
        )
    return records


def verify_models(settings: Settings) -> list[dict[str, Any]]:
    """For each model of the manifest, whether its file is the one that the manifest describes."""
    manifest = Manifest.load(settings.resolved_models_dir())
    return [_verify(manifest, name) for name in manifest.names()]


def _verify(manifest: Manifest, name: str) -> dict[str, Any]:
    try:
        manifest.spec(name).verify()
    except ModelError as error:
        return {"name": name, "ok": False, "reason": str(error)}
    return {"name": name, "ok": True, "reason": ""}
