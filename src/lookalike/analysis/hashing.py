"""A perceptual hash: 64 bits that survive re-encoding, resizing and a change of light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIZE_PX, _KEPT = 32, 8
# Grey levels: below this standard deviation the bits come from noise and rounding. A white page with one
# small dot has 0.5, a faint line of text 4.
_LEAST_CONTRAST = 2.0


def perceptual_hash(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """bool (64,) of a picture uint8 (H, W): which of its 64 lowest frequencies lie above their median.

    pHash (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1).
    All False for a picture without contrast, of which nothing can be said.
    """
    image = Image.fromarray(grey).resize((_SIZE_PX, _SIZE_PX), Image.Resampling.LANCZOS)
    small = np.asarray(image, np.float32)
    if small.std() < _LEAST_CONTRAST:
        return np.zeros(_KEPT**2, bool)
    low = _DCT @ small @ _DCT.T
    return np.asarray((low > np.median(low)).ravel())


def _cosines() -> NDArray[np.float32]:
    """(8, 32): the discrete cosine transform II, but for the mean: frequencies 1 to 8."""
    places, frequencies = np.arange(_SIZE_PX) + 0.5, np.arange(1, _KEPT + 1)
    return np.cos(np.pi / _SIZE_PX * frequencies[:, None] * places).astype(np.float32)


_DCT = _cosines()
