"""Cuts what a network sees: a square of a picture, or of a part of it, at a fixed size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images.picture import Box, Picture, Pixels


def fit(pixels: Pixels, size_px: int, crop: float, box: Box | None = None) -> Pixels:
    """Resize the central square of `box` (by default of all) to uint8 (S, S, 3), bicubic with antialiasing.

    `crop` in (0, 1] is the square's side as a fraction of the shorter side of the picture.
    """
    height, width = pixels.shape[:2]
    left, top, right, bottom = box or (0, 0, width, height)
    side = min(bottom - top, right - left) * crop
    left, top = (left + right - side) / 2, (top + bottom - side) / 2
    if (height, width) == (size_px, size_px) and side == size_px:
        return pixels
    resized = Image.fromarray(pixels).resize(
        (size_px, size_px), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
    )
    return np.asarray(resized)


def region(picture: Picture, box: Box) -> Box:
    """Convert a part of the original to the picture's pixels, as (left, top, right, bottom) for `fit`.

    `box` is the part in fractions of the upright original, from 0 to 1. Raises `ImageError` for one that is
    empty, outside, or smaller than a pixel.
    """
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ImageError(
            f"the box {tuple(box)} is not a part of a picture", "give it as left, top, right, bottom"
        )
    if (right - left) * picture.width < 1 or (bottom - top) * picture.height < 1:
        raise ImageError(f"the box {tuple(box)} is smaller than a pixel")
    height, width = picture.pixels.shape[:2]
    x, y, end_x, end_y = picture.box or (0.0, 0.0, float(width), float(height))
    columns, rows = end_x - x, end_y - y
    return x + left * columns, y + top * rows, x + right * columns, y + bottom * rows
