"""Thumbnails of pictures."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from lookalike.images.jpeg import encode_jpeg
from lookalike.images.picture import Picture, Pixels

THUMBNAIL_PX = 256
_QUALITY = 85

# OpenCV interpolates between two pixels by two, which is as good if a picture shrinks by less than the first.
# From the second to the third it blurs before: for half the size, that makes the weights of Pillow's bilinear
# filter, 1 3 3 1. Elsewhere stripes would turn into moiré, or edges be soft.
_SHARP_BELOW, _BLURRED_FROM, _BLURRED_BELOW = 1.5, 1.8, 3.0
_BLUR = np.array([0.25, 0.5, 0.25], np.float32)


def thumbnail(picture: Picture, longest_px: int = THUMBNAIL_PX) -> bytes:
    """Make a JPEG of at most `longest_px` a side; a small JPEG is returned unchanged."""
    if picture.as_thumbnail is not None and max(picture.width, picture.height) <= longest_px:
        return picture.as_thumbnail
    height, width = picture.pixels.shape[:2]
    size = thumbnail_size(width, height, longest_px)
    if size == (width, height):
        return encode_thumbnail(picture.pixels)
    return encode_thumbnail(_shrunk(picture, size))


def _shrunk(picture: Picture, size: tuple[int, int]) -> Pixels:
    """Resize a picture to a smaller (width, height), antialiased; with OpenCV in a quarter of the time."""
    pixels = picture.pixels
    times = max(pixels.shape[1] / size[0], pixels.shape[0] / size[1])
    blurred = _BLURRED_FROM <= times < _BLURRED_BELOW
    cv2 = _opencv() if blurred or times < _SHARP_BELOW else None
    if cv2 is None:
        return np.asarray(picture.image.resize(size, Image.Resampling.BILINEAR))
    if blurred:
        # Not by GaussianBlur, which would wake threads of its own.
        pixels = cv2.sepFilter2D(pixels, -1, _BLUR, _BLUR)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)


@lru_cache(maxsize=1)
def _opencv() -> Any:
    """OpenCV; None if it is not installed."""
    try:
        import cv2  # 20 ms and 17 MB, which programs that make no thumbnails save
    except ImportError:
        return None
    return cv2


def thumbnail_size(width: int, height: int, longest_px: int = THUMBNAIL_PX) -> tuple[int, int]:
    """The width and height of a picture's thumbnail, which is never enlarged."""
    scale = min(1, longest_px / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def encode_thumbnail(pixels: Pixels) -> bytes:
    """Encode uint8 (H, W, 3), already of the thumbnail's size."""
    return encode_jpeg(pixels, _QUALITY)
