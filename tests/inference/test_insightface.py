"""Models of insightface that a user brings: small ONNX files of the same interfaces, in its zoo.

insightface's own models may not be used commercially, so none is here. The detector made below
"detects" pure red squares; the embedder is one random convolution and one random matrix.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import shutil
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from streamdeid import Settings, evaluate
from streamdeid.engine.models import Models
from streamdeid.errors import ModelError, RuntimeMissingError, SettingsError
from streamdeid.inference.insightface import InsightFaceDetector, InsightFaceEmbedder
from streamdeid.sources.arrays import ArraySource
from streamdeid.stages.alignment import ArcFaceAlignment
from streamdeid.stages.detection import BroughtDetector
from tests.stages.record_references import carphone

Image = NDArray[np.uint8]
Planes = NDArray[np.float32]

RED, GRAY = (255, 0, 0), (110, 110, 110)

# Where the detector puts its points in a square: eyes (tilted), nose tip, mouth corners.
KEYPOINTS = ((0.3, 0.35), (0.7, 0.45), (0.5, 0.6), (0.35, 0.8), (0.65, 0.85))


@pytest.fixture
def zoo() -> None:
    """Skip where insightface is not installed."""
    pytest.importorskip("insightface", exc_type=ImportError)


@pytest.fixture
def scrfd(tmp_path: Path) -> Path:
    return save_scrfd(tmp_path / "scrfd.onnx")


@pytest.fixture
def arcface(tmp_path: Path) -> Path:
    return save_arcface(tmp_path / "arcface.onnx")


def save_scrfd(path: Path, size: int | None = None, keypoints: bool = True) -> Path:
    """An SCRFD of strides 8, 16 and 32 with 2 anchors: scores, boxes, keypoints of each.

    A cell of 32 × 32 pixels that is red all over is a face, and its box is the cell.
    """
    nodes: list[Any] = []
    constants: dict[str, NDArray[Any]] = {}
    outputs: list[tuple[str, int]] = []

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(name: str, values: Any, kind: type = np.float32) -> str:
        constants[name] = np.array(values, kind)
        return name

    for stride in (8, 16, 32):
        # The mean over the cell of half red less half blue: 1 where it is red, 0 where it is gray.
        weights = np.zeros((1, 3, stride, stride))
        weights[0, 0], weights[0, 2] = 0.5 / stride**2, -0.5 / stride**2
        weight = constant(f"weight{stride}", weights)
        red = node("Conv", ["image", weight], f"red{stride}", strides=[stride, stride])
        # Only the last stride is ever sure: sigmoid(50 (red - 0.9)).
        steep = constant(f"steep{stride}", 50 if stride == 32 else 0)
        level = constant(f"level{stride}", 0.9 if stride == 32 else 1)
        above = node("Sub", [red, level], f"above{stride}")
        logit = node("Mul", [above, steep], f"logit{stride}")
        if stride != 32:
            logit = node("Sub", [logit, constant(f"never{stride}", 20)], f"low{stride}")
        first = node("Sigmoid", [logit], f"first{stride}")
        none = node("Mul", [first, constant(f"zero{stride}", 0)], f"none{stride}")
        both = node("Concat", [first, none], f"both{stride}", axis=1)
        last = node("Transpose", [both], f"last{stride}", perm=[0, 2, 3, 1])
        rows = constant(f"rows{stride}", [-1, 1], np.int64)
        outputs.append((node("Reshape", [last, rows], f"score{stride}"), 1))
    shapes = {"box": [0.0, 0.0, 1.0, 1.0]}
    if keypoints:
        shapes["points"] = [value for point in KEYPOINTS for value in point]
    for name, values in shapes.items():
        for stride in (8, 16, 32):
            zero = node("Mul", [f"score{stride}", f"zero{stride}"], f"{name}_zero{stride}")
            shape = constant(f"{name}_shape{stride}", [values])
            outputs.append((node("Add", [zero, shape], f"{name}{stride}"), len(values)))
    sides = [size, size] if size else ["H", "W"]
    return save(
        path,
        nodes,
        constants,
        ("image", [1, 3, *sides]),
        [(name, ["cells", width]) for name, width in outputs],
    )


def save_arcface(path: Path, dim: int = 64, size: int = 112, batch: int | str = "N") -> Path:
    """One convolution and one matrix product, as random as the seed."""
    random = np.random.default_rng(dim)
    cells = size // 16
    constants = {
        "kernel": random.normal(0, 0.05, (4, 3, 16, 16)).astype(np.float32),
        "matrix": random.normal(0, 0.1, (4 * cells**2, dim)).astype(np.float32),
        "offset": random.normal(0, 1, dim).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["face", "kernel"], ["cells"], strides=[16, 16]),
        helper.make_node("Flatten", ["cells"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix", "offset"], ["embedding"]),
    ]
    face = ("face", [batch, 3, size, size])
    return save(path, nodes, constants, face, [("embedding", [batch, dim])])


def save(
    path: Path,
    nodes: list[Any],
    constants: dict[str, NDArray[Any]],
    given: tuple[str, list[Any]],
    results: list[tuple[str, list[Any]]],
) -> Path:
    def value(name: str, shape: list[Any]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        path.stem,
        [value(*given)],
        [value(*result) for result in results],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def picture(width: int, height: int, *squares: tuple[int, int, int]) -> Image:
    """A gray picture with red squares (left, top, side)."""
    image = np.full((height, width, 3), GRAY, np.uint8)
    for left, top, side in squares:
        image[top : top + side, left : left + side] = RED
    return image


def chips(count: int) -> list[Planes]:
    random = np.random.default_rng(3)
    return [random.uniform(0, 255, (3, 112, 112)).astype(np.float32) for _ in range(count)]


# --- detectors ---


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize(
    ("size", "scale"), [(640, 1), (1280, 2), (320, 0.5)], ids=["as it is", "larger", "smaller"]
)
def test_faces_are_found_where_they_are(scrfd: Path, size: int, scale: float) -> None:
    # Whole cells of the picture of 640 × 640 that the network gets.
    left, top, side = (int(value * scale) for value in (320, 96, 32))
    image = picture(size, size, (left, top, side))
    boxes, scores, keypoints = InsightFaceDetector(scrfd).detect(image)
    # Resizing blurs the edges of the square a little.
    np.testing.assert_allclose(boxes, [[left, top, left + side, top + side]])
    assert scores.shape == (1,)
    assert 0.5 < scores[0] < 1
    assert keypoints is not None
    np.testing.assert_allclose(
        keypoints, [np.add((left, top), np.multiply(KEYPOINTS, side))], rtol=1e-5
    )


@pytest.mark.usefixtures("zoo")
def test_several_faces_come_with_the_surest_first(scrfd: Path) -> None:
    image = picture(640, 640, (64, 64, 32), (320, 320, 32))
    image[64:96, 64:96, 2] = 10  # not quite red
    boxes, scores, _ = InsightFaceDetector(scrfd).detect(image)
    assert boxes[:, 0].tolist() == [320, 64]
    assert scores[0] > scores[1]


@pytest.mark.usefixtures("zoo")
def test_colours_are_not_swapped(scrfd: Path) -> None:
    image = picture(640, 640, (320, 320, 32))
    boxes, scores, _ = InsightFaceDetector(scrfd).detect(image[:, :, ::-1])
    assert (boxes.shape, scores.shape) == ((0, 4), (0,))


@pytest.mark.usefixtures("zoo")
def test_a_model_of_fixed_size_sees_the_picture_at_that_size(tmp_path: Path) -> None:
    detector = InsightFaceDetector(save_scrfd(tmp_path / "fixed.onnx", size=320))
    boxes, _, _ = detector.detect(picture(640, 360, (128, 192, 64)))
    np.testing.assert_allclose(boxes, [[128, 192, 192, 256]])


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 7), (1, 300), (300, 1), (2, 2000)])
def test_nothing_is_found_in_tiny_pictures(scrfd: Path, shape: tuple[int, int]) -> None:
    boxes, scores, _ = InsightFaceDetector(scrfd).detect(np.full((*shape, 3), 110, np.uint8))
    assert (boxes.shape, scores.shape) == ((0, 4), (0,))


@pytest.mark.usefixtures("zoo")
def test_the_region_is_around_the_box_and_turned_with_the_eyes(scrfd: Path) -> None:
    detector = BroughtDetector(InsightFaceDetector(scrfd))
    (found,) = detector.detect(picture(640, 640, (320, 96, 32)))
    assert (found.box.left, found.box.top, found.box.right, found.box.bottom) == (320, 96, 352, 128)
    assert found.region.center == (336, 112)
    assert found.region.side == pytest.approx(1.4 * 32)
    assert found.region.angle == pytest.approx(math.atan2(0.1, 0.4), abs=1e-4)
    assert found.refinements > 0


@pytest.mark.usefixtures("zoo")
def test_a_detector_without_keypoints_gives_an_upright_region(tmp_path: Path) -> None:
    model = InsightFaceDetector(save_scrfd(tmp_path / "plain.onnx", keypoints=False))
    image = picture(640, 640, (320, 96, 32))
    assert model.detect(image)[2] is None
    (found,) = BroughtDetector(model).detect(image)
    assert found.region.angle == 0


# --- embedders ---


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize("dim", [16, 128, 512])
def test_embeddings_are_what_the_network_gives_at_length_1(tmp_path: Path, dim: int) -> None:
    path = save_arcface(tmp_path / "arcface.onnx", dim)
    embedder = InsightFaceEmbedder(path)
    faces = chips(3)
    # ArcFace wants (x - 127.5) / 127.5.
    normalised = (np.stack(faces) - 127.5) / 127.5
    (expected,) = ReferenceEvaluator(str(path)).run(None, {"face": normalised.astype(np.float32)})
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    vectors = embedder.embed(faces)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert embedder.spec.dim == dim


@pytest.mark.usefixtures("zoo")
def test_a_model_for_one_face_at_a_time_takes_many(tmp_path: Path) -> None:
    one = InsightFaceEmbedder(save_arcface(tmp_path / "one.onnx", batch=1))
    many = InsightFaceEmbedder(save_arcface(tmp_path / "many.onnx"))
    np.testing.assert_allclose(one.embed(chips(4)), many.embed(chips(4)), atol=1e-6)


@pytest.mark.usefixtures("zoo")
def test_an_embedder_says_how_its_vectors_compare(arcface: Path) -> None:
    spec = InsightFaceEmbedder(arcface).spec
    assert (spec.distance, spec.alignment, spec.chip_size) == ("cosine", "arcface", 112)
    low, high = spec.impostor_distance
    assert 0 < spec.threshold < low < 1 < high < 2


@pytest.mark.usefixtures("zoo")
@pytest.mark.filterwarnings("ignore:`estimate` is deprecated:FutureWarning")  # by scikit-image
def test_chips_are_cut_as_insightface_cuts_them() -> None:
    face_align = importlib.import_module("insightface.utils.face_align")
    image = carphone()[0].repeat(3, axis=0).repeat(3, axis=1)
    points = np.array([(225, 190), (310, 175), (272, 230), (240, 265), (300, 255)], np.float64)
    ours = ArcFaceAlignment().chip(image, points)
    theirs = face_align.norm_crop(image, points.astype(np.float32), 112).transpose(2, 0, 1)
    # Theirs are whole numbers, and before OpenCV 5 their coordinates are rounded to 1/32 pixel.
    assert np.abs(ours - theirs).mean() < 0.5


# --- both, and the settings that name them ---


@pytest.mark.usefixtures("zoo")
def test_the_report_says_which_files_were_brought(scrfd: Path, arcface: Path) -> None:
    settings = Settings(
        detector=f"insightface:{scrfd}", embedder=f"insightface:{arcface}", provider="cpu"
    )
    models = Models(settings)
    assert models.records() == ()
    detector, thorough = models.detectors()
    models.detectors()  # as references do: it is loaded once
    assert isinstance(detector, BroughtDetector)
    assert thorough is None
    assert isinstance(models.alignment(models.embedder()), ArcFaceAlignment)
    expected = [
        {
            "name": f"insightface:{path.stem}",
            "task": task,
            "file": path.name,
            "sha256": sha256(path.read_bytes()).hexdigest(),
            "licence": "brought by the user",
            "provider": "cpu",
        }
        for path, task in ((scrfd, "detector"), (arcface, "embedder"))
    ]
    assert list(models.records()) == expected


@pytest.mark.usefixtures("zoo")
def test_an_evaluation_runs_with_an_embedder_that_was_brought(arcface: Path) -> None:
    images = carphone()[:4]
    report = evaluate(
        ArraySource(images, frame_rate=25),
        ArraySource(images[:2] + images[:2], frame_rate=25),
        Settings(embedder=f"insightface:{arcface}", provider="cpu"),
    )
    assert report.coverage["face_in_both"] == 4
    between = report["identity.distance_between_sides"].value
    assert between is not None
    assert 0 < between < 0.2
    assert "insightface:arcface" in [model["name"] for model in report.models]


@pytest.mark.usefixtures("zoo")
def test_loading_and_running_print_nothing(
    scrfd: Path, arcface: Path, run_python: Callable[[str], Any]
) -> None:
    done = run_python(
        "import numpy as np; from pathlib import Path\n"
        "from streamdeid.inference.insightface import InsightFaceDetector, InsightFaceEmbedder\n"
        f"InsightFaceDetector(Path({str(scrfd)!r})).detect(np.zeros((64, 64, 3), np.uint8))\n"
        f"InsightFaceEmbedder(Path({str(arcface)!r}))\n"
    )
    assert done.stdout == ""


@pytest.mark.usefixtures("zoo")
def test_a_call_computes_in_the_thread_that_makes_it(scrfd: Path, arcface: Path) -> None:
    for model in (InsightFaceDetector(scrfd), InsightFaceEmbedder(arcface)):
        options = model._model.session.get_session_options()
        assert options.intra_op_num_threads == 1
        assert options.inter_op_num_threads == 1


# --- what cannot be loaded ---


@pytest.mark.usefixtures("zoo")
def test_an_embedder_is_no_detector_and_the_reverse(scrfd: Path, arcface: Path) -> None:
    with pytest.raises(SettingsError, match=r"is no detector: .* does recognition"):
        InsightFaceDetector(arcface)
    with pytest.raises(SettingsError, match=r"is no embedder: .* does detection"):
        InsightFaceEmbedder(scrfd)


@pytest.mark.usefixtures("zoo")
def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"this is no model", bytes(1000)):
        path = tmp_path / "broken.onnx"
        path.write_bytes(content)
        for kind in (InsightFaceDetector, InsightFaceEmbedder):
            with pytest.raises(ModelError, match=r"broken\.onnx cannot be loaded by insightface"):
                kind(path)


@pytest.mark.usefixtures("zoo")
def test_a_model_that_insightface_does_not_know_is_refused() -> None:
    shipped = Models(Settings())._manifest.folder
    for name in ("landmarks", "centerface", "dlib_resnet"):
        for kind in (InsightFaceDetector, InsightFaceEmbedder):
            with pytest.raises((ModelError, SettingsError), match=f"{name}.onnx"):
                kind(shipped / f"{name}.onnx")


@pytest.mark.usefixtures("zoo")
def test_an_embedder_for_other_chips_is_refused(tmp_path: Path) -> None:
    path = save_arcface(tmp_path / "large.onnx", size=128)
    with pytest.raises(ModelError, match="faces of 128 × 128 pixels"):
        InsightFaceEmbedder(path)


@pytest.mark.parametrize("kind", [InsightFaceDetector, InsightFaceEmbedder])
def test_a_pack_is_never_downloaded(kind: type[Any]) -> None:
    with pytest.raises(
        SettingsError, match=r"insightface:buffalo_l: .* nothing is ever downloaded"
    ):
        kind(Path("buffalo_l"))


def test_a_file_that_is_not_there_a_folder_or_of_another_kind_is_refused(
    tmp_path: Path, arcface: Path
) -> None:
    with pytest.raises(SettingsError, match=r"none\.onnx: there is no such file\.$"):
        InsightFaceEmbedder(tmp_path / "none.onnx")
    with pytest.raises(SettingsError, match=r"is a folder: give the path of one \.onnx file"):
        InsightFaceDetector(tmp_path)
    with pytest.raises(SettingsError, match=r"must end in \.onnx"):
        InsightFaceEmbedder(Path(shutil.copy(arcface, tmp_path / "arcface.bin")))


@pytest.fixture
def not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let insightface be imported anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "insightface"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("not_imported")
def test_without_insightface_the_sentence_says_how_to_install_it(
    scrfd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lacks:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "insightface":
                raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(sys, "meta_path", [Lacks(), *sys.meta_path])
    with pytest.raises(SettingsError, match=r'pip install "streamdeid\[insightface\]"'):
        InsightFaceDetector(scrfd)


@pytest.mark.usefixtures("not_imported")
@pytest.mark.parametrize("cause", ["ImportError('no libGL.so.1')", "ModuleNotFoundError(name='x')"])
def test_a_broken_insightface_is_told_from_a_missing_one(
    cause: str, scrfd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "insightface"
    package.mkdir()
    (package / "__init__.py").write_text(f"raise {cause}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match="is installed but cannot be imported"):
        InsightFaceDetector(scrfd)


@pytest.mark.usefixtures("zoo")
def test_an_insightface_that_is_too_old_is_refused(
    scrfd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.7.3")  # noqa: ARG005
    monkeypatch.setattr("streamdeid.inference.insightface.session_arguments", lambda *_, **__: {})
    with pytest.raises(SettingsError, match=r"needs insightface 2\.1 or later, not 0\.7\.3"):
        InsightFaceDetector(scrfd)


def test_a_provider_that_is_not_there_is_refused(scrfd: Path) -> None:
    with pytest.raises(RuntimeMissingError, match="no tensorrt provider"):
        InsightFaceDetector(scrfd, "tensorrt")
