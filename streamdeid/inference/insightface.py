"""insightface: detectors and embedders that the user brings as ONNX files.

They are loaded by insightface's own model zoo, which knows how each family of them wants its
pictures and how its output is read. insightface is an optional extra: it is imported when one of
these models is made, and nowhere else. Its packs may not be used commercially and are never
shipped nor downloaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamdeid.errors import ModelError, SettingsError
from streamdeid.inference.manifest import EmbeddingSpec
from streamdeid.inference.preprocess import unit_length
from streamdeid.inference.session import ProviderChoice, provider_of, session_arguments

BROUGHT: Final = "insightface:"
"""What stands before the path of such a model in the settings."""

Floats: TypeAlias = NDArray[np.float64]

_OLDEST: Final = (2, 1)
_CHIP_SIZE: Final = 112
# insightface's names of what its models do.
_TASKS: Final = {"detector": "detection", "embedder": "recognition"}
# The zoo looks at pictures of at most 128 pixels, too: a flatter one would lose its shorter side.
_FLATTEST: Final = 128


class InsightFaceDetector:
    """A face detector of insightface: SCRFD, RetinaFace and what else has their outputs.

    A model of fixed input size sees the picture at that size; any other sees it at the sizes that
    insightface takes by default. May be called from several threads.

    Args:
        path: the ONNX file.
        provider: as of `Session`; one call computes in one thread.

    Attributes:
        record: what the report says of the model.

    Raises:
        SettingsError: insightface is not installed, `path` is no ONNX file, or no detector.
        ModelError: the file cannot be loaded.
        RuntimeMissingError: as of `Session`.
    """

    def __init__(self, path: Path, provider: ProviderChoice = "cpu") -> None:
        self._model, self.record = _load(path, "detector", provider)

    def detect(self, image: NDArray[np.uint8]) -> tuple[Floats, Floats, Floats | None]:
        """All faces in `image`, RGB, shape (height, width, 3), the surest first.

        Returns:
            Boxes: left, top, right, bottom in pixels of `image`, shape (n, 4). Scores, 0..1,
            shape (n,). Keypoints: x, y of eyes, nose tip and mouth corners, each left before right
            as seen, shape (n, 5, 2); None where the model has none.
        """
        height, width = image.shape[:2]
        if max(height, width) >= _FLATTEST * min(height, width):
            return np.zeros((0, 4)), np.zeros(0), None
        found, keypoints = self._model.detect(np.ascontiguousarray(image[:, :, ::-1]))
        found = found.astype(np.float64)
        points = None if keypoints is None else keypoints.astype(np.float64)
        return found[:, :4], found[:, 4], points


class InsightFaceEmbedder:
    """A face embedder of insightface: ArcFace and what else takes its 112 × 112 chips.

    May be called from several threads.

    Args:
        path: the ONNX file.
        provider: as of `Session`; one call computes in one thread.

    Attributes:
        spec: how the vectors are compared.
        record: what the report says of the model.

    Raises:
        SettingsError: insightface is not installed, `path` is no ONNX file, or no embedder.
        ModelError: the file cannot be loaded, or wants other chips.
        RuntimeMissingError: as of `Session`.
    """

    # 1 - cosine. The threshold is the one that deepface states for ArcFace; other weights may want
    # another. Vectors of strangers are all but orthogonal: 0.68 is a cosine of 0.32.
    _THRESHOLD = 0.68
    _IMPOSTOR_DISTANCE = (0.85, 1.1)

    def __init__(self, path: Path, provider: ProviderChoice = "cpu") -> None:
        self._model, self.record = _load(path, "embedder", provider)
        if tuple(self._model.input_size) != (_CHIP_SIZE, _CHIP_SIZE):
            width, height = self._model.input_size
            raise ModelError(
                f"{_option(path, 'embedder')} wants faces of {width} × {height} pixels, "
                f"but only ArcFace's of {_CHIP_SIZE} × {_CHIP_SIZE} can be cut: "
                "bring an embedder that takes these."
            )
        try:
            (dim,) = self.embed([np.zeros((3, _CHIP_SIZE, _CHIP_SIZE), np.float32)])[0].shape
        except Exception as error:
            # ONNX Runtime's exceptions share no base class of their own.
            raise ModelError(
                f"{_option(path, 'embedder')} does not turn a face into one vector: {error}"
            ) from error
        self.spec = EmbeddingSpec(
            dim=dim,
            chip_size=_CHIP_SIZE,
            alignment="arcface",
            distance="cosine",
            threshold=self._THRESHOLD,
            impostor_distance=self._IMPOSTOR_DISTANCE,
        )

    def embed(self, chips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """One vector of length 1 for each chip.

        Args:
            chips: n >= 1 of shape (3, 112, 112), planar RGB, 0..255.

        Returns:
            Shape (n, dim).
        """
        # One by one: many files are exported for one face at a time, and not all of these say so;
        # and one that is quantised may give another vector for a face among others.
        return unit_length(np.concatenate([self._model.forward(chip[None]) for chip in chips]))


def _load(
    path: Path, task: Literal["detector", "embedder"], provider: ProviderChoice
) -> tuple[Any, dict[str, str]]:
    """insightface's model of a file, and what the report says of it."""
    option = _option(path, task)
    content = _read(path, option)
    arguments = session_arguments(provider, threads=1)
    zoo = _model_zoo(option)
    try:
        with _silence():
            model = zoo.get_model(str(path), **arguments)
    except Exception as error:
        # ONNX Runtime's exceptions share no base class, and insightface asserts.
        raise ModelError(
            f"{option} cannot be loaded by insightface as an ONNX model: "
            f"{str(error) or 'its inputs and outputs are of no kind that insightface knows'}"
        ) from error
    does = getattr(model, "taskname", "nothing that insightface knows")
    if does != _TASKS[task]:
        raise SettingsError(
            f"{option} is no {task}: insightface says that it does {does}, not {_TASKS[task]}."
        )
    return model, {
        "name": f"{BROUGHT}{path.stem}",
        "task": task,
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": "brought by the user",
        "provider": provider_of(model.session, provider),
    }


