"""Cuts what a network sees: a square of a picture, or of a part of it, at a fixed size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images.picture import Box, Picture, Pixels, image_of

Interpolation = Literal["bicubic", "bilinear", "lanczos", "nearest"]
Offset = Literal["round", "floor"]

_LONGEST = 16  # times the shorter side: a line of 20,000 pixels would become 224 x 4,480,000


@dataclass(frozen=True, slots=True)
class Cut:
    """How a square is cut out: `box` is resized to `width` x `height`, the square begins at `left`, `top`."""

    box: Box
    width: int
    height: int
    left: int = 0
    top: int = 0


def square_cut(box: Box, size_px: int, crop: float) -> Cut:
    """The central square of a box, resized; `crop` in (0, 1] is its side as a share of the shorter side."""
    left, top, right, bottom = box
    side = min(bottom - top, right - left) * crop
    left, top = (left + right - side) / 2, (top + bottom - side) / 2
    return Cut((left, top, left + side, top + side), size_px, size_px)


def whole_pixel_cut(
    box: Box,
    size_px: int,
    crop: float,
    *,
    squash: bool = False,
    offset: Offset = "round",
    original: tuple[float, float] | None = None,
) -> Cut:
    """A box, resized, and its centre at whole pixels.

    The shorter side becomes `size_px / crop`, rounded down, and the longer one keeps the proportions, rounded
    down; with `squash` both become that. `original` is the width and height of the box in the original, which
    decide the proportions, as those of a picture that was reduced are rounded. `offset` rounds half a pixel
    before the cut. These are the pixels that torchvision, timm and open_clip see, and with the offset `floor`
    transformers, but of a picture longer than 16 times its width: of that only the middle is resized, to save
    memory.
    """
    width, height = original or (box[2] - box[0], box[3] - box[1])
    short = math.floor(size_px / crop)
    if squash:
        across = down = short
    else:
        box, width, height = _middle(box, width, height)
        narrow = width <= height
        across = short if narrow else int(short * width / height)
        down = int(short * height / width) if narrow else short
    rounded = round if offset == "round" else math.floor
    return Cut(box, across, down, rounded((across - size_px) / 2), rounded((down - size_px) / 2))


def fit(pixels: Pixels | Image.Image, size_px: int, crop: float, box: Box | None = None) -> Pixels:
    """Resize the central square of `box` (by default of all) to uint8 (S, S, 3), bicubic with antialiasing.

    `pixels` are an array (H, W, 3), or its image as `Picture` has it. `crop` in (0, 1] is the side of the
    square as a share of the shorter side of the picture.
    """
    width, height = pixels.size if isinstance(pixels, Image.Image) else pixels.shape[1::-1]
    cut = square_cut(box or (0, 0, width, height), size_px, crop)
    if (width, height) == (size_px, size_px) and cut.box == (0, 0, size_px, size_px):
        return np.asarray(pixels)
    return np.asarray(image_of(pixels).resize((size_px, size_px), Image.Resampling.BICUBIC, box=cut.box))


def fit_whole_pixels(
    pixels: Pixels | Image.Image,
    size_px: int,
    crop: float,
    *,
    squash: bool = False,
    interpolation: Interpolation = "bicubic",
    offset: Offset = "round",
    box: Box | None = None,
    original: tuple[float, float] | None = None,
) -> Pixels:
    """Resize `box` (by default all), then cut its centre at whole pixels: uint8 (S, S, 3).

    `pixels` are as in `fit`, and the other arguments those of `whole_pixel_cut`.
    """
    image = image_of(pixels)
    cut = whole_pixel_cut(
        box or (0, 0, *image.size), size_px, crop, squash=squash, offset=offset, original=original
    )
    box = cut.box
    # Pillow looks at pixels around a box, so those are cut off first.
    first_x, first_y, end_x, end_y = *map(math.floor, box[:2]), *map(math.ceil, box[2:])
    part = image.crop((first_x, first_y, min(end_x, image.width), min(end_y, image.height)))
    inner = (
        box[0] - first_x,
        box[1] - first_y,
        min(box[2] - first_x, part.width),  # rounding may have moved the edge outside
        min(box[3] - first_y, part.height),
    )
    resized = part.resize((cut.width, cut.height), Image.Resampling[interpolation.upper()], box=inner)
    return np.asarray(resized.crop((cut.left, cut.top, cut.left + size_px, cut.top + size_px)))


def _middle(box: Box, width: float, height: float) -> tuple[Box, float, float]:
    """The middle of a box, at most 16 times as long as it is wide, and its width and height."""
    left, top, right, bottom = box
    wide, high = min(width, _LONGEST * height), min(height, _LONGEST * width)
    across, down = (right - left) * (1 - wide / width) / 2, (bottom - top) * (1 - high / height) / 2
    return (left + across, top + down, right - across, bottom - down), wide, high


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
