"""Thumbnails of pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lookalike.images.jpeg import encode_jpeg
from lookalike.images.picture import Picture

THUMBNAIL_PX = 256


def thumbnail(picture: Picture, longest_px: int = THUMBNAIL_PX) -> bytes:
    """Make a JPEG of at most `longest_px` a side; a small JPEG is returned unchanged."""
    if picture.as_thumbnail is not None and max(picture.width, picture.height) <= longest_px:
        return picture.as_thumbnail
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    scale = longest_px / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    return encode_jpeg(pixels, 85)
