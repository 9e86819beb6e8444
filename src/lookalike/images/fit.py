"""What a network sees: a square of a picture, or of a part of it, at one size."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images.picture import Box, Picture, Pixels

Interpolation = Literal["bicubic", "bilinear", "lanczos", "nearest"]

_LONGEST = 16  # times the shorter side: a line of 20,000 pixels would become 224 x 4,480,000


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


def fit_whole_pixels(
    pixels: Pixels,
    size_px: int,
    crop: float,
    *,
    squash: bool = False,
    interpolation: Interpolation = "bicubic",
    box: Box | None = None,
) -> Pixels:
    """Resize `box` (by default all), then cut its centre at whole pixels: uint8 (S, S, 3).

    The shorter side becomes `size_px / crop`, rounded down, and the longer one keeps the proportions, rounded
    down; with `squash` both become that. These are the pixels that torchvision, timm and open_clip see, but
    of a picture longer than 16 times its width: of that only the middle is resized, to save memory.
    """
    image = Image.fromarray(pixels)
    if box is not None:
        left, top, right, bottom = (round(edge) for edge in box)
        image = image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    short = math.floor(size_px / crop)
    width, height = image.size
    if not squash and max(width, height) > _LONGEST * min(width, height):
        image = _middle(image, _LONGEST * min(width, height))
        width, height = image.size
    if squash:
        width = height = short
    elif width <= height:
        width, height = short, int(short * height / width)
    else:
        width, height = int(short * width / height), short
    left, top = round((width - size_px) / 2), round((height - size_px) / 2)
    resized = image.resize((width, height), Image.Resampling[interpolation.upper()])
    return np.asarray(resized.crop((left, top, left + size_px, top + size_px)))


def _middle(image: Image.Image, most_px: int) -> Image.Image:
    """The middle of an image, at most `most_px` long."""
    width, height = image.size
    left, top = max(0, (width - most_px) // 2), max(0, (height - most_px) // 2)
    return image.crop((left, top, min(width, left + most_px), min(height, top + most_px)))


def region(picture: Picture, box: Box) -> Box:
    """Convert a part of the original to the picture's pixels, as (left, top, right, bottom) for `fit`.

    `box` is the part in fractions of the upright original, from 0 to 1. Raises `ImageError` for one that is
    empty, outside, or smaller than a pixel.
    """
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ImageError(
            f"the box {tuple(box)} is no part of a picture", "give it as left, top, right, bottom"
        )
    if (right - left) * picture.width < 1 or (bottom - top) * picture.height < 1:
        raise ImageError(f"the box {tuple(box)} is smaller than a pixel")
    height, width = picture.pixels.shape[:2]
    x, y, end_x, end_y = picture.box or (0.0, 0.0, float(width), float(height))
    columns, rows = end_x - x, end_y - y
    return x + left * columns, y + top * rows, x + right * columns, y + bottom * rows
