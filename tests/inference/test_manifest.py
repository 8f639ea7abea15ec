"""The manifest and its files agree, and what does not is refused with a sentence."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from streamdeid.errors import ModelError
from streamdeid.inference.manifest import MANIFEST, TASKS, Manifest

CHECKOUT = Path(__file__).parents[2]
LARGEST_TOTAL = 110_000_000

ENTRY = """
[defaults]
detector = "tiny"

[[model]]
name = "tiny"
task = "detector"
kind = "blazeface"
file = "tiny.onnx"
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
size = 4
licence = "MIT"
licence_file = "licence.txt"

[model.origin]
package = "somewhere"
version = "1.0"
file = "tiny.bin"
sha256 = "0"

[[model.inputs]]
name = "image"
shape = [1, 3, "H", "W"]
dtype = "float32"
layout = "NCHW"
colour = "RGB"

[[model.outputs]]
name = "boxes"
shape = [1, 4]
meaning = "a box"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A manifest with one model, whose file holds the word "test"."""
    (tmp_path / MANIFEST).write_text(ENTRY, encoding="utf-8")
    (tmp_path / "tiny.onnx").write_bytes(b"test")
    return tmp_path


def test_every_shipped_file_is_the_one_in_the_manifest(manifest: Manifest) -> None:
    assert len(manifest.names()) >= 5
    for name in manifest.names():
        spec = manifest.spec(name)
        spec.verify()
        assert spec.path.stat().st_size == spec.size
        assert spec.path.name == f"{name}.onnx"


def test_every_shipped_file_is_in_the_manifest(manifest: Manifest) -> None:
    files = {path.name for path in manifest.folder.glob("*.onnx")}
    assert files == {manifest.spec(name).path.name for name in manifest.names()}


def test_every_model_has_the_text_of_its_licence(manifest: Manifest) -> None:
    for name in manifest.names():
        text = manifest.spec(name).licence_file.read_text(encoding="utf-8")
        assert len(text) > 1000
    used = {manifest.spec(name).licence_file.name for name in manifest.names()}
    assert used == {path.name for path in (manifest.folder / "licenses").iterdir()}


def test_every_origin_is_pinned_to_a_hash(manifest: Manifest) -> None:
    for name in manifest.names():
        spec = manifest.spec(name)
        assert spec.origin.package
        assert spec.origin.version
        assert len(spec.origin.sha256) == 64
        assert (CHECKOUT / spec.exporter).is_file()


def test_all_models_together_stay_small(manifest: Manifest) -> None:
    assert sum(manifest.spec(name).size for name in manifest.names()) < LARGEST_TOTAL


def test_every_task_has_a_default_that_does_it(manifest: Manifest) -> None:
    for task in TASKS:
        assert manifest.default(task).task == task
        assert manifest.default(task).name in manifest.names(task)


def test_embedders_say_how_their_vectors_are_compared(manifest: Manifest) -> None:
    for name in manifest.names("embedder"):
        embedding = manifest.spec(name).embedding
        assert embedding is not None
        assert manifest.spec(name).outputs[0].shape == ("N", embedding.dim)
        assert manifest.spec(name).input.shape[2:] == (embedding.chip_size, embedding.chip_size)
        assert embedding.threshold < embedding.impostor_distance[0]


def test_a_manifest_of_ones_own_is_read(folder: Path) -> None:
    manifest = Manifest.load(folder)
    spec = manifest.default("detector")
    spec.verify()
    assert spec.input.shape == (1, 3, "H", "W")
    assert spec.embedding is None
    assert manifest.names("embedder") == ()


def test_a_flipped_bit_is_refused(folder: Path) -> None:
    (folder / "tiny.onnx").write_bytes(b"tesu")
    with pytest.raises(ModelError) as caught:
        Manifest.load(folder).spec("tiny").verify()
    sentence = str(caught.value)
    assert str(folder / "tiny.onnx") in sentence
    assert "9f86d081" in sentence, "the hash that was expected"
    assert "sha256 " in sentence
    assert "Install streamdeid again" in sentence


def test_a_flipped_bit_in_a_real_model_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    shutil.copy(manifest.folder / MANIFEST, tmp_path)
    content = bytearray(manifest.spec("blazeface").path.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "blazeface.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"blazeface.*has sha256"):
        Manifest.load(tmp_path).spec("blazeface").verify()


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "tiny.onnx").unlink()
    with pytest.raises(ModelError, match=r"tiny\.onnx cannot be read \(No such file"):
        Manifest.load(folder).spec("tiny").verify()


def test_an_unknown_name_is_answered_with_the_known_ones(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"no model 'huge'.*there are tiny"):
        Manifest.load(folder).spec("huge")


def test_a_task_without_default_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="no default for the task 'embedder'"):
        Manifest.load(folder).default("embedder")


def test_a_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model manifest at"):
        Manifest.load(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "this is no TOML",
        "[defaults]",
        ENTRY.replace('task = "detector"', 'task = "juggling"'),
        ENTRY.replace("size = 4", 'weight = "heavy"'),
        ENTRY.replace('file = "tiny.onnx"', ""),
        ENTRY.replace('package = "somewhere"', ""),
        ENTRY.replace("size = 4", 'size = "abc"'),
        ENTRY.replace('name = "tiny"', "name = 7"),
        ENTRY.replace("shape = [1, 4]", "shape = 7"),
        "model = []\n[defaults]",
    ],
    ids=[
        *("no TOML", "no models", "unknown task", "unknown key", "no file", "no package"),
        *("size is text", "name is a number", "shape is a number", "an empty list"),
    ],
)
def test_a_manifest_with_a_mistake_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"manifest\.toml"):
        Manifest.load(folder)


def test_a_file_of_another_size_is_refused_unread(folder: Path) -> None:
    (folder / "tiny.onnx").write_bytes(b"tests")
    with pytest.raises(ModelError, match="has 5 bytes, but the manifest says 4"):
        Manifest.load(folder).spec("tiny").read()


def test_a_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    for name, read in (
        ("tiny.onnx", lambda: Manifest.load(folder).spec("tiny").read()),
        (MANIFEST, lambda: Manifest.load(folder)),
    ):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(ModelError, match="is not a file"):
            read()


def test_a_manifest_nested_without_end_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_text("a = " + "[" * 100_000, encoding="utf-8")
    with pytest.raises(ModelError, match="nested too deeply"):
        Manifest.load(folder)
