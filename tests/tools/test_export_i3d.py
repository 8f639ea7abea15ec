"""I3D's weights are read from every kind of file, and bad files are refused in one sentence.

The originals are large, and none of them can be shipped: these files are written here, with the
names and layouts of the originals, and random weights in the place of theirs.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import export_i3d
import numpy as np
import onnx
import pytest
from i3d_formats import keras_name, tensorflow_name, torch_name
from i3d_layers import LOGITS, STEM, kernel_shapes
from i3d_weights import Layer, Layers, WeightsError, read_weights

from streamdeid.inference.manifest import Manifest

Write = Callable[[Path, Layers], Path]


@pytest.fixture(scope="module")
def layers() -> Layers:
    """Random weights that float32 holds exactly, as files have them."""
    random = np.random.default_rng(0)

    def draw(*shape: int) -> Any:
        return random.standard_normal(shape, np.float32).astype(np.float64)

    drawn = {}
    for name, shape in kernel_shapes().items():
        kernel, width = draw(*shape), shape[-1]
        if name == LOGITS:
            drawn[name] = Layer(kernel, draw(width))
        else:
            bias, variance = np.zeros(width), np.abs(draw(width))
            drawn[name] = Layer(kernel, bias, draw(width), variance, None, draw(width))
    return drawn


def write_pickle(folder: Path, layers: Layers) -> Path:
    """As flax's variables: modules nest at each slash of Mixed_3b, but not within Branch_0/…"""
    params: dict[str, Any] = {}
    statistics: dict[str, Any] = {}
    for name, layer in layers.items():
        outer, _, inner = name.partition("/")
        *place, last = [name] if name == LOGITS else [outer, inner] if inner else [outer]
        beside, running = params, statistics
        for step in place:
            beside, running = beside.setdefault(step, {}), running.setdefault(step, {})
        beside[last] = {"Conv_0": {"kernel": layer.kernel.astype(np.float32)}}
        if layer.mean is None or layer.variance is None:
            beside[last]["Conv_0"]["bias"] = layer.bias
        else:
            broad = (1, 1, 1, 1, -1)
            beside[last]["BatchNorm_0"] = {"bias": layer.shift}
            running[last] = {
                "BatchNorm_0": {
                    "mean": layer.mean.reshape(broad),
                    "var": layer.variance.reshape(broad),
                }
            }
    path = folder / "i3d-kinetics-400.ckpt"
    path.write_bytes(pickle.dumps({"params": params, "batch_stats": statistics}, protocol=4))
    return path


def write_keras(folder: Path, layers: Layers, *, whole_model: bool = False) -> Path:
    """As `Model.save_weights` of Keras 2, or `Model.save`."""
    h5py = pytest.importorskip("h5py")
    path = folder / "rgb_inception_i3d_imagenet_and_kinetics_tf_dim_ordering_tf_kernels.h5"
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole_model else file
        names = []
        for name, layer in layers.items():
            parts = {"conv": {"kernel": layer.kernel}}
            if layer.mean is None:
                parts["conv"]["bias"] = layer.bias
            else:
                values = (layer.shift, layer.mean, layer.variance)
                words = ("beta", "moving_mean", "moving_variance")
                parts["bn"] = dict(zip(words, values, strict=True))
            for kind, weights in parts.items():
                group = root.create_group(f"{keras_name(name)}_{kind}")
                names.append(group.name.rpartition("/")[2])
                keys = [f"{names[-1]}/{word}:0" for word in weights]
                group.attrs["weight_names"] = [key.encode() for key in keys]
                for key, values in zip(keys, weights.values(), strict=True):
                    group.create_dataset(key, data=np.asarray(values, np.float32))
        root.create_group("global_avg_pool").attrs["weight_names"] = []
        root.attrs["layer_names"] = [name.encode() for name in names]
        root.attrs["backend"] = b"tensorflow"
    return path


def write_whole_keras_model(folder: Path, layers: Layers) -> Path:
    return write_keras(folder, layers, whole_model=True)


