"""A decoded picture, and the types for pixels, boxes and images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.images.exif import Exif

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]
ImageLike = str | Path | bytes | Image.Image | Pixels


@dataclass(frozen=True, slots=True)
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
