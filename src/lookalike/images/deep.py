"""TIFFs with 10, 12 or 14 bits a colour in 16: Pillow keeps only the high bytes, which are nearly black.

Read a second time for the low bytes, such a picture has all its bits, and is scaled by how many it holds.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.images.early import encoded_bytes, load
from lookalike.images.modes import bands, rgb_pixels
from lookalike.images.picture import Pixels

# Pillow's names for the order of a sample's two bytes, and the other order.
_SWAPPED = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}

# The largest high byte of a picture that holds 8, 10, 12 and 14 bits.
_HIGHEST = {8: 0, 10: 3, 12: 15, 14: 63}

# Beside the pixels, for each of them: up to four channels of 16 and of 8 bits.
BYTES_BESIDE = 12


def is_deep(image: Image.Image) -> bool:
    """Whether an image that is not yet loaded is a TIFF with 16 bits of red, green and blue."""
    return image.format == "TIFF" and any(
        _raw_mode(tile).startswith(("RGB;16", "RGBA;16", "RGBX;16")) for tile in getattr(image, "tile", ())
    )


def low_bytes(image: Image.Image) -> Image.Image:
    """The same picture, opened again so that loading it gives the low bytes."""
    again: Any = Image.open(io.BytesIO(encoded_bytes(image)), formats=["TIFF"])
    again.seek(image.tell())
    again.tile = [
        tile._replace(args=(_raw_mode(tile)[:-1] + _SWAPPED[_raw_mode(tile)[-1]], *tile.args[1:]))
        for tile in again.tile
    ]
    return again  # type: ignore[no-any-return]


def deep_pixels(
    high: Image.Image, low: Image.Image, reduction: int, free: Callable[[Image.Image], None]
) -> Pixels:
    """Convert to RGB as `rgb_pixels` does; `high` is loaded, and `free` is called with it before `low` is.

    Colours are scaled by the smallest of 8, 10, 12, 14 and 16 bits that fits them, and so is transparency.
    """
    bits = _held_bits(high)
    if bits[0] == 16:
        return rgb_pixels(high, reduction)
    width, height = high.size
    values = np.zeros((-(-height // reduction), -(-width // reduction), len(bits)), np.uint16)
    _add(values, high, reduction, 256)
    free(high)
    load(low)
    _add(values, low, reduction, 1)
    low.close()
    eight = np.empty(values.shape, np.uint8)
    for channel, held in enumerate(bits):
        scaled = np.rint(np.arange(2**16) * (255 / (2**held - 1))).clip(0, 255).astype(np.uint8)
        eight[..., channel] = scaled[values[..., channel]]
    return rgb_pixels(Image.fromarray(eight))


def _held_bits(high: Image.Image) -> list[int]:
    """How many bits each channel holds, by its high bytes; the colours hold equally many."""
    peaks = [int(peak) for _, peak in high.getextrema()]  # type: ignore[misc]
    peaks[:3] = [max(peaks[:3])] * 3
    return [next((bits for bits, highest in _HIGHEST.items() if peak <= highest), 16) for peak in peaks]


def _add(values: NDArray[np.uint16], image: Image.Image, reduction: int, factor: int) -> None:
    """Add the means of squares of `reduction` pixels a side, times `factor`, to the values (H, W, C)."""
    for top, band in bands(image, reduction):
        for channel, one in enumerate(band.split()):
            means = np.asarray(one.convert("F").reduce(reduction))
            first = top // reduction
            values[first : first + len(means), :, channel] += np.rint(means * factor).astype(np.uint16)


def _raw_mode(tile: Any) -> str:
    args = tile.args
    return str(args[0]) if isinstance(args, tuple) and args else ""