def write_tensorflow(folder: Path, layers: Layers) -> Path:
    """As TensorFlow 1's Saver does, with the names of Sonnet's modules."""
    tf = pytest.importorskip("tensorflow")
    values = {}
    for name, layer in layers.items():
        at, broad = tensorflow_name(name), (1, 1, 1, 1, -1)
        values[f"{at}/conv_3d/w"] = layer.kernel
        if layer.mean is None or layer.variance is None or layer.shift is None:
            values[f"{at}/conv_3d/b"] = layer.bias
        else:
            values[f"{at}/batch_norm/beta"] = layer.shift.reshape(broad)
            values[f"{at}/batch_norm/moving_mean"] = layer.mean.reshape(broad)
            values[f"{at}/batch_norm/moving_variance"] = layer.variance.reshape(broad)
    tf.raw_ops.SaveV2(
        prefix=str(folder / "model.ckpt"),
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=[tf.constant(np.asarray(value, np.float32)) for value in values.values()],
    )
    return folder / "model.ckpt"


def write_torch(folder: Path, layers: Layers, *, zipped: bool = True) -> Path:
    """As `torch.save(model.state_dict(), ...)`; batch normalisation has a scale of 1 there."""
    torch = pytest.importorskip("torch")
    state = {}
    for name, layer in layers.items():
        at = torch_name(name)
        state[f"{at}.conv3d.weight"] = layer.kernel.transpose(4, 3, 0, 1, 2)
        if layer.mean is None:
            state[f"{at}.conv3d.bias"] = layer.bias
        else:
            state[f"{at}.bn.weight"] = np.ones(layer.bias.size)
            state[f"{at}.bn.bias"] = layer.shift
            state[f"{at}.bn.running_mean"] = layer.mean
            state[f"{at}.bn.running_var"] = layer.variance
    path = folder / "rgb_imagenet.pt"
    tensors = {
        key: torch.from_numpy(np.ascontiguousarray(values, np.float32))
        for key, values in state.items()
    }
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    return path


def write_old_torch(folder: Path, layers: Layers) -> Path:
    """pytorch-i3d's own file is older than the zip format."""
    return write_torch(folder, layers, zipped=False)


WRITERS = (
    write_pickle,
    write_keras,
    write_whole_keras_model,
    write_tensorflow,
    write_torch,
    write_old_torch,
)

# What torch and tensorflow say as they are imported or save is theirs to mend.
pytestmark = pytest.mark.filterwarnings("ignore:::torch", "ignore:::tensorflow")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Gone after the test: pytest keeps its own for three runs, and these files are 50 MB each."""
    with TemporaryDirectory(prefix="streamdeid-weights-") as name:
        yield Path(name)


@pytest.fixture(params=WRITERS, ids=lambda write: write.__name__)
def write(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_every_kind_of_file_gives_the_same_convolutions(
    write: Write, layers: Layers, folder: Path
) -> None:
    found = read_weights(write(folder, layers))
    assert list(found) == list(layers)
    for name, layer in layers.items():
        for expected, values in zip(layer.folded(), found[name].folded(), strict=True):
            assert values.dtype == np.float32
            np.testing.assert_array_equal(values, expected)


def test_a_file_that_is_cut_off_is_refused(write: Write, layers: Layers, folder: Path) -> None:
    path = write(folder, layers)
    data = folder / "model.ckpt.data-00000-of-00001"
    whole = data if data.exists() else path
    content = whole.read_bytes()
    for share in (0.9, 0.5, 0.001):
        whole.write_bytes(content[: int(len(content) * share)])
        assert_refused(path)


def test_a_kernel_of_another_shape_is_refused(write: Write, layers: Layers, folder: Path) -> None:
    name = "Mixed_4c/Branch_1/Conv3d_0b_3x3"
    wrong = replace(layers[name], kernel=layers[name].kernel[:1])
    sentence = assert_refused(write(folder, {**layers, name: wrong}))
    assert f"(1, 3, 3, 112, 224) at {name}" in sentence
    assert "(3, 3, 3, 112, 224)" in sentence


def test_a_file_without_some_layer_is_refused(write: Write, layers: Layers, folder: Path) -> None:
    some = {name: layer for name, layer in layers.items() if not name.startswith("Mixed_5")}
    sentence = assert_refused(write(folder, some))
    assert "lacks 12 of I3D's 58 convolutions" in sentence
    assert "Mixed_5b/Branch_0/Conv3d_0a_1x1 is the first" in sentence


def test_a_file_without_top_gives_features_and_no_logits(layers: Layers, folder: Path) -> None:
    some = {name: layer for name, layer in layers.items() if name != LOGITS}
    found = read_weights(write_pickle(folder, some))
    kernel, bias = found[LOGITS].folded()
    assert np.isnan(kernel).all()
    assert np.isnan(bias).all()
    np.testing.assert_array_equal(found[STEM].kernel, layers[STEM].kernel)


def test_weights_that_are_no_numbers_are_refused(layers: Layers, folder: Path) -> None:
    mean = layers[STEM].bias.copy()
    mean[5] = np.inf
    wrong = replace(layers[STEM], mean=mean)
    sentence = assert_refused(write_pickle(folder, {**layers, STEM: wrong}))
    assert f"at {STEM} that are no finite numbers" in sentence


class Harmful:
    """A pickle of this would make a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


