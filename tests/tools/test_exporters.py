"""What the exporters compute themselves is right; their files are held against other runtimes.

An exporter is run in full by its --check, which needs the packages that it converts from.
"""

from __future__ import annotations

import export_blazeface
import export_dlib_landmarks5
import exporter
import numpy as np

from streamdeid.inference.manifest import Manifest


def test_every_model_has_its_exporter() -> None:
    manifest = Manifest.load()
    for name in manifest.names():
        assert manifest.spec(name).exporter == f"tools/export_{name}.py"


def test_anchors_are_in_the_middle_of_their_cells() -> None:
    centres = export_blazeface.anchor_centres()
    assert centres.shape == (896, 2)
    assert centres[:4].tolist() == [[4, 4], [4, 4], [12, 4], [12, 4]]
    assert centres[512:519].tolist() == [[8, 8]] * 6 + [[24, 8]]
    assert centres[-1].tolist() == [120, 120]


def test_sizes_have_no_anchor() -> None:
    offsets = export_blazeface.anchor_offsets()
    assert offsets.shape == (1, 896, 16)
    assert (offsets[..., 2:4] == 0).all()
    assert (offsets[..., 14:16] == export_blazeface.anchor_centres()).all()


def test_a_tree_is_walked_by_the_bits_of_its_splits() -> None:
    leaves = export_dlib_landmarks5.leaf_numbers()
    assert len(leaves) == 2**15
    rng = np.random.default_rng(0)
    for code in rng.integers(0, 2**15, 200):
        split = 0
        while split < 15:
            split = 2 * split + (1 if code >> split & 1 else 2)
        assert leaves[code] == split - 15
    assert leaves[0] == 15, "right at every split"
    assert leaves[-1] == 0, "left at every split"


def test_differences_are_relative_to_the_largest_value() -> None:
    assert exporter.difference(np.array([1.5, 0.25]), np.array([0.5, 0.25])) == 1.0
    assert exporter.difference(np.array([1001.0, 0.0]), np.array([1000.0, 1.0])) == 1e-3
