"""Sessions: shared between threads, honest about their provider, and clear about wrong inputs."""

from __future__ import annotations

import dataclasses
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from streamdeid.errors import ModelError, RuntimeMissingError
from streamdeid.inference.manifest import Manifest, OutputSpec
from streamdeid.inference.runtime import share_one_arena
from streamdeid.inference.session import Session, States, provider_of
from tests.inference import pictures


def test_a_session_may_be_run_from_several_threads(manifest: Manifest) -> None:
    session = Session(manifest.spec("blazeface"))
    batches = [pictures.planar([image]) for image in pictures.detector_pictures()] * 8
    alone = [session.run(image=batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda batch: session.run(image=batch), batches))
    for expected, found in zip(alone, together, strict=True):
        for left, right in zip(expected, found, strict=True):
            np.testing.assert_array_equal(left, right)


def test_a_session_says_what_it_runs_on(manifest: Manifest) -> None:
    assert Session(manifest.spec("blazeface"), "cpu").provider == "cpu"
    assert Session(manifest.spec("blazeface"), "auto").provider in ("cpu", "cuda")


def test_a_provider_that_is_not_there_is_refused(manifest: Manifest) -> None:
    import onnxruntime

    if "TensorrtExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has TensorRT")
    with pytest.raises(RuntimeMissingError, match=r"no tensorrt provider.*choose"):
        Session(manifest.spec("blazeface"), "tensorrt")


class CpuSession:
    """What ONNX Runtime gives when CUDA was asked for and its libraries do not load."""

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]


def test_a_provider_that_was_dropped_is_not_claimed() -> None:
    assert provider_of(CpuSession(), "auto") == "cpu"
    with pytest.raises(RuntimeMissingError, match="the cuda provider did not start"):
        provider_of(CpuSession(), "cuda")


def test_an_unknown_provider_is_a_mistake_of_the_caller(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match="abacus"):
        Session(manifest.spec("blazeface"), "abacus")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((1, 128, 128, 3), np.float32),
        np.zeros((1, 3, 128, 128), np.uint8),
        np.zeros((3, 128, 128), np.float32),
    ],
    ids=["rows first", "bytes", "no batch"],
)
def test_a_wrong_input_is_answered_with_the_right_one(
    manifest: Manifest, image: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> None:
    with pytest.raises(ValueError, match=r"blazeface wants .*float32.*\(1, 3, 128, 128\)"):
        Session(manifest.spec("blazeface")).run(image=image)


def test_an_input_of_another_name_is_answered_with_the_right_one(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match="blazeface wants"):
        Session(manifest.spec("blazeface")).run(picture=np.zeros((1, 3, 128, 128), np.float32))


def test_a_file_that_is_no_model_is_refused(manifest: Manifest) -> None:
    text = manifest.spec("blazeface").licence_file
    content = text.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    blazeface = manifest.spec("blazeface")
    spec = dataclasses.replace(blazeface, path=text, sha256=digest, size=len(content))
    with pytest.raises(ModelError, match=r"blazeface: ONNX Runtime .* cannot load"):
        Session(spec)


def test_weights_in_another_file_are_refused(manifest: Manifest, tmp_path: Path) -> None:
    """Their hash is in no manifest."""
    blazeface = manifest.spec("blazeface")
    path = tmp_path / "blazeface.onnx"
    model = onnx.load(blazeface.path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    spec = dataclasses.replace(blazeface, path=path, sha256=digest, size=len(content))
    with pytest.raises(ModelError, match=r"blazeface: ONNX Runtime .* cannot load"):
        Session(spec)


def test_no_session_holds_the_bytes_of_its_file(manifest: Manifest) -> None:
    session = Session(manifest.spec("landmarks"))
    held = [value for value in vars(session._session).values() if isinstance(value, bytes)]
    assert sum(map(len, held)) < 1000


def test_an_arena_that_is_there_already_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ONNX Runtime before 1.23 says it, where the program around us has registered one."""
    import onnxruntime

    def refuse(*_: object) -> None:
        raise RuntimeError("An allocator for this device has already been registered for sharing.")

    monkeypatch.setattr(onnxruntime, "create_and_register_allocator", refuse)
    share_one_arena.__wrapped__()


def test_a_manifest_that_names_other_outputs_than_the_graph_is_refused(manifest: Manifest) -> None:
    spec = manifest.spec("blazeface")
    wrong = dataclasses.replace(spec, outputs=(OutputSpec("cubes", (1,), "none"),))
    with pytest.raises(ModelError, match=r"the manifest says.*cubes"):
        Session(wrong)


def test_a_manifest_that_names_other_inputs_than_the_graph_is_refused(manifest: Manifest) -> None:
    spec = manifest.spec("dlib_landmarks5")
    wrong = dataclasses.replace(spec, inputs=spec.inputs[:1])
    with pytest.raises(ModelError, match="has the inputs"):
        Session(wrong)


def test_graphs_have_the_shapes_that_the_manifest_states(manifest: Manifest) -> None:
    import onnxruntime

    for name in manifest.names():
        spec = manifest.spec(name)
        graph = onnxruntime.InferenceSession(spec.read(), providers=["CPUExecutionProvider"])
        # What a continual model keeps between calls is described by its file alone.
        inputs = {v.name: v for v in graph.get_inputs() if not v.name.startswith("state_")}
        assert set(inputs) == {entry.name for entry in spec.inputs}
        for entry in spec.inputs:
            assert tuple(inputs[entry.name].shape) == entry.shape
            kind = {"float32": "float", "uint8": "uint8", "int64": "int64"}[entry.dtype]
            assert inputs[entry.name].type == f"tensor({kind})"
        outputs = {v.name: v for v in graph.get_outputs() if not v.name.startswith("next_")}
        assert set(outputs) == {entry.name for entry in spec.outputs}
        for output in spec.outputs:
            shape = outputs[output.name].shape
            fixed = [size for size in output.shape if isinstance(size, int)]
            assert len(shape) == len(output.shape)
            assert [size for size in shape if isinstance(size, int)] == fixed


def test_a_continual_model_begins_with_states_of_no_frames(manifest: Manifest) -> None:
    session = Session(manifest.default("motion"))
    states = session.new_states()
    assert len(states) > 1
    assert all(len(state) == 0 for state in states.values())
    later = _after_16_black_frames(session)
    assert {name: state.shape[1:] for name, state in later.items()} == {
        name: state.shape[1:] for name, state in states.items()
    }
    assert sum(state.size for state in later.values()) > 1e6


def test_a_model_without_memory_has_no_states(manifest: Manifest) -> None:
    assert Session(manifest.spec("blazeface")).new_states() == {}


def _after_16_black_frames(session: Session) -> States:
    flags = {"first": np.array([1]), "last": np.array([0])}
    frames = np.full((16, 3, 224, 224), -1, np.float32)
    (features, logits), states = session.step(session.new_states(), frames=frames, **flags)
    assert features.shape[1:] == (1024,)
    assert logits.shape[1:] == (400,)
    return states
