"""Images are laid out as a model's entry in the manifest says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from streamdeid.inference.manifest import InputSpec, Manifest
from streamdeid.inference.preprocess import prepare

PLAIN = InputSpec("image", ("N", 3, 2, 2), "float32", "NCHW", "RGB")


@pytest.fixture
def images() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2) + np.float32(0.6)


def test_what_fits_is_passed_on_as_it_is(manifest: Manifest) -> None:
    for name in ("blazeface", "landmarks", "dlib_resnet"):
        chips = np.zeros((1, 3, 8, 8), np.float32)
        assert prepare(manifest.spec(name).input, chips) is chips


def test_colours_are_turned_round_for_bgr(
    images: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    found = prepare(dataclasses.replace(PLAIN, colour="BGR"), images)
    np.testing.assert_array_equal(found[:, 0], images[:, 2])
    assert found.flags.c_contiguous


def test_the_caller_normalises_where_the_graph_does_not(
    images: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    spec = dataclasses.replace(
        PLAIN, mean=(1.0, 2.0, 3.0), std=(2.0, 4.0, 8.0), normalised_by="caller"
    )
    found = prepare(spec, images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, 1], (images[:, 1] - 2) / 4, rtol=1e-6)


def test_normalisation_goes_with_the_colour_order_of_the_model(
    images: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    spec = dataclasses.replace(PLAIN, colour="BGR", mean=(1.0, 2.0, 3.0), normalised_by="caller")
    np.testing.assert_allclose(prepare(spec, images)[:, 0], images[:, 2] - 1, rtol=1e-6)


def test_channels_go_last_and_bytes_are_rounded(
    images: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    spec = dataclasses.replace(PLAIN, layout="NHWC", dtype="uint8")
    found = prepare(spec, images)
    assert found.shape == (2, 2, 2, 3)
    assert found.dtype == np.uint8
    assert found[0, 0, 0].tolist() == [1, 5, 9]


def test_what_is_no_batch_of_images_is_refused(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match="box"):
        prepare(manifest.spec("dlib_landmarks5").inputs[1], np.zeros((1, 3, 2, 2), np.float32))
    with pytest.raises(ValueError, match="image"):
        prepare(PLAIN, np.zeros((3, 2, 2), np.float32))
