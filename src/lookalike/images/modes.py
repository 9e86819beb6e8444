"""Converts any Pillow mode, and any image array, to RGB pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images.picture import Pixels


def rgb_pixels(image: Image.Image) -> Pixels:
    """Convert any Pillow mode to RGB uint8 (H, W, 3): transparency on a ground, deep grey as 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_eight_bits(image))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.new("RGBA", rgba.size, _ground(rgba))
        image.alpha_composite(rgba)
    return np.asarray(image.convert("RGB"))


def array_pixels(array: NDArray[Any]) -> Pixels:
    """Convert uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) to RGB uint8 (H, W, 3), or `ImageError`."""
    shape_is_right = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if array.dtype != np.uint8 or not shape_is_right or 0 in array.shape:
        raise ImageError(
            f"an image array is uint8 of shape (H, W), (H, W, 3) or (H, W, 4), "
            f"not {array.dtype} {array.shape}"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return rgb_pixels(Image.fromarray(np.ascontiguousarray(array)))


def _ground(rgba: Image.Image) -> str:
    """The ground for a transparent picture: white, or grey if the picture is so light that it would vanish.

    `groundOf` of the page's resize.js is the same.
    """
    values = np.asarray(rgba)
    seen = values[..., 3] >= 128
    lightness = values[..., :3].min(axis=2)[seen]
    return "#808080" if seen.any() and lightness.mean() > 224 else "white"


def _eight_bits(image: Image.Image) -> Pixels:
    """Convert 16-bit grey on its absolute scale; other ranges (32-bit, float) are stretched to 0..255."""
    values = np.asarray(image, dtype=np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if image.mode.startswith("I;16") or (image.mode == "I" and low >= 0 and 255 < high < 65536):
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 255 and high > 1:
        low, high = 0.0, 255.0
    scaled = (np.nan_to_num(values) - low) / max(high - low, 1e-12) * 255
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
