"""Session: one loaded model, and the provider that it really runs on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from streamdeid.errors import ModelError, RuntimeMissingError
from streamdeid.inference.manifest import ModelSpec
from streamdeid.inference.runtime import load_runtime, share_one_arena
from streamdeid.memory import give_back

Provider: TypeAlias = Literal["cpu", "cuda", "tensorrt"]
ProviderChoice: TypeAlias = Literal["auto", "cpu", "cuda", "tensorrt"]

_ONNX_NAMES: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_CUDA_OPTIONS = {
    # The exhaustive search of the default takes seconds at each new input size.
    "cudnn_conv_algo_search": "HEURISTIC",
    # Growing by powers of two holds up to twice of what is needed.
    "arena_extend_strategy": "kSameAsRequested",
}
_ONLY_ERRORS = 3
# How a continual model names what it keeps between calls, as an input and as an output.
_STATE = "state_"
_NEXT = "next_"

States: TypeAlias = dict[str, NDArray[np.float32]]
"""What a continual model keeps between two calls, by name; time is the first dimension."""

Turn: TypeAlias = Callable[[], AbstractContextManager[Any]]
"""Gives what each call of a model enters while it computes."""


class Session:
    """One model, loaded once and shared: `run` may be called from several threads at the same time.

    On a CPU each call computes in the thread that makes it: two sides in two threads fill two cores
    without a pool of threads that would wait for each other.

    Attributes:
        spec: the model's entry in the manifest.
        provider: what the model really runs on.
    """

    def __init__(
        self,
        spec: ModelSpec,
        provider: ProviderChoice = "cpu",
        threads: int = 1,
        turn: Turn = nullcontext,
    ) -> None:
        """Check the model file's hash and load it.

        Args:
            spec: from the manifest.
            provider: "auto" takes CUDA where it starts, else the CPU.
            threads: that one call may compute in, at least 1.
            turn: so that others may have to wait: the runtime keeps the memory of as many calls as
                there ever were at the same time.

        Raises:
            ModelError: the file is missing, changed, or not readable as this model.
            RuntimeMissingError: ONNX Runtime is missing or installed twice, or the provider that
                was asked for by name does not start.
        """
        if provider not in get_args(ProviderChoice):
            raise ValueError(f"provider {provider!r} is none of {get_args(ProviderChoice)}")
        self.spec = spec
        self._session, self.provider = _open(spec, spec.read(), provider, threads)
        # Optimising a graph needs several times its size for a moment: I3D leaves 210 MiB unused.
        give_back()
        self._turn = turn
        self._outputs = [output.name for output in spec.outputs]
        self._states = {
            value.name.removeprefix(_STATE): tuple(value.shape[1:])
            for value in self._session.get_inputs()
            if value.name.startswith(_STATE)
        }
        self._check_names()

    def run(self, **inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """The outputs in the order of `spec.outputs`, for inputs as `spec.inputs` describes them.

        Raises:
            ValueError: an input has a wrong shape or type; the sentence says which.
        """
        return self._run(self._outputs, inputs)

    def new_states(self) -> States:
        """The states of a continual model before its first call: 0 frames each.

        Such a model's file has, besides what the manifest describes, inputs `state_X` and outputs
        `next_X` with time as their first dimension. Other models have none.
        """
        return {name: np.zeros((0, *shape), np.float32) for name, shape in self._states.items()}

    def step(
        self, states: States, **inputs: NDArray[Any]
    ) -> tuple[tuple[NDArray[Any], ...], States]:
        """As `run`, for a continual model: the outputs, and the states for the next call.

        Whoever calls keeps the states, so that one model may follow several videos.

        Raises:
            ValueError: as `run` does.
        """
        names = self._outputs + [_NEXT + name for name in states]
        before = {_STATE + name: value for name, value in states.items()}
        values = self._run(names, inputs | before)
        count = len(self._outputs)
        return values[:count], dict(zip(states, values[count:], strict=True))

    def _run(self, outputs: list[str], inputs: dict[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        try:
            with self._turn():
                return tuple(self._session.run(outputs, inputs))
        except Exception as error:
            # ONNX Runtime's exceptions share no base class of their own.
            if type(error).__name__ != "InvalidArgument" and not isinstance(error, ValueError):
                raise
            given = {name: (value.dtype.name, value.shape) for name, value in inputs.items()}
            wanted = {spec.name: (spec.dtype, spec.shape) for spec in self.spec.inputs}
            raise ValueError(f"model {self.spec.name} wants {wanted}, not {given}") from error

    def _check_names(self) -> None:
        """Hold the loaded graph against the manifest: a wrong entry fails here, not later."""
        states = {_STATE + name for name in self._states}
        graph = {
            "inputs": {value.name for value in self._session.get_inputs()} - states,
            "outputs": {value.name for value in self._session.get_outputs()},
        }
        entry = {
            "inputs": {value.name for value in self.spec.inputs},
            "outputs": {value.name for value in self.spec.outputs},
        }
        for what, names in entry.items():
            if not names <= graph[what] or (what == "inputs" and names != graph[what]):
                raise ModelError(
                    f"model {self.spec.name}: {self.spec.path} has the {what} "
                    f"{sorted(graph[what])}, but the manifest says {sorted(names)}."
                )


def _open(
    spec: ModelSpec, content: bytes, choice: ProviderChoice, threads: int
) -> tuple[Any, Provider]:
    """ONNX Runtime's session of a model, and the provider that it got.

    Of the bytes whose hash was checked, not of the path: there another file might be by now, and
    an ONNX file may name others that hold its weights.
    """
    onnxruntime = load_runtime()
    arguments = session_arguments(choice, threads)
    try:
        session = onnxruntime.InferenceSession(content, **arguments)
    except Exception as error:
        # ONNX Runtime's exceptions share no base class of their own.
        raise ModelError(
            f"model {spec.name}: ONNX Runtime {onnxruntime.__version__} cannot load "
            f"{spec.path}: {error}"
        ) from error
    # ONNX Runtime keeps the bytes, to load them again for another provider if this one fails. What
    # a report says of the provider is to be true; and they are 91 MiB of all models together.
    session.disable_fallback()
    session._model_bytes = None
    return session, provider_of(session, choice)


def session_arguments(choice: ProviderChoice, threads: int) -> dict[str, Any]:
    """What ONNX Runtime's `InferenceSession` is to be made with: `sess_options` and `providers`.

    Raises:
        RuntimeMissingError: ONNX Runtime is missing or installed twice, or lacks that provider.
    """
    onnxruntime = load_runtime()
    share_one_arena()
    wanted = _wanted(choice, onnxruntime.get_available_providers())
    if wanted != "cpu" and hasattr(onnxruntime, "preload_dlls"):
        # Finds the CUDA and cuDNN libraries that came as Python packages.
        onnxruntime.preload_dlls()
    return {"sess_options": _options(onnxruntime, threads), "providers": _providers(wanted)}


def provider_of(session: Any, choice: ProviderChoice) -> Provider:
    """What ONNX Runtime's `session` really runs on.

    Raises:
        RuntimeMissingError: it is not the one that was asked for by name.
    """
    # A provider that does not start is dropped with a log line only, so ask what is left.
    got = _first_known(session.get_providers())
    if choice not in ("auto", got):
        raise RuntimeMissingError(
            f"the {choice} provider did not start, the model would run on the {got}: check the "
            'driver and libraries with "streamdeid doctor", or choose the provider "auto" or "cpu".'
        )
    return got


def _wanted(choice: ProviderChoice, available: list[str]) -> Provider:
    """The provider to try first.

    Raises:
        RuntimeMissingError: this ONNX Runtime was built without the one asked for.
    """
    if choice == "auto":
        return "cuda" if _ONNX_NAMES["cuda"] in available else "cpu"
    if _ONNX_NAMES[choice] not in available:
        raise RuntimeMissingError(
            f"the installed ONNX Runtime has no {choice} provider (it has {', '.join(available)}): "
            'pip uninstall onnxruntime, then pip install "streamdeid[gpu]", or choose "cpu".'
        )
    return choice


def _providers(wanted: Provider) -> list[str | tuple[str, dict[str, str]]]:
    """`wanted` and what stands in for the operators that it lacks."""
    cuda = (_ONNX_NAMES["cuda"], _CUDA_OPTIONS)
    if wanted == "tensorrt":
        return [_ONNX_NAMES["tensorrt"], cuda, _ONNX_NAMES["cpu"]]
    return [cuda, _ONNX_NAMES["cpu"]] if wanted == "cuda" else [_ONNX_NAMES["cpu"]]


def _first_known(names: list[str]) -> Provider:
    for provider, name in _ONNX_NAMES.items():
        if names and names[0] == name:
            return provider
    return "cpu"


def _options(onnxruntime: Any, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ONLY_ERRORS
    # A pattern takes the memory of a whole call in one block, beside the blocks of the first call,
    # which are kept: 40 MiB more for a detector, 60 for an evaluation, and no faster.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.use_env_allocators", "1")
    # A pool that spins while it waits takes the cores from decoding and from the other side.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
