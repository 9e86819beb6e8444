"""The oldest idea of similarity, as a baseline: the difference between pixels of tiny pictures."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from lookalike.images.picture import Pixels
from lookalike.models.model import LoadedModel
from lookalike.models.spec import ModelSpec

_SIZE_PX = 32
_RECIPE = b"pixels 1: 32 x 32 RGB, minus 127.5"


def load(device: str) -> LoadedModel:
    """Load the model `pixels`; it runs on the CPU whatever the device."""
    checksum = hashlib.sha256(_RECIPE).hexdigest()
    spec = ModelSpec("pixels", checksum, dim=_SIZE_PX * _SIZE_PX * 3, size_px=_SIZE_PX, crop=1.0)
    return LoadedModel(spec, features)


def features(pixels: Pixels) -> NDArray[np.float32]:
    """Convert uint8 (B, 32, 32, 3) to float32 (B, 3072): each value's distance from middle grey.

    Between vectors of equal length, the cosine ranks pairs as the squared difference of pixels does.
    """
    return pixels.reshape(len(pixels), _SIZE_PX * _SIZE_PX * 3).astype(np.float32) - np.float32(127.5)
