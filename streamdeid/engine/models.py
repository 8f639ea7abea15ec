"""Models: the parts of an analysis that the settings name, built on shared sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from streamdeid.errors import ModelError, SettingsError
from streamdeid.inference.manifest import Manifest
from streamdeid.inference.session import Session
from streamdeid.settings import Settings
from streamdeid.stages.alignment import Alignment, ArcFaceAlignment, DlibAlignment
from streamdeid.stages.detection import BlazeFace, CenterFace, Detector
from streamdeid.stages.identity import FaceEmbedder, OnnxEmbedder
from streamdeid.stages.landmarks import LandmarkModel

BROUGHT: Final = "insightface:"
"""What stands before the path of a model file that the user brings."""

_DETECTORS: Final[Mapping[str, Callable[[Session], Detector]]] = {
    "blazeface": BlazeFace,
    "centerface": CenterFace,
}


class Models:
    """Loads each model once, on first use, and remembers what it really runs on.

    Args:
        settings: detector, landmarks, embedder, provider, models_dir.

    Raises:
        ModelError: the manifest cannot be read; from the methods also: a file is missing or changed.
        SettingsError: from the methods: an option names a model that does something else.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._manifest = Manifest.load(settings.resolved_models_dir())
        self._sessions: dict[str, Session] = {}
        self._brought: list[dict[str, Any]] = []

    def detectors(self) -> tuple[Detector, Detector | None]:
        """The quick detector and the thorough one; only one where the settings name one."""
        name = self._settings.detector
        if name == "auto":
            return self._detector("blazeface"), self._detector("centerface")
        if name.startswith(BROUGHT):
            from streamdeid.inference.insightface import InsightFaceDetector

            brought = InsightFaceDetector(name.removeprefix(BROUGHT))
            self._brought.append(brought.record)
            return BroughtDetector(brought), None
        return self._detector(name), None

    def landmarks(self) -> LandmarkModel:
        """The model that follows a face."""
        return LandmarkModel(self._session(self._settings.landmarks, "landmarks"))

    def embedder(self) -> FaceEmbedder:
        """What turns a chip into a vector."""
        name = self._settings.embedder
        return OnnxEmbedder(self._session(name, "embedder"))

    def alignment(self, embedder: FaceEmbedder) -> Alignment:
        """How the chips that `embedder` wants are cut."""
        rule = embedder.spec.alignment
        if rule == "dlib_chip":
            return DlibAlignment(self._session(self._manifest.default("alignment").name, "alignment"))
        if rule == "arcface":
            return ArcFaceAlignment()
        raise ModelError(f"the manifest names an alignment {rule!r} that nobody knows.")

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
        return (*shipped, *self._brought)

    def _detector(self, name: str) -> Detector:
        session = self._session(name, "detector")
        return _DETECTORS[session.spec.kind](session)

    def _session(self, name: str, task: str) -> Session:
        if name not in self._sessions:
            if name not in self._manifest.names(task):
                raise SettingsError(
                    f"--{task} is {name!r}: it must be one of "
                    f"{', '.join(self._manifest.names(task))}, or insightface:PATH."
                )
            self._sessions[name] = Session(self._manifest.spec(name), self._settings.provider)
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
