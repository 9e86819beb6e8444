"""Names of colours: the eleven basic terms of English (Berlin and Kay 1969), dark and light.

What people call a colour is from the survey of xkcd (Munroe 2010, public domain): people named colours on
their screens, and its table has a colour for each name. A pixel has the name whose colour is nearest in
Oklab, in which navy is no purple as it is in CIELAB.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Names and their colours in sRGB.
COLORS = {
    "black": 0x000000, "dark grey": 0x363737, "grey": 0x929591, "light grey": 0xD8DCD6, "white": 0xFFFFFF,
    "red": 0xE50000, "dark red": 0x840000, "light red": 0xFF474C,
    "orange": 0xF97306, "dark orange": 0xC65102, "light orange": 0xFDAA48,
    "yellow": 0xFFFF14, "dark yellow": 0xD5B60A, "light yellow": 0xFFFE7A,
    "green": 0x15B01A, "dark green": 0x033500, "light green": 0x96F97B,
    "blue": 0x0343DF, "dark blue": 0x00035B, "light blue": 0x95D0FC,
    "purple": 0x7E1E9C, "dark purple": 0x35063E, "light purple": 0xBF77F6,
    "pink": 0xFF81C0, "dark pink": 0xCB416B, "light pink": 0xFFD1DF,
    "brown": 0x653700, "dark brown": 0x341C02, "light brown": 0xAD8150,
}  # fmt: skip
NAMES = tuple(COLORS)
# A thumbnail takes a millisecond; measuring a collection's colours should not take much longer than a minute.
MOST_ITEMS = 50_000

# Enough pixels for a share to a hundredth, and levels of red, green and blue.
_SIZE_PX, _LEVELS = 32, 32
# Oklab of linear sRGB (Ottosson, A perceptual color space for image processing, 2020).
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def color_shares(jpeg: bytes) -> NDArray[np.uint8]:
    """The share of a picture's pixels of each of `NAMES`, uint8 (C,) in 255ths; zeros without a picture."""
    if not jpeg:
        return np.zeros(len(NAMES), np.uint8)
    with Image.open(io.BytesIO(jpeg)) as image:
        image.draft("RGB", (_SIZE_PX, _SIZE_PX))
        small = np.asarray(image.convert("RGB").resize((_SIZE_PX, _SIZE_PX), Image.Resampling.BILINEAR))
    levels = small.reshape(-1, 3).astype(np.int64) * _LEVELS // 256
    names = _nearest_names()[levels @ [_LEVELS**2, _LEVELS, 1]]
    return np.rint(np.bincount(names, minlength=len(NAMES)) * 255 / len(names)).astype(np.uint8)


def color_in(text: str) -> str:
    """The name of `NAMES` that a spelled text is; empty if it is none."""
    name = text.replace("gray", "grey")
    return name if name in COLORS else ""


def columns_of(name: str) -> list[int]:
    """The places in `NAMES` of a colour: its dark and light kinds are that colour too."""
    return [at for at, one in enumerate(NAMES) if one == name or one.split(" ")[-1] == name]


@lru_cache(maxsize=1)
def _nearest_names() -> NDArray[np.int64]:
    """For each colour of `_LEVELS` levels a channel, the place of the nearest name, (32768,)."""
    middles = (np.arange(_LEVELS) + 0.5) / _LEVELS
    grid = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), axis=-1).reshape(-1, 3)
    named = np.array([[one >> 16, one >> 8 & 255, one & 255] for one in COLORS.values()]) / 255
    distances = ((_oklab(grid)[:, None] - _oklab(named)[None]) ** 2).sum(axis=2)
    return np.asarray(distances.argmin(axis=1))


def _oklab(colors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Oklab of sRGB colours (n, 3) in [0, 1]."""
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _CONES.T) @ _OKLAB.T)
