"""Thumbnails of pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lookalike.images.jpeg import encode_jpeg
from lookalike.images.picture import Picture, Pixels

THUMBNAIL_PX = 256
_QUALITY = 85


def thumbnail(picture: Picture, longest_px: int = THUMBNAIL_PX) -> bytes:
    """Make a JPEG of at most `longest_px` a side; a small JPEG is returned unchanged."""
    if picture.as_thumbnail is not None and max(picture.width, picture.height) <= longest_px:
        return picture.as_thumbnail
    height, width = picture.pixels.shape[:2]
    size = thumbnail_size(width, height, longest_px)
    if size == (width, height):
        return encode_thumbnail(picture.pixels)
    return encode_thumbnail(np.asarray(picture.image.resize(size, Image.Resampling.BILINEAR)))


def thumbnail_size(width: int, height: int, longest_px: int = THUMBNAIL_PX) -> tuple[int, int]:
    """The width and height of a picture's thumbnail, which is never enlarged."""
    scale = min(1, longest_px / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def encode_thumbnail(pixels: Pixels) -> bytes:
    """Encode uint8 (H, W, 3), already of the thumbnail's size."""
    return encode_jpeg(pixels, _QUALITY)