def test_a_pickle_that_names_anything_but_arrays_is_not_run(folder: Path) -> None:
    mark, path = folder / "mark", folder / "weights.ckpt"
    path.write_bytes(pickle.dumps({"params": Harmful(mark)}))
    assert "which weights do not need" in assert_refused(path)
    assert not mark.exists()


def test_a_torch_file_of_a_whole_model_is_not_run(folder: Path) -> None:
    torch = pytest.importorskip("torch")
    mark, path = folder / "mark", folder / "model.pt"
    torch.save({"model": Harmful(mark)}, path)
    assert_refused(path)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x04", b"<html>not found</html>", b"\x89HDF"])
def test_anything_else_is_refused(content: bytes, folder: Path) -> None:
    path = folder / "weights.h5"
    path.write_bytes(content)
    assert_refused(path)


def test_a_missing_file_is_refused(folder: Path) -> None:
    assert "No such file" in assert_refused(folder / "weights.h5")


def assert_refused(path: Path) -> str:
    """Reading fails with one sentence that names the file; gives it."""
    with pytest.raises(WeightsError) as caught:
        read_weights(path)
    sentence = str(caught.value)
    assert str(path.parent) in sentence
    assert "\n" not in sentence
    assert len(sentence) < 500
    return sentence


def test_folding_is_batch_normalisation() -> None:
    random = np.random.default_rng(1)
    kernel, x = random.standard_normal((1, 1, 1, 4, 6)), random.standard_normal((9, 4))
    bias, mean, scale, shift = random.standard_normal((4, 6))
    variance = random.uniform(0.1, 2, 6)
    folded, offset = Layer(kernel, bias, mean, variance, scale, shift).folded()
    expected = (x @ kernel[0, 0, 0] + bias - mean) / np.sqrt(variance + 1e-3) * scale + shift
    np.testing.assert_allclose(x @ folded[:, :, 0, 0, 0].T + offset, expected, rtol=1e-5)


def test_the_exporter_writes_the_graph_that_is_shipped(layers: Layers) -> None:
    content = export_i3d.build_from(layers)
    again = export_i3d.build_from(layers)
    assert sha256(content).digest() == sha256(again).digest()
    graphs = [onnx.load_from_string(c).graph for c in (content, shipped())]
    for part in ("node", "input", "output"):
        written, committed = ([str(value) for value in getattr(g, part)] for g in graphs)
        assert written == committed
    shapes = [[(value.name, tuple(value.dims)) for value in g.initializer] for g in graphs]
    assert shapes[0] == shapes[1]


def shipped() -> bytes:
    return Manifest.load().spec("i3d").read()


def test_weights_of_ones_own_become_a_model(
    layers: Layers, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = write_pickle(folder, layers), folder / "mine.onnx"
    monkeypatch.setattr(sys, "argv", ["export", "--weights", str(source), "-o", str(target)])
    export_i3d.main()
    expected = export_i3d.build_from(layers)
    assert sha256(target.read_bytes()).digest() == sha256(expected).digest()


def test_the_command_line_says_in_one_sentence_what_is_wrong(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = str(folder / "absent.pt")
    monkeypatch.setattr(sys, "argv", ["export", "--weights", absent, "-o", "mine.onnx"])
    with pytest.raises(SystemExit, match="cannot be read"):
        export_i3d.main()
    monkeypatch.setattr(sys, "argv", ["export", "--weights", absent])
    with pytest.raises(SystemExit, match="-o"):
        export_i3d.main()
