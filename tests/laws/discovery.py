"""Finds the classes of a room by what they can do, so that a new one is under its laws at once."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType


def classes_with(room: ModuleType, *methods: str) -> list[type]:
    """Classes defined in the modules of `room` that have all `methods` and are no protocols."""
    found = []
    for entry in pkgutil.iter_modules(room.__path__, room.__name__ + "."):
        module = importlib.import_module(entry.name)
        for _, cls in inspect.getmembers(module, inspect.isclass):
            own = cls.__module__ == module.__name__ and not getattr(cls, "_is_protocol", False)
            if own and all(hasattr(cls, method) for method in methods):
                found.append(cls)
    return found
