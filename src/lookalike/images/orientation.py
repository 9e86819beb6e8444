"""Reads the EXIF orientation of pictures, and turns them upright."""

from __future__ import annotations

import re

import numpy as np
from PIL import ExifTags, Image

from lookalike.images.exif import exif_block, orientation_of
from lookalike.images.picture import Box, Pixels

# How each EXIF orientation is undone on (H, W, 3) pixels: flip the columns, flip the rows, transpose,
# in this order (EXIF 2.32, table 6).
_UNDO_ORIENTATION = {
    2: (True, False, False),
    3: (True, True, False),
    4: (False, True, False),
    5: (False, False, True),
    6: (False, True, True),
    7: (True, True, True),
    8: (True, False, True),
}

_XMP_ORIENTATION = re.compile(r'tiff:Orientation(?:="|>)([0-9])')


def flips(orientation: int) -> tuple[bool, bool, bool]:
    """How an orientation is undone: whether to flip the columns, flip the rows, and then transpose."""
    return _UNDO_ORIENTATION.get(orientation, (False,) * 3)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation on (H, W, 3) pixels; an unknown one changes nothing."""
    flip_columns, flip_rows, transpose = flips(orientation)
    if flip_columns:
        pixels = pixels[:, ::-1]
    if flip_rows:
        pixels = pixels[::-1]
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    return np.ascontiguousarray(pixels)


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """The width and height once an orientation is undone."""
    _, _, transpose = flips(orientation)
    return (height, width) if transpose else (width, height)


def upright_box(pixels: Pixels, right: float, bottom: float, orientation: int) -> Box:
    """The original's place in the pixels once they are upright.

    In `pixels`, before turning, the original extends from the top left to `right` and `bottom`.
    """
    left, top = 0.0, 0.0
    flip_columns, flip_rows, transpose = flips(orientation)
    if flip_columns:
        left, right = pixels.shape[1] - right, float(pixels.shape[1])
    if flip_rows:
        top, bottom = pixels.shape[0] - bottom, float(pixels.shape[0])
    return (top, left, bottom, right) if transpose else (left, top, right, bottom)


def image_orientation(image: Image.Image) -> int:
    """The orientation of an image that Pillow has opened, from EXIF or else XMP; 1 if it has none."""
    block = exif_block(image)
    if block:  # Pillow would read all of it, however large
        return orientation_of(block) or _xmp_orientation(image) or 1
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged directory must not cost the picture
        return 1


def _xmp_orientation(image: Image.Image) -> int | None:
    packet = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp") or b""
    text = packet.decode("latin-1") if isinstance(packet, bytes) else str(packet)
    match = _XMP_ORIENTATION.search(text)
    return int(match[1]) if match else None
