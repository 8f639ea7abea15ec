"""The examples in the docstrings of the room are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import streamdeid.stats

MODULES = [
    entry.name
    for entry in pkgutil.iter_modules(streamdeid.stats.__path__, streamdeid.stats.__name__ + ".")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
