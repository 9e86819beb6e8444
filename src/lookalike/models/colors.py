"""A picture as a small grid of average colours: instant, and enough to find pictures with the same mood.

After the color layout descriptor of MPEG-7 (ISO/IEC 15938-3), without its cosine transform, which does not
change cosine similarities.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from lookalike.images.picture import Pixels
from lookalike.models.model import LoadedModel
from lookalike.models.spec import ModelSpec

_SIZE_PX, _CELLS = 64, 8
_RECIPE = b"colors 1: 8 x 8 cells of 64 px, YCbCr of ITU-R BT.601, minus middle grey"

# Rows: luma, blue and red difference (ITU-R BT.601, full range).
_YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)


def load(device: str) -> LoadedModel:
    """Load the model `colors`; it runs on the CPU whatever the device."""
    checksum = hashlib.sha256(_RECIPE).hexdigest()
    spec = ModelSpec("colors", checksum, dim=_CELLS * _CELLS * 3, size_px=_SIZE_PX, crop=1.0)
    return LoadedModel(spec, features)


def features(pixels: Pixels) -> NDArray[np.float32]:
    """Convert uint8 (B, 64, 64, 3) to float32 (B, 192): luma and two colour differences of 8 x 8 cells."""
    step = _SIZE_PX // _CELLS
    cells = pixels.reshape(-1, _CELLS, step, _CELLS, step, 3).mean(axis=(2, 4), dtype=np.float32)
    layout = (cells - np.float32(127.5)) @ _YCBCR.T
    return np.ascontiguousarray(layout.reshape(len(pixels), _CELLS * _CELLS * 3), dtype=np.float32)
