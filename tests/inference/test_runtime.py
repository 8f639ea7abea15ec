"""ONNX Runtime is there, missing or there twice, and the sentence says which.

One environment cannot have it all three ways, so what is installed is told rather than installed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from types import ModuleType

import pytest

from streamdeid.errors import RuntimeMissingError
from streamdeid.inference.runtime import installed_runtime, load_runtime


def pretend_installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def version(name: str) -> str:
        if name in names:
            return "1.99"
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


def pretend_import(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def import_module(_: str) -> ModuleType:
        raise error

    monkeypatch.setattr(importlib, "import_module", import_module)


def test_here_it_is_installed_once() -> None:
    runtime = installed_runtime()
    assert len(runtime.distributions) == 1
    assert "CPUExecutionProvider" in runtime.providers
    assert runtime.problem is None
    assert load_runtime().__name__ == "onnxruntime"


def test_without_it_the_cure_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch)
    pretend_import(monkeypatch, ModuleNotFoundError("no", name="onnxruntime"))
    assert installed_runtime().distributions == ()
    with pytest.raises(RuntimeMissingError, match=r'pip install "streamdeid\[cpu\]"'):
        load_runtime()


def test_two_of_them_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch, "onnxruntime", "onnxruntime-gpu")
    runtime = installed_runtime()
    assert runtime.distributions == (("onnxruntime", "1.99"), ("onnxruntime-gpu", "1.99"))
    with pytest.raises(RuntimeMissingError) as caught:
        load_runtime()
    assert "onnxruntime and onnxruntime-gpu are both installed" in str(caught.value)
    assert "pip uninstall onnxruntime onnxruntime-gpu" in str(caught.value)


def test_one_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch, "onnxruntime-gpu")
    pretend_import(monkeypatch, ImportError("libfoo.so.1 is missing"))
    assert installed_runtime().providers == ()
    with pytest.raises(RuntimeMissingError, match=r"onnxruntime-gpu is installed.*libfoo\.so\.1"):
        load_runtime()


def test_one_that_lacks_a_package_of_its_own_is_not_called_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend_installed(monkeypatch, "onnxruntime")
    pretend_import(monkeypatch, ModuleNotFoundError("No module named 'numpy'", name="numpy"))
    with pytest.raises(RuntimeMissingError, match=r"cannot be imported.*numpy"):
        load_runtime()
