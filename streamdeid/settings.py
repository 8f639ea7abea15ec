"""Settings: everything a user can choose, frozen and checked once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from streamdeid.errors import SettingsError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
METRICS: Mapping[str, tuple[str, ...]] = {
    "identity": ("identity.", "identity_paired."),
    "quality": ("quality.",),
    "realism": ("realism.fid_i3d", "realism.mmd_i3d"),
    "fvd": ("realism.fvd",),
    "fsmetric": ("realism.fid_fsmetric",),
}
"""What can be measured, and how the names of its scores begin."""
PROVIDERS = ("auto", "cpu", "cuda", "tensorrt")
TIMELINE_SUFFIXES = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an evaluation is to be done; the same settings on the same videos give the same figures.

    Attributes:
        metrics: what to measure, of `METRICS`. "identity": how far the person is gone. "quality":
            SSIM, MS-SSIM and PSNR. "realism": Fréchet distance and MMD of I3D features. "fvd" and
            "fsmetric" run I3D once more each, on clips and as the tool fsmetric does, for figures
            to be compared with published ones.
        source_images: pictures of the person in the original video; a folder stands for the
            pictures in it. Several average into one template.
        target_images: likewise, of the person whose face was put in.
        offset_s: seconds by which the de-identified video is late; "auto" finds it in the pictures.
        frames: draw this many frame pairs with a face for the identity scores; None: use all.
        seed: of that draw.
        face: which face to follow when there are several: "largest"; "nearest" to where it was last
            seen (the centre of the frame at first); or its number from the left, beginning with 0.
        detector: "auto" (BlazeFace, and CenterFace where that finds nothing), the name of one
            detector in the manifest, or "insightface:PATH".
        landmarks, embedder: names in the manifest; the embedder may be "insightface:PATH".
        threshold: faces nearer than this are taken for the same person, in the embedder's
            distance; None: the embedder's own.
        confirm_every: frames after which a detector must see the tracked face again.
        search_every: while no face is found, frames between two looks of the slow detector.
        quality_every: measure "quality" on one of so many frame pairs.
        provider: ONNX Runtime's: "auto" (the GPU if there is one), "cpu", "cuda" or "tensorrt".
        models_dir: folder with manifest.toml and the model files; None: $STREAMDEID_MODELS,
            or else the files that came with the package.
        timeline: file for one row per frame pair, .csv, .jsonl or .parquet; None: no rows.

    Raises:
        SettingsError: a value makes no sense; the sentence names the option and the cure.
    """

    metrics: tuple[str, ...] = ("identity", "quality", "realism")
    source_images: tuple[Path, ...] = ()
    target_images: tuple[Path, ...] = ()
    offset_s: Fraction | Literal["auto"] = Fraction(0)
    frames: int | None = None
    seed: int = 0
    face: Literal["largest", "nearest"] | int = "largest"
    detector: str = "auto"
    landmarks: str = "landmarks"
    embedder: str = "dlib_resnet"
    threshold: float | None = None
    confirm_every: int = 15
    search_every: int = 5
    quality_every: int = 1
    provider: Literal["auto", "cpu", "cuda", "tensorrt"] = "auto"
    models_dir: Path | None = None
    timeline: Path | None = None

    def __post_init__(self) -> None:
        if self.frames is not None and self.frames < 1:
            raise SettingsError(f"--frames is {self.frames}: it must be 1 or more, or left out.")
        if isinstance(self.face, int) and self.face < 0:
            raise SettingsError(f"--face is {self.face}: faces are numbered from 0, left to right.")
        if isinstance(self.face, str) and self.face not in ("largest", "nearest"):
            raise SettingsError(
                f"--face is {self.face!r}: it must be 'largest', 'nearest' or a number from 0."
            )
        if self.threshold is not None and not self.threshold > 0:
            raise SettingsError(f"--threshold is {self.threshold}: a distance must be above 0.")
        unknown = [name for name in self.metrics if name not in METRICS]
        if unknown or not self.metrics:
            raise SettingsError(
                f"--metrics is {','.join(self.metrics)!r}: it must be one or more of "
                f"{', '.join(METRICS)}."
            )
        for name in ("confirm_every", "search_every", "quality_every"):
            if getattr(self, name) < 1:
                flag = "--" + name.replace("_", "-")
                raise SettingsError(f"{flag} is {getattr(self, name)}: it must be 1 or more.")
        if self.provider not in PROVIDERS:
            raise SettingsError(
                f"--provider is {self.provider!r}: it must be one of {', '.join(PROVIDERS)}."
            )
        if self.timeline is not None and self.timeline.suffix not in TIMELINE_SUFFIXES:
            raise SettingsError(
                f"--timeline is {self.timeline}: its name must end in "
                f"{', '.join(TIMELINE_SUFFIXES[:-1])} or {TIMELINE_SUFFIXES[-1]}."
            )

    def to_record(self) -> dict[str, Any]:
        """The settings as the report holds them: JSON values, paths as they were given."""
        return {field.name: _to_json(getattr(self, field.name)) for field in fields(self)}

    def resolved_models_dir(self, environment: Mapping[str, str] = os.environ) -> Path | None:
        """`models_dir`, or $STREAMDEID_MODELS, or None for the models of the package."""
        if self.models_dir is None and environment.get("STREAMDEID_MODELS"):
            return Path(environment["STREAMDEID_MODELS"])
        return self.models_dir


def expand_images(paths: tuple[Path, ...], flag: str) -> tuple[Path, ...]:
    """The pictures that `paths` name, folders replaced by the pictures in them, in order of name.

    Raises:
        SettingsError: a path does not exist, or a folder holds no picture.
    """
    images: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not found:
                raise SettingsError(
                    f"{flag}: the folder {path} holds no picture "
                    f"({', '.join(sorted(IMAGE_SUFFIXES))})."
                )
            images += found
        elif path.exists():
            images.append(path)
        else:
            raise SettingsError(f"{flag}: {path} does not exist.")
    return tuple(images)


def _to_json(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    return value
