"""`streamdeid models` lists what there is and finds what was changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from streamdeid.inference.manifest import MANIFEST, Manifest
from tests.cli.conftest import Run, is_one_sentence


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the models."""
    return Path(shutil.copytree(Manifest.load().folder, tmp_path / "models"))


def test_the_models_are_listed(run: Run) -> None:
    result = run("models", "list")
    assert result.exit_code == 0
    for name in Manifest.load().names():
        assert name in result.stdout
        assert Manifest.load().spec(name).sha256[:12] in result.stdout
    assert "MB" in result.stdout
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_list_as_json_holds_whole_hashes(run: Run) -> None:
    records = json.loads(run("models", "list", "--json").stdout)
    assert [record["name"] for record in records] == list(Manifest.load().names())
    for record in records:
        assert record["sha256"] == Manifest.load().spec(record["name"]).sha256
        assert record["origin"]


def test_untouched_models_are_ok(run: Run, models: Path) -> None:
    result = run("models", "verify", "--models-dir", models)
    assert result.exit_code == 0, result.output
    assert "BROKEN" not in result.stdout


def test_a_changed_and_a_missing_model_are_found(run: Run, models: Path) -> None:
    manifest = Manifest.load(models)
    changed, missing = (manifest.spec(name) for name in manifest.names()[:2])
    with changed.path.open("r+b") as file:
        file.write(b"x")
    missing.path.unlink()
    result = run("models", "verify", "--models-dir", models)
    assert result.exit_code == 1
    lines = [line for line in result.stdout.splitlines() if "BROKEN" in line]
    assert len(lines) == 2
    assert changed.name in lines[0]
    assert "sha256" in lines[0]
    assert missing.name in lines[1]


def test_a_folder_may_have_brackets_in_its_name(run: Run, models: Path) -> None:
    folder = models.rename(models.with_name("models [bold]"))
    (folder / "landmarks.onnx").unlink()
    assert str(folder) in run("models", "verify", "--models-dir", folder).stdout


def test_a_folder_by_the_environment(run: Run, models: Path) -> None:
    (models / MANIFEST).unlink()
    result = run("models", "list", env={"STREAMDEID_MODELS": str(models)})
    assert result.exit_code == 2
    assert is_one_sentence(result.stderr), result.stderr


def test_a_changed_model_is_never_used(run: Run, models: Path, clip: Path) -> None:
    manifest = Manifest.load(models)
    with manifest.default("embedder").path.open("r+b") as file:
        file.write(b"x")
    result = run("evaluate", clip, clip, "--models-dir", models)
    assert result.exit_code == 2
    assert is_one_sentence(result.stderr), result.stderr
    assert "sha256" in result.stderr
