"""Resizing by matrices gives the pixels of Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lookalike.images.resampling import weights

Box = tuple[float, float, float, float]


def resized(pixels: np.ndarray, size: tuple[int, int], box: Box, kind: str) -> np.ndarray:
    left, top, right, bottom = box
    across = weights(pixels.shape[1], size[0], left, right, kind).astype(np.float64)
    down = weights(pixels.shape[0], size[1], top, bottom, kind).astype(np.float64)
    wide = np.clip(np.floor(np.einsum("ow,hwc->hoc", across, pixels) + 0.5), 0, 255)
    return np.clip(np.floor(np.einsum("oh,hwc->owc", down, wide) + 0.5), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["bicubic", "bilinear", "lanczos", "nearest"])
@pytest.mark.parametrize(
    ("size", "box"),
    [((56, 56), (15.5, 0, 90.5, 75)), ((64, 48), (0, 0, 106, 75)), ((150, 120), (10.2, 3.3, 90.7, 60))],
)
def test_the_pixels_are_those_of_pillow_but_for_rounding(kind: str, size: tuple[int, int], box: Box) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (75, 106, 3), np.uint8)
    expected = Image.fromarray(pixels).resize(size, Image.Resampling[kind.upper()], box=box)

    difference = np.abs(resized(pixels, size, box, kind).astype(int) - np.asarray(expected))

    assert difference.max() <= (0 if kind == "nearest" else 1)
    assert (difference > 0).mean() < 0.01


def test_weights_sum_to_one_and_stay_inside() -> None:
    found = weights(500, 224, 62.5, 437.5, "bicubic")
    assert found.shape == (224, 500)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert np.flatnonzero(found.any(axis=0))[[0, -1]].tolist() == [60, 439]
