"""Encoded bytes to RGB pixels, upright: JPEG by the fast path, everything else through Pillow."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images.jpeg import decode_jpeg
from lookalike.images.limit import MAX_MEGAPIXELS
from lookalike.images.modes import array_pixels
from lookalike.images.picture import ImageLike, Picture
from lookalike.images.pillow import decode_with_pillow, picture_of

# A decoded picture that is larger is decoded again by each model; held in numbers, they would take gigabytes.
_SHARED_BYTES = 16_000_000


class SharedBytes(bytes):
    """An encoded image for several models: it is decoded once, for the one that needs most pixels."""

    def __new__(cls, data: bytes, cover_px: int) -> SharedBytes:
        """The image `data`, to be decoded to a shorter side of at least `cover_px`."""
        made = super().__new__(cls, data)
        made._cover_px, made._picture, made._lock = cover_px, None, threading.Lock()
        return made

    def picture(self, cover_px: int, max_megapixels: float) -> Picture:
        """The decoded picture, for one after the other; raises `ImageError` as `decode`."""
        with self._lock:
            if self._picture is not None and cover_px <= self._cover_px:
                return self._picture
            # The thumbnail may be the bytes themselves, which must not hold themselves.
            picture = decode(bytes(memoryview(self)), max(cover_px, self._cover_px), max_megapixels)
            if picture.pixels.nbytes <= _SHARED_BYTES:
                self._picture = picture
            return picture

    _cover_px: int
    _picture: Picture | None
    _lock: threading.Lock


def load(image: ImageLike, cover_px: int, max_megapixels: float = MAX_MEGAPIXELS) -> Picture:
    """Decode a path, encoded bytes, a Pillow image or a uint8 array (H, W), (H, W, 3) or (H, W, 4).

    Raises `ImageError` for anything that is not a readable picture.
    """
    if isinstance(image, str | Path):
        try:
            data = Path(image).read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ImageError(f"cannot read {image}: {reason}") from None
        try:
            return decode(data, cover_px, max_megapixels)
        except ImageError as error:
            raise ImageError(f"{image}: {error.message}", error.hint) from None
    if isinstance(image, SharedBytes):
        return image.picture(cover_px, max_megapixels)
    if isinstance(image, bytes):
        return decode(image, cover_px, max_megapixels)
    if isinstance(image, Image.Image):
        return picture_of(image, cover_px, max_megapixels)
    pixels = array_pixels(np.asarray(image))
    height, width = pixels.shape[:2]
    return Picture(pixels, width, height)


def decode(
    data: bytes, cover_px: int, max_megapixels: float = MAX_MEGAPIXELS, least_reduction: float = 1
) -> Picture:
    """Decode an encoded image; its shorter side is at least `cover_px` if the original's is.

    A JPEG is reduced at least `least_reduction` times or not at all: between half and full size, the decoder
    has no vector instructions, and so takes longer for less.
    The limit in megapixels is checked on the header, before any pixel is decoded.
    Raises `ImageError` if the bytes are not an image, truncated or above the limit.
    """
    if not data:
        raise ImageError("the file is empty")
    if data[:2] == b"\xff\xd8":
        picture = decode_jpeg(data, cover_px, max_megapixels, least_reduction)
        if picture is not None:
            return picture
    return decode_with_pillow(data, cover_px, max_megapixels)
