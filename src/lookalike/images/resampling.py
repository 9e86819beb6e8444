"""Resizing as a matrix: what Pillow's resize does along one side, as the weights of pixels.

A side of n pixels becomes one of m by a matrix (m, n), so a picture is resized by two products, which suits a
GPU. The weights are those of Pillow's libImaging/Resample.c (`precompute_coeffs`): a filter as wide as the
new pixels, which is what antialiasing means.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lookalike.images.fit import Interpolation

Weights = NDArray[np.float32]
_Numbers = NDArray[np.float64]


def _triangle(x: _Numbers) -> _Numbers:
    return np.asarray(np.maximum(1 - np.abs(x), 0))


def _cubic(x: _Numbers) -> _Numbers:
    """Keys' cubic convolution with a = -0.5 (1981)."""
    x, a = np.abs(x), -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.asarray(np.where(x < 1, near, np.where(x < 2, far, 0)))


def _lanczos(x: _Numbers) -> _Numbers:
    return np.asarray(np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0))


# The filters, and how far they reach.
_FILTERS: dict[str, tuple[Callable[[_Numbers], _Numbers], float]] = {
    "bilinear": (_triangle, 1),
    "bicubic": (_cubic, 2),
    "lanczos": (_lanczos, 3),
}


def weights(length: int, size: int, first: float, last: float, interpolation: Interpolation) -> Weights:
    """The weights float32 (size, length) that turn `length` pixels into `size`, of those in [first, last]."""
    scale = (last - first) / size
    centers = first + (np.arange(size)[:, None] + 0.5) * scale
    if interpolation == "nearest":
        found = np.zeros((size, length), np.float32)
        np.put_along_axis(found, np.clip(centers.astype(int), 0, length - 1), 1, axis=1)
        return found
    curve, reach = _FILTERS[interpolation]
    wide = max(scale, 1.0)
    low = np.maximum((centers - reach * wide + 0.5).astype(int), 0)
    high = np.minimum((centers + reach * wide + 0.5).astype(int), length)
    places = low + np.arange((high - low).max())
    values = np.where(places < high, curve((places + 0.5 - centers) / wide), 0)
    values /= values.sum(axis=1, keepdims=True)
    found = np.zeros((size, length + values.shape[1]), np.float32)  # room for places beyond the end
    np.put_along_axis(found, places, values, axis=1)
    return found[:, :length]
