"""A decoded picture, and the types for pixels, boxes and images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.images.exif import Exif

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]
ImageLike = str | Path | bytes | Image.Image | Pixels


@dataclass(frozen=True)
class Picture:
    """A decoded picture: `pixels` uint8 (H, W, 3) RGB, upright, possibly reduced while decoding.

    `width` and `height` are the upright original's, in pixels.
    `box` is the original's place in `pixels` (left, top, right, bottom), unless it fills them: DCT scaling
    rounds the size up, and the last row and column are then only partly covered.
    `as_thumbnail` has the original bytes if they can be the thumbnail unchanged.
    `exif` has the camera's data, or is None.
    """

    pixels: Pixels
    width: int
    height: int
    as_thumbnail: bytes | None = None
    box: Box | None = None
    exif: Exif | None = None

    @cached_property
    def image(self) -> Image.Image:
        """The pixels as an image of Pillow, made once for all that is resized from it."""
        return image_of(self.pixels)


def image_of(pixels: Pixels | Image.Image) -> Image.Image:
    """Pixels uint8 (H, W, 3) as an image of Pillow, which copies them; an image is returned as it is."""
    return pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
