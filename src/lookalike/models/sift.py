"""Details counted, the idea of likeness before networks: which corners and blobs are in a picture, wherever.

Points with SIFT descriptors (Lowe, Distinctive Image Features from Scale-Invariant Keypoints, 2004) as
RootSIFT (Arandjelović & Zisserman 2012), pooled by VLAD (Jégou, Douze, Schmid & Pérez, Aggregating local
descriptors into a compact image representation, 2010): each goes to the nearest centre of a codebook, and
the vector is, for each centre, the sum of the differences to it.
"""

from __future__ import annotations

import hashlib
import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ExtraError
from lookalike.images import Pixels
from lookalike.models import Model, ModelSpec

Floats = NDArray[np.float32]

# float32 (16, 128), by tools/build_sift.py.
CODEBOOK_FILE = Path(__file__).with_name("sift_codebook.npy")

_SIZE_PX = 224
_MOST_DETAILS = 400
_RECIPE = b"sift 1: 224 px, RootSIFT, at most 400, contrast 0.02, VLAD, each centre of length 1; codebook "


def load(device: str) -> Model:
    """The model `sift`; it runs on the CPU whatever the device. Raises `ExtraError` without OpenCV."""
    opencv()
    data = CODEBOOK_FILE.read_bytes()
    codebook = np.load(io.BytesIO(data), allow_pickle=False)
    spec = ModelSpec(
        "sift", hashlib.sha256(_RECIPE + data).hexdigest(), dim=codebook.size, size_px=_SIZE_PX, crop=1.0
    )
    return Model(spec, partial(features, codebook=codebook))


def features(pixels: Pixels, codebook: Floats) -> Floats:
    """uint8 (B, S, S, 3) to float32 (B, C * 128), as C centres pool the details; 0 where there is none."""
    cv2 = opencv()
    pooled = np.zeros((len(pixels), codebook.size), np.float32)
    for row, picture in enumerate(pixels):
        pooled[row] = vlad(details(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))[1], codebook)
    return pooled


def vlad(descriptors: Floats, codebook: Floats) -> Floats:
    """Descriptors float32 (n, 128) to (C * 128,): their sums of differences to the C centres.

    The part of each centre has length 1, so that one pattern that repeats does not outweigh all others
    (Arandjelović & Zisserman, All about VLAD, 2013).
    """
    sums = np.zeros_like(codebook)
    nearest = (descriptors @ codebook.T - (codebook**2).sum(axis=1) / 2).argmax(axis=1)
    np.add.at(sums, nearest, descriptors - codebook[nearest])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    pooled: Floats = np.divide(sums, lengths, out=sums, where=lengths > 0)
    return pooled.ravel()


def details(grey: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """The details of a picture uint8 (H, W): places (n, 2) in pixels, and RootSIFT descriptors (n, 128)."""
    sift = opencv().SIFT_create(nfeatures=_MOST_DETAILS, contrastThreshold=0.02)
    keypoints, descriptors = sift.detectAndCompute(grey, None)
    if descriptors is None:
        return np.empty((0, 2), np.float32), np.empty((0, 128), np.float32)
    rooted = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9))
    return np.array([one.pt for one in keypoints], np.float32), rooted.astype(np.float32)


def opencv() -> Any:
    """The module cv2; raises `ExtraError` where it is not installed."""
    try:
        import cv2
    except ImportError:
        raise ExtraError("the details of pictures need OpenCV", "sift") from None
    return cv2
