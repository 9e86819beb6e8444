"""Resize encoded images; one that has the wanted size keeps its bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from lookalike.errors import LookalikeError
from lookalike.images.decoding import decode
from lookalike.images.jpeg import encode_jpeg
from lookalike.images.limit import MAX_MEGAPIXELS
from lookalike.images.picture import Picture, Pixels

try:
    import cv2
except ImportError:  # Pillow does it too, but slowly
    cv2 = None  # type: ignore[assignment]

MODES = ("keep", "border", "crop", "none")
JPEG_QUALITY = 90

# What is measured of a resized image, and written beside it.
MEASURES = ("width", "height", "original_width", "original_height", "sha256")

# Bilinear looks at two pixels by two: if it shrinks an image by more than this, stripes turn into moiré.
_BILINEAR_BELOW = 1.5


@dataclass(frozen=True, slots=True)
class Resized:
    """An encoded image, its size and the original's in pixels, upright."""

    data: bytes
    width: int
    height: int
    original_width: int
    original_height: int
    sha256: str

    def measures(self) -> dict[str, Any]:
        """The `MEASURES` by name."""
        return {name: getattr(self, name) for name in MEASURES}


@dataclass(frozen=True, slots=True)
class Resize:
    """How images are resized.

    `keep`: the shorter side becomes `size_px`, which suits a network. `border`: the
    longer side does, and white makes it a square. `crop`: the central square, of `size_px`. `none`, or a
    `size_px` of None: unchanged. Nothing is enlarged unless `enlarge`.
    """

    size_px: int | None = None
    mode: str = "keep"
    enlarge: bool = False
    max_megapixels: float = MAX_MEGAPIXELS

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise LookalikeError(f"unknown resize mode {self.mode!r}", f"known are: {', '.join(MODES)}")
        if self.size_px is not None and self.size_px < 1:
            raise LookalikeError(f"the size is {self.size_px}, but must be at least 1")

    def __call__(self, data: bytes) -> Resized:
        """Decode the whole image and resize it; raises `ImageError`.

        An image that needs no resizing keeps its bytes, but is decoded anyway, to find damage now.
        """
        wanted_px = None if self.mode == "none" else self.size_px
        picture = decode(data, wanted_px or 1, self.max_megapixels, least_reduction=2)
        width, height = picture.width, picture.height
        if wanted_px is not None:
            pixels = self._resized(picture, wanted_px)
            if pixels is not None:
                data = encode_jpeg(pixels, JPEG_QUALITY)
                height, width = pixels.shape[:2]
        digest = hashlib.sha256(data).hexdigest()
        return Resized(data, width, height, picture.width, picture.height, digest)

    def _resized(self, picture: Picture, size_px: int) -> Pixels | None:
        """Return the resized pixels; None if the original has that size."""
        width, height = picture.width, picture.height
        scale = size_px / (max(width, height) if self.mode == "border" else min(width, height))
        if scale > 1 and not self.enlarge:
            scale = 1.0
        inner = max(1, round(width * scale)), max(1, round(height * scale))
        outer = inner
        if self.mode == "border":
            outer = (size_px, size_px)
        elif self.mode == "crop":
            outer = (min(inner), min(inner))
        if inner == outer == (width, height):
            return None
        if self.mode == "crop":
            return _scaled(picture, outer, _central(inner, outer[0], scale))
        image = _scaled(picture, inner, (0, 0, width, height))
        return image if inner == outer else _on_white(image, size_px)


def _central(inner: tuple[int, int], side: int, scale: float) -> tuple[float, float, float, float]:
    """Return the box of the central square, in pixels of the original; `inner` is the scaled size."""
    left, top = (inner[0] - side) / 2 / scale, (inner[1] - side) / 2 / scale
    return left, top, left + side / scale, top + side / scale


def _scaled(picture: Picture, size: tuple[int, int], box: tuple[float, float, float, float]) -> Pixels:
    """Resize a box of the original, (left, top, right, bottom), to (width, height), antialiased.

    Hamming: as sharp as bicubic when shrinking, in two thirds of the time. With OpenCV, a
    JPEG that was decoded at full size and shrinks little is resized bilinearly, in an eighth of that time:
    fine patterns suffer less than from decoding it at a few eighths of its size and resizing that.
    """
    rows, columns = picture.pixels.shape[:2]
    left, top, right, bottom = picture.box or (0, 0, columns, rows)
    across, down = (right - left) / picture.width, (bottom - top) / picture.height
    part = (
        left + box[0] * across,
        top + box[1] * down,
        min(left + box[2] * across, columns),
        min(top + box[3] * down, rows),
    )
    whole_jpeg = picture.box is not None and part == (0, 0, picture.width, picture.height)
    if (
        cv2 is not None
        and whole_jpeg
        and columns < _BILINEAR_BELOW * size[0]
        and rows < _BILINEAR_BELOW * size[1]
    ):
        return np.asarray(cv2.resize(picture.pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(Image.fromarray(picture.pixels).resize(size, Image.Resampling.HAMMING, box=part))


def _on_white(pixels: Pixels, size_px: int) -> Pixels:
    height, width = pixels.shape[:2]
    canvas = np.full((size_px, size_px, 3), 255, np.uint8)
    top, left = (size_px - height) // 2, (size_px - width) // 2
    canvas[top : top + height, left : left + width] = pixels
    return canvas
