"""A perceptual hash: 64 bits that survive re-encoding, resizing and a change of light."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIZE_PX, _KEPT = 32, 8
# In grey levels: below this standard deviation, noise and rounding decide the bits. A white page with one
# small dot has 0.5, a faint line of text 4.
_LEAST_CONTRAST = 2.0
# The eight orientations of a picture: mirrored or not, then turned counterclockwise by this many quarters.
ORIENTATIONS = tuple((mirrored, quarters) for mirrored in (False, True) for quarters in range(4))


def perceptual_hash(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """bool (64,) for a picture uint8 (H, W): which of its 64 lowest frequencies are above their median.

    pHash (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1).
    All False for a picture without contrast, which has no meaningful hash.
    """
    hashes = _hashes(grey, ORIENTATIONS[:1])
    return np.asarray(hashes[0])


def perceptual_hashes(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """bool (8, 64): the hash of a picture uint8 (H, W) in each of `ORIENTATIONS`."""
    return _hashes(grey, ORIENTATIONS)


def _hashes(grey: NDArray[np.uint8], orientations: Sequence[tuple[bool, int]]) -> NDArray[np.bool_]:
    image = Image.fromarray(grey).resize((_SIZE_PX, _SIZE_PX), Image.Resampling.LANCZOS)
    small = np.asarray(image, np.float32)
    if small.std() < _LEAST_CONTRAST:
        return np.zeros((len(orientations), _KEPT**2), bool)
    laid = np.stack([oriented(small, *one) for one in orientations])
    low = (_DCT @ laid @ _DCT.T).reshape(len(orientations), -1)
    return np.asarray(low > np.median(low, axis=1, keepdims=True))


def oriented(pixels: NDArray[np.generic], mirrored: bool, quarters: int) -> NDArray[np.generic]:
    """A picture (H, W, ...) in one of `ORIENTATIONS`."""
    return np.rot90(pixels[:, ::-1] if mirrored else pixels, quarters)


def _cosines() -> NDArray[np.float32]:
    """(8, 32): the discrete cosine transform II without the mean: frequencies 1 to 8."""
    places, frequencies = np.arange(_SIZE_PX) + 0.5, np.arange(1, _KEPT + 1)
    return np.cos(np.pi / _SIZE_PX * frequencies[:, None] * places).astype(np.float32)


_DCT = _cosines()
