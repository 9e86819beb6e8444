"""Which way up a picture is, as EXIF says, and how it is turned upright."""

from __future__ import annotations

import struct

import numpy as np
from PIL import ExifTags, Image

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


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation on (H, W, 3) pixels; an unknown one leaves them as they are."""
    flip_columns, flip_rows, transpose = _UNDO_ORIENTATION.get(orientation, (False,) * 3)
    if flip_columns:
        pixels = pixels[:, ::-1]
    if flip_rows:
        pixels = pixels[::-1]
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    return np.ascontiguousarray(pixels)


def upright_box(pixels: Pixels, width: int, height: int, orientation: int) -> Box:
    """Where the original lies in the upright pixels, for `pixels` as they were decoded, in eighths."""
    eighths = round(8 * max(pixels.shape[:2]) / max(width, height))
    right, bottom = width * eighths / 8, height * eighths / 8
    left, top = 0.0, 0.0
    flip_columns, flip_rows, transpose = _UNDO_ORIENTATION.get(orientation, (False,) * 3)
    if flip_columns:
        left, right = pixels.shape[1] - right, float(pixels.shape[1])
    if flip_rows:
        top, bottom = pixels.shape[0] - bottom, float(pixels.shape[0])
    return (top, left, bottom, right) if transpose else (left, top, right, bottom)


def exif_orientation(exif: bytes) -> int:
    """The orientation in an EXIF block, 1 where there is none; damage costs no picture (EXIF 2.32, 4.5.4)."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, at)
            if (tag, kind) == (ExifTags.Base.Orientation, 3):
                return int(value)
    except struct.error:
        pass
    return 1


def image_orientation(image: Image.Image) -> int:
    """The orientation of an image that Pillow has opened, 1 where it has none."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged EXIF block must not cost the picture
        return 1
