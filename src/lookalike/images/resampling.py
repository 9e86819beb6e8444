"""Resizing as a matrix: what Pillow's resize does along one side, as the weights of pixels.

A side of n pixels becomes one of m by a matrix (m, n), so a whole picture is resized by two products, which is how
a GPU does it. The weights are those of Pillow's libImaging/Resample.c (`precompute_coeffs`): a filter that
is as wide as the pixels become, which is called antialiasing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lookalike.images.fit import Interpolation

Weights = NDArray[np.float32]
_Numbers = NDArray[np.float64]


def _triangle(x: _Numbers) -> _Numbers:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: _Numbers) -> _Numbers:
    """Keys' cubic convolution with a = -0.5 (1981)."""
    x, a = np.abs(x), -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x: _Numbers) -> _Numbers:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


# The filters, and how far they reach.
_FILTERS: dict[str, tuple[Callable[[_Numbers], _Numbers], float]] = {
    "bilinear": (_triangle, 1),
    "bicubic": (_cubic, 2),
    "lanczos": (_lanczos, 3),
}


@lru_cache(maxsize=256)
def weights(length: int, size: int, first: float, last: float, interpolation: Interpolation) -> Weights:
    """The weights float32 (size, length) that turn `length` pixels into `size`, of those in [first, last]."""
    scale = (last - first) / size
    centers = first + (np.arange(size) + 0.5) * scale
    places = np.arange(length)
    if interpolation == "nearest":
        return np.asarray(places == np.clip(centers.astype(int), 0, length - 1)[:, None], np.float32)
    curve, reach = _FILTERS[interpolation]
    wide = max(scale, 1.0)
    low = np.maximum((centers - reach * wide + 0.5).astype(int), 0)[:, None]
    high = np.minimum((centers + reach * wide + 0.5).astype(int), length)[:, None]
    found = curve((places + 0.5 - centers[:, None]) / wide)
    found = np.where((places >= low) & (places < high), found, 0)
    return np.asarray(found / found.sum(axis=1, keepdims=True), np.float32)
