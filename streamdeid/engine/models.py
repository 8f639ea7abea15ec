"""Models: the parts of an analysis that the settings name, built on shared sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from threading import Semaphore
from typing import Any, Final, TypeVar

from streamdeid.cores import CORES
from streamdeid.errors import ModelError, SettingsError
from streamdeid.inference.insightface import BROUGHT, InsightFaceDetector, InsightFaceEmbedder
from streamdeid.inference.manifest import Manifest
from streamdeid.inference.session import Session, Turn
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
_RUN_I3D: Final = frozenset({"realism", "fvd", "fsmetric"})
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
        # What large calls at the same time take is kept for good, even if they meet once an hour:
        # two of I3D 50 MiB more than one, the thorough detector 60. So there is one at a time, or
        # two where I3D runs once over each side, and would hold up the rest.
        two = len(_RUN_I3D.intersection(settings.metrics)) == 1
        self._large: Turn = partial(CORES.few, Semaphore(2 if two else 1))
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
        """I3D, a network that takes a video in pieces."""
        return self._session(self._manifest.default("motion").name, "motion", self._large)

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
        session = self._session(name, "detector", self._large)
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

    def _session(self, name: str, task: str, turn: Turn = nullcontext) -> Session:
        if name not in self._sessions:
            if name not in self._manifest.names(task):
                raise SettingsError(
                    f"--{task} is {name!r}: it must be "
                    f"{', '.join((*self._manifest.names(task), *_OTHERS.get(task, ())))}."
                )
            self._sessions[name] = Session(
                self._manifest.spec(name), self._settings.provider, turn=turn
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
