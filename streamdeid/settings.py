"""Settings: everything a user can choose, frozen and checked once."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from numbers import Real
from operator import index
from pathlib import Path
from typing import Any, Generic, Literal, SupportsIndex, TypeAlias, TypeVar

from streamdeid.errors import SettingsError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
METRICS: Mapping[str, tuple[str, ...]] = {
    "identity": ("identity.", "identity_paired."),
    "expression": ("expression.",),
    "quality": ("quality.",),
    "realism": ("realism.fid_i3d", "realism.mmd_i3d"),
    "fvd": ("realism.fvd",),
    "fsmetric": ("realism.fid_fsmetric",),
}
"""What can be measured, and how the names of its scores begin."""
BEARABLE = ("identity", "expression")
"""What is measured of live streams unless others are named: two cores keep up with it."""
OF_BOTH_AU_SOURCES = ("expression_proxy.", "expression_agreement.")
"""How the scores begin that there are besides, where `au_source` is "both"."""
AU_SOURCES = ("auto", "openface", "blendshapes", "both")
PROVIDERS = ("auto", "cpu", "cuda", "tensorrt")
TIMELINE_SUFFIXES = (".csv", ".jsonl", ".parquet")
MAX_OFFSET_S = 1_000_000

OnePath: TypeAlias = str | os.PathLike[str]

_Taken = TypeVar("_Taken", contravariant=True)
_Kept = TypeVar("_Kept", covariant=True)


class Takes(Generic[_Taken, _Kept]):
    """A field that is given as one type and kept as another; for type checkers only.

    A dataclass has one annotation for what its constructor takes and for what is read from it.
    Type checkers read these two methods in its place; when the program runs, nobody calls them.
    """

    def __get__(self, instance: object, owner: type | None = None) -> _Kept:
        raise NotImplementedError

    def __set__(self, instance: object, value: _Taken) -> None:
        raise NotImplementedError


# Defaults of such fields: to a type checker a tuple is no `Takes`, but Any is.
_USUAL_METRICS: Any = ("identity", "expression", "quality", "realism")
_NO_IMAGES: Any = ()
_IN_STEP: Any = Fraction(0)
_NO_PATH: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an evaluation is to be done; the same settings on the same videos give the same figures.

    Attributes:
        metrics: what to measure, of `METRICS`. "identity": how far the person is gone.
            "expression": how far the facial action units agree. "quality": SSIM, MS-SSIM and
            PSNR. "realism": Fréchet distance and MMD of I3D features. "fvd" and "fsmetric" run
            I3D once more each, on clips and as the tool fsmetric does, for figures to be compared
            with published ones.
        source_images: pictures of the person in the original video; a folder stands for the
            pictures in it. Several average into one template.
        target_images: likewise, of the person whose face was put in.
        offset_s: seconds by which the de-identified video is late; "auto" finds it in the pictures.
        frames: draw this many frame pairs with a face for the identity scores; None: use all.
        seed: of that draw.
        face: which face to follow when there are several: "largest"; "nearest" to where it was last
            seen (the centre of the frame at first); or its number from the left, beginning with 0.
        au_source: where action units come from: "openface"; "blendshapes", stand-ins made of the
            landmarks; "both", and how well they agree; or "auto", OpenFace where it is found.
        openface: OpenFace's FeatureExtraction: its path, "docker" or "docker:IMAGE", or a script
            that takes a video and an output folder, as for fsmetric; None: $STREAMDEID_OPENFACE,
            or else what is on the PATH.
        au_static: have OpenFace judge each frame by itself (its -au_static): for short clips, or
            an expression that is held throughout.
        detector: "auto" (BlazeFace, and CenterFace where that finds nothing), the name of one
            detector in the manifest, or "insightface:PATH".
        landmarks, embedder: names in the manifest; the embedder may be "insightface:PATH".
        threshold: faces at this distance or nearer are taken for the same person; None: the
            embedder's own.
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

    metrics: Takes[str | Sequence[str], tuple[str, ...]] = _USUAL_METRICS
    source_images: Takes[OnePath | Sequence[OnePath], tuple[Path, ...]] = _NO_IMAGES
    target_images: Takes[OnePath | Sequence[OnePath], tuple[Path, ...]] = _NO_IMAGES
    offset_s: Takes[Fraction | float | Literal["auto"], Fraction | Literal["auto"]] = _IN_STEP
    frames: int | None = None
    seed: int = 0
    face: Literal["largest", "nearest"] | int = "largest"
    au_source: Literal["auto", "openface", "blendshapes", "both"] = "auto"
    openface: str | None = None
    au_static: bool = False
    detector: str = "auto"
    landmarks: str = "landmarks"
    embedder: str = "dlib_resnet"
    threshold: float | None = None
    confirm_every: int = 15
    search_every: int = 5
    quality_every: int = 1
    provider: Literal["auto", "cpu", "cuda", "tensorrt"] = "auto"
    models_dir: Takes[OnePath | None, Path | None] = _NO_PATH
    timeline: Takes[OnePath | None, Path | None] = _NO_PATH

    def __post_init__(self) -> None:
        self._normalise()
        if self.frames is not None and self.frames < 1:
            raise SettingsError(f"--frames is {self.frames}: it must be 1 or more, or left out.")
        if isinstance(self.face, int) and self.face < 0:
            raise SettingsError(f"--face is {self.face}: faces are numbered from 0, left to right.")
        if isinstance(self.face, str) and self.face not in ("largest", "nearest"):
            raise SettingsError(
                f"--face is {self.face!r}: it must be 'largest', 'nearest' or a number from 0."
            )
        if self.offset_s != "auto" and abs(self.offset_s) > MAX_OFFSET_S:
            raise SettingsError(
                f"--offset is {float(self.offset_s):g} s: it must be within ±{MAX_OFFSET_S:,} s."
            )
        if self.threshold is not None and not (
            self.threshold > 0 and math.isfinite(self.threshold)
        ):
            raise SettingsError(
                f"--threshold is {self.threshold}: a distance must be above 0, and finite."
            )
        unknown = [name for name in self.metrics if name not in METRICS]
        if unknown or not self.metrics:
            raise SettingsError(
                f"--metrics is {','.join(self.metrics)!r}: it must be one or more of "
                f"{', '.join(METRICS)}."
            )
        self._check_au_source()
        for name in ("confirm_every", "search_every", "quality_every"):
            if getattr(self, name) < 1:
                raise SettingsError(
                    f"{_flag(name)} is {getattr(self, name)}: it must be 1 or more."
                )
        if self.provider not in PROVIDERS:
            raise SettingsError(
                f"--provider is {self.provider!r}: it must be one of {', '.join(PROVIDERS)}."
            )
        if self.timeline is not None and self.timeline.suffix not in TIMELINE_SUFFIXES:
            raise SettingsError(
                f"--timeline is {self.timeline}: its name must end in "
                f"{', '.join(TIMELINE_SUFFIXES[:-1])} or {TIMELINE_SUFFIXES[-1]}."
            )

    def _check_au_source(self) -> None:
        if self.au_source not in AU_SOURCES:
            raise SettingsError(
                f"--au-source is {self.au_source!r}: it must be one of {', '.join(AU_SOURCES)}."
            )
        for flag, given in (("--openface", self.openface), ("--au-static", self.au_static)):
            if given and self.au_source == "blendshapes":
                raise SettingsError(
                    f"{flag} is about OpenFace, but --au-source is blendshapes: leave one of the "
                    "two out."
                )

    def _normalise(self) -> None:
        """Keep what was given in the types that `Takes` promises."""
        kept: dict[str, Any] = {"metrics": _all_of("metrics", self.metrics)}
        for name in ("source_images", "target_images"):
            kept[name] = tuple(map(Path, _all_of(name, getattr(self, name), os.PathLike)))
        for name in ("models_dir", "timeline"):
            path = getattr(self, name)
            kept[name] = None if path is None else Path(_text(name, path))
        for name in ("detector", "landmarks", "embedder"):
            kept[name] = _text(name, getattr(self, name))
        for name in ("seed", "confirm_every", "search_every", "quality_every"):
            kept[name] = _whole(name, getattr(self, name))
        kept["openface"] = None if self.openface is None else _text("openface", self.openface)
        kept["frames"] = None if self.frames is None else _whole("frames", self.frames)
        kept["face"] = self.face if isinstance(self.face, str) else _whole("face", self.face)
        if self.threshold is not None:
            kept["threshold"] = _number("threshold", self.threshold)
        kept["offset_s"] = _seconds(self.offset_s)
        for name, value in kept.items():
            object.__setattr__(self, name, value)

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
        try:
            images += _pictures(path, flag)
        except FileNotFoundError as error:
            raise SettingsError(f"{flag}: {path} does not exist.") from error
        except (OSError, ValueError) as error:  # a name too long, or with a null byte
            reason = getattr(error, "strerror", None) or error
            raise SettingsError(f"{flag}: {path} cannot be read: {reason}.") from error
    return tuple(images)


def _pictures(path: Path, flag: str) -> list[Path]:
    if not stat.S_ISDIR(path.stat().st_mode):
        return [path]
    # Hidden ones are no pictures: macOS puts a ._a.png beside each a.png.
    found = sorted(
        p
        for p in path.iterdir()
        if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".") and p.is_file()
    )
    if not found:
        raise SettingsError(
            f"{flag}: the folder {path} holds no picture ({', '.join(sorted(IMAGE_SUFFIXES))})."
        )
    return found


def _all_of(name: str, given: Any, *more: type) -> tuple[Any, ...]:
    """A single text, or what else it may be, and a sequence of them alike as a tuple."""
    values = (given,) if isinstance(given, (str, *more)) else given
    if not isinstance(values, Iterable):
        raise SettingsError(f"{_flag(name)} is {given!r}: it must be text, or several texts.")
    values = tuple(values)
    if not all(isinstance(value, (str, *more)) for value in values):
        raise SettingsError(f"{_flag(name)} is {given!r}: each of it must be text.")
    return values


def _text(name: str, given: Any) -> str:
    """Text, also as a path."""
    if isinstance(given, str | os.PathLike) and isinstance(os.fspath(given), str):
        return str(os.fspath(given))
    raise SettingsError(f"{_flag(name)} is {given!r}: it must be text.")


def _whole(name: str, given: Any) -> int:
    """A Python integer, also of numpy's."""
    if isinstance(given, SupportsIndex) and not isinstance(given, bool):
        return index(given)
    raise SettingsError(f"{_flag(name)} is {given!r}: it must be a whole number.")


def _number(name: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, Real):
        raise SettingsError(f"{_flag(name)} is {given!r}: it must be a number.")
    return float(given)


def _flag(name: str) -> str:
    return "--" + name.removesuffix("_s").replace("images", "image").replace("_", "-")


def _seconds(given: Any) -> Fraction | Literal["auto"]:
    if given == "auto":
        return "auto"
    try:
        # A number only: Fraction("1e99999999") would compute for hours.
        if isinstance(given, str):
            raise TypeError("it is text")
        return Fraction(given)
    except (OverflowError, TypeError, ValueError) as error:
        raise SettingsError(
            f"--offset is {given!r}: it must be a finite number of seconds, or 'auto'."
        ) from error


def _to_json(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    return value