def _read(path: Path, option: str) -> bytes:
    """The bytes of the file; anything else insightface would take for the name of a pack."""
    if path.is_dir():
        raise SettingsError(f"{option} is a folder: give the path of one .onnx file in it.")
    if not path.exists():
        pack = (
            ""
            if path.suffix == ".onnx"
            else " Packs of insightface cannot be given by name, as nothing is ever downloaded:"
            " give the path of an .onnx file that you have."
        )
        raise SettingsError(f"{option}: there is no such file.{pack}")
    if path.suffix != ".onnx":
        raise SettingsError(f"{option}: the name of a model file must end in .onnx.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{option} cannot be read ({error.strerror}).") from error


def _option(path: Path, task: str) -> str:
    return f"--{task} {BROUGHT}{path}"


def _model_zoo(option: str) -> Any:
    """The module `insightface.model_zoo`, imported when it is first needed."""
    try:
        with _silence():
            zoo = importlib.import_module("insightface.model_zoo")
    except ModuleNotFoundError as error:
        if error.name != "insightface":
            raise SettingsError(_broken(option, error)) from error
        raise SettingsError(
            f'{option} needs insightface: pip install "streamdeid[insightface]".'
        ) from error
    except (ImportError, AttributeError, OSError) as error:
        raise SettingsError(_broken(option, error)) from error
    # Earlier ones pass no session options on, and want to be told what size a detector looks at.
    version = importlib.metadata.version("insightface")
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise SettingsError(
            f"{option} needs insightface {oldest} or later, not {version}: "
            "pip install --upgrade insightface."
        )
    return zoo


def _broken(option: str, error: Exception) -> str:
    return (
        f"{option}: insightface is installed but cannot be imported ({error}): "
        "pip install --force-reinstall insightface opencv-python."
    )


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what insightface prints and warns of out of our output, which is a report."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
