"""Converts any Pillow mode, and any image array, to RGB pixels, one band of rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from lookalike.errors import ImageError
from lookalike.images.picture import Pixels

# The pixels converted at once: bands of a large picture take little memory beside the picture itself.
_BAND_PIXELS = 2**20

# TIFF 6.0, section 8; and the tag of section 19 that defines white.
_BITS_PER_SAMPLE = 258


def rgb_pixels(image: Image.Image, reduction: int = 1) -> Pixels:
    """Convert any Pillow mode to RGB uint8 (H, W, 3): transparency on a ground, deep grey scaled to 8 bits.

    With a `reduction`, each pixel is the mean of a square with that many pixels a side, fewer at the right
    and bottom edges.
    """
    width, height = image.size
    found = np.empty((-(-height // reduction), -(-width // reduction), 3), np.uint8)
    convert = _conversion(image)
    for top, band in bands(image, reduction):
        rgb = convert(band)
        if reduction > 1:
            rgb = rgb.reduce(reduction)
        first = top // reduction
        found[first : first + rgb.height] = np.asarray(rgb)
    return found


def array_pixels(array: NDArray[Any]) -> Pixels:
    """Convert uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) to RGB uint8 (H, W, 3), or `ImageError`."""
    shape_is_right = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if array.dtype != np.uint8 or not shape_is_right or 0 in array.shape:
        raise ImageError(
            f"an image array must be uint8 of shape (H, W), (H, W, 3) or (H, W, 4), "
            f"not {array.dtype} {array.shape}"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return rgb_pixels(Image.fromarray(np.ascontiguousarray(array)))


def bands(image: Image.Image, step: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """Yield bands of whole rows, a multiple of `step` except for the last, each with its top row."""
    rows = max(1, _BAND_PIXELS // image.width // step) * step
    if rows >= image.height:
        yield 0, image
        return
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _conversion(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """A function that converts a band of this image to RGB, using facts about the whole image if needed."""
    if image.mode.startswith("I") or image.mode == "F":
        scale = _scale(image)
        return lambda band: Image.fromarray(scale.eight_bits(np.asarray(band))).convert("RGB")
    if image.has_transparency_data:
        ground = _ground(image)
        return lambda band: _on_ground(band.convert("RGBA"), ground)
    if image.mode == "LAB":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(*profiles, "LAB", "RGB")
        return lambda band: ImageCms.applyTransform(band, transform) or band
    return lambda band: band.convert("RGB")


def _on_ground(rgba: Image.Image, ground: str) -> Image.Image:
    image = Image.new("RGBA", rgba.size, ground)
    image.alpha_composite(rgba)
    return image.convert("RGB")


def _ground(image: Image.Image) -> str:
    """The ground for a transparent picture: white, or grey if the picture is so light that it would vanish.

    `groundOf` of the page's resize.js is the same.
    """
    count = total = 0
    for _, band in bands(image):
        red, green, blue, alpha = np.asarray(band.convert("RGBA")).reshape(-1, 4).T
        lightness = np.minimum(np.minimum(red, green), blue)[alpha >= 128]
        count, total = count + lightness.size, total + int(lightness.sum(dtype=np.int64))
    return "#808080" if count and total / count > 224 else "white"


@dataclass(frozen=True, slots=True)
class _Scale:
    """The values that become 0 and 255."""

    low: float
    high: float

    def eight_bits(self, values: NDArray[Any]) -> Pixels:
        if values.dtype.kind == "u":  # of 16 bits: fewer values than pixels
            found: Pixels = self._scaled(np.arange(2**16))[values]
            return found
        return self._scaled(values)

    def _scaled(self, values: NDArray[Any]) -> Pixels:
        scaled = values.astype(np.float64)
        if values.dtype.kind == "f":
            np.nan_to_num(scaled, copy=False, posinf=self.high, neginf=self.low)
        scaled -= self.low
        scaled *= 255 / max(self.high - self.low, 1e-12)
        np.rint(scaled, out=scaled)
        np.clip(scaled, 0, 255, out=scaled)
        return scaled.astype(np.uint8)


def _scale(image: Image.Image) -> _Scale:
    """16-bit grey keeps its absolute scale; other ranges (32-bit, float) are stretched to 0..255.

    A 16-bit TIFF often holds the 10, 12 or 14 bits of a sensor: its scale is the smallest that fits them.
    """
    low, high = _range(image)
    if image.format == "TIFF" and image.mode.startswith("I;16"):
        bits = _depth(image)
        return _Scale(0, 2**bits - 1 if bits < 16 else next(full for full in _DEPTHS if high <= full))
    if image.mode.startswith("I;16") or (image.mode == "I" and low >= 0 and 255 < high < 65536):
        return _Scale(0, 65535)
    if low >= 0 and high <= 255 and high > 1:
        return _Scale(0, 255)
    return _Scale(low, high)


_DEPTHS = tuple(2.0**bits - 1 for bits in (8, 10, 12, 14, 16))


def _depth(image: Image.Image) -> int:
    found = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))
    return int(found[0]) if found and found[0] > 0 else 16


def _range(image: Image.Image) -> tuple[float, float]:
    """The minimum and maximum of the values that are numbers; 0 and 0 if there are none."""
    low, high = np.inf, -np.inf
    for _, band in bands(image):
        values = np.asarray(band)
        if values.dtype.kind == "f":
            values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return (low, high) if low <= high else (0.0, 0.0)
