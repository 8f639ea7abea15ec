"""ONNX Runtime: whether it is installed, and that it is installed once."""

from __future__ import annotations

import importlib
import importlib.metadata
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from streamdeid.errors import RuntimeMissingError

DISTRIBUTIONS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-openvino",
    "onnxruntime-rocm",
    "onnxruntime-training",
)
"""The wheels that own the folder `onnxruntime`; the one installed last overwrites the others."""

_AS_REQUESTED = 1  # kSameAsRequested of ONNX Runtime's ArenaExtendStrategy


@dataclass(frozen=True, slots=True)
class Runtime:
    """What is installed of ONNX Runtime.

    Attributes:
        distributions: (name, version) of each wheel found.
        providers: what the wheel was built with, in its own order; () if it cannot be imported.
            A provider in this list may still fail to start: a Session says what it really got.
        problem: one sentence if no model can be run with this, else None.
    """

    distributions: tuple[tuple[str, str], ...]
    providers: tuple[str, ...]
    problem: str | None


def installed_runtime() -> Runtime:
    """Look at what is installed; raises nothing."""
    found = _distributions()
    if len(found) > 1:
        names = " and ".join(name for name, _ in found)
        problem = (
            f"{names} are both installed and overwrite each other's files: "
            f"pip uninstall {' '.join(name for name, _ in found)}, then install one of them "
            'with pip install "streamdeid[cpu]" or "streamdeid[gpu]".'
        )
        return Runtime(found, (), problem)
    try:
        module = importlib.import_module("onnxruntime")
        providers = tuple(module.get_available_providers())
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            return Runtime(found, (), _broken(found, error))
        problem = (
            'ONNX Runtime is not installed: pip install "streamdeid[cpu]", '
            'or "streamdeid[gpu]" on a machine with an NVIDIA GPU.'
        )
        return Runtime(found, (), problem)
    except (ImportError, AttributeError, OSError) as error:
        return Runtime(found, (), _broken(found, error))
    return Runtime(found, providers, None)


def load_runtime() -> ModuleType:
    """The module `onnxruntime`, imported when it is first needed.

    Raises:
        RuntimeMissingError: it is not installed, installed twice, or cannot be imported.
    """
    runtime = installed_runtime()
    if runtime.problem is not None:
        raise RuntimeMissingError(runtime.problem)
    return importlib.import_module("onnxruntime")


@cache
def share_one_arena() -> None:
    """Let all sessions with `session.use_env_allocators` take memory from one arena.

    By itself each session has an arena of its own, which keeps what its largest call took while
    others compute. As there are never more calls at once than cores, they need not all have their
    most at the same time: an evaluation with all metrics holds 60 MiB less, and is as fast.
    The arena grows by what is asked for. By itself it grows by powers of two, and whether the next
    one is needed hangs on which calls happen to meet: 16 MiB that may come after an hour.
    Concerns the whole process, and what was taken is kept until it ends.
    """
    onnxruntime = load_runtime()
    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
    config = onnxruntime.OrtArenaCfg({"arena_extend_strategy": _AS_REQUESTED})
    try:
        onnxruntime.create_and_register_allocator(memory, config)
    except RuntimeError as error:
        # Before 1.23; by another thread, or by the program that we are a part of.
        if "already been registered" not in str(error):
            raise


def _distributions() -> tuple[tuple[str, str], ...]:
    found = []
    for name in DISTRIBUTIONS:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(found)


def _broken(found: tuple[tuple[str, str], ...], error: Exception) -> str:
    name = found[0][0] if found else "onnxruntime"
    return (
        f"{name} is installed but cannot be imported ({error}): "
        f"pip install --force-reinstall {name}."
    )
