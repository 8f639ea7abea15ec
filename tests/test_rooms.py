"""Who may import whom: arrows point down only, and each outside library has one home."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import streamdeid
from tests.conftest import RunPython

PACKAGE = Path(streamdeid.__file__).parent

NOUNS = {"errors", "pair", "frame", "observations", "score"}

# Room or noun: what it may import of ours, besides itself. A dotted name is one module of a room.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "closing": set(),
    "cores": set(),
    "memory": set(),
    "pair": set(),
    "frame": {"pair", "errors"},
    "observations": {"frame", "pair", "errors"},
    "score": {"pair", "errors"},
    "settings": {"errors"},
    "condition": {"score", "errors"},
    "sources": {"frame", "pair", "errors", "closing", "memory"},
    "inference": {"errors", "memory"},
    "stages": {"inference", "cores", "closing"} | NOUNS,
    "stats": {"errors"},
    "metrics": {"stats"} | NOUNS,
    "report": {"score", "frame", "pair", "errors"},
    "engine": {
        "sources",
        "inference",
        "stages",
        "stats",
        "metrics",
        "cores",
        "memory",
        "closing",
        "settings",
        "condition",
        "report.report",
        "report.timeline",
        "report.whole_file",
    }
    | NOUNS,
    "cli": {"engine", "report", "settings", "condition", "score", "pair", "errors", "closing"},
}

# Outside library: where it lives. The standard library is free, but for what is listed here.
HOMES: dict[str, set[str]] = {
    "av": {"sources", "engine.doctor"},  # the doctor looks at what the others use
    "onnxruntime": {"inference"},
    "insightface": {"inference"},
    "click": {"cli"},
    "rich": {"cli", "report.to_terminal", "report.expression_table", "report.page"},
    "pyarrow": {"report.rows"},
    "prometheus_client": {"engine.live.serving"},
    "threadpoolctl": {"cores"},
    "PIL": {"sources", "engine.covering"},
    "numpy": {
        "frame",
        "observations",
        "sources",
        "stages",
        "metrics",
        "inference",
        "stats",
        "engine",
    },
    "subprocess": {"stages.action_units", "engine.live.alert_actions"},
    "multiprocessing": set(),
    "pickle": set(),
}

DOORS = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}
MODULES = sorted(set(PACKAGE.rglob("*.py")) - DOORS)


def name_of(path: Path) -> str:
    """Dotted name within the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names of all that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the room they come from"
            assert node.module is not None
            for alias in node.names:
                if node.module == "streamdeid":
                    yield from own_name(alias.name)
                else:
                    yield node.module


def own_name(name: str) -> Iterator[str]:
    """Where `from streamdeid import name` really leads."""
    if name != "__version__":
        yield streamdeid._HOMES.get(name, f"streamdeid.{name}")


def within(module: str, places: set[str]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_import_only_what_their_room_may(path: Path) -> None:
    module = name_of(path)
    room = module.partition(".")[0]
    assert room in MAY_IMPORT, f"{room} is no room of the house: give it a line in MAY_IMPORT"
    for imported in imports_of(path):
        if imported == "streamdeid" or imported.startswith("streamdeid."):
            target = imported.removeprefix("streamdeid").lstrip(".")
            allowed = MAY_IMPORT[room] | {room}
            assert within(target, allowed), f"{module} must not import {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_outside_libraries_stay_in_their_homes(path: Path) -> None:
    module = name_of(path)
    for imported in imports_of(path):
        library = imported.partition(".")[0]
        if library == "streamdeid" or (library in sys.stdlib_module_names and library not in HOMES):
            continue
        assert library in HOMES, f"{module} imports {library}, which has no home in HOMES"
        homes = HOMES[library]
        assert within(module, homes), f"{module} imports {library}, whose home is {homes}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_commands_know_of_live_runs(path: Path) -> None:
    module = name_of(path)
    if within(module, {"cli", "engine.live"}):
        return
    for imported in imports_of(path):
        assert not within(imported.removeprefix("streamdeid."), {"engine.live"}), imported


def test_there_are_modules_to_look_at() -> None:
    assert {"errors", "report.report", "cli.main"} <= {name_of(path) for path in MODULES}


def test_importing_the_package_loads_nothing_heavy(run_python: RunPython) -> None:
    loaded = run_python("import streamdeid, sys; print(*sys.modules)").stdout.split()
    assert {"av", "numpy", "onnxruntime", "click", "rich"}.isdisjoint(loaded)


def test_asking_for_help_loads_neither_ffmpeg_nor_onnxruntime(run_python: RunPython) -> None:
    code = """
import sys
from streamdeid.cli.main import main
main(["evaluate", "--help"], standalone_mode=False)
print(*sys.modules)
"""
    loaded = run_python(code).stdout.split()
    assert "streamdeid.cli.evaluate" in loaded
    assert {"av", "numpy", "onnxruntime"}.isdisjoint(loaded)


def test_the_public_names_are_there() -> None:
    for name in streamdeid.__all__:
        assert getattr(streamdeid, name) is not None
        assert name in dir(streamdeid)
    with pytest.raises(AttributeError, match="nonsense"):
        streamdeid.nonsense  # noqa: B018
