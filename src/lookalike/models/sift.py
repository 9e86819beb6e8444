"""Local details, counted: the idea of similarity before networks. Which corners and blobs, anywhere?

Keypoints with SIFT descriptors (Lowe, Distinctive Image Features from Scale-Invariant Keypoints, 2004) as
RootSIFT (Arandjelović & Zisserman 2012), pooled by VLAD (Jégou, Douze, Schmid & Pérez, Aggregating local
descriptors into a compact image representation, 2010): each descriptor goes to the nearest centre of a
codebook, and the vector holds, for each centre, the sum of the differences to it. The codebook is learned
from pictures; without it the model cannot embed.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ExtraError, ModelError
from lookalike.images.picture import Pixels
from lookalike.models.model import LoadedModel
from lookalike.models.npz import read_npz
from lookalike.models.spec import ModelSpec

Floats = NDArray[np.float32]

_SIZE_PX = 224
_MOST_DETAILS = 400
_CENTRES = 16
_SEED = 0
_RECIPE = "sift 2: 224 px, RootSIFT, at most 400, contrast 0.02, VLAD, each centre of length 1"


def load(device: str, learned: bytes | None = None) -> LoadedModel:
    """Load the model `sift` with what `learn` returned; it runs on the CPU whatever the device.

    Without it, embedding raises `ModelError`. Raises `ExtraError` without OpenCV, and `ModelError` for a
    codebook from another version.
    """
    opencv()
    if learned is None:
        spec = ModelSpec("sift", hashlib.sha256(_RECIPE.encode()).hexdigest(), _CENTRES * 128, _SIZE_PX, 1.0)
        return LoadedModel(spec, _untaught)
    codebook = _codebook(learned)
    spec = ModelSpec("sift", hashlib.sha256(learned).hexdigest(), codebook.size, _SIZE_PX, 1.0)
    return LoadedModel(spec, partial(features, codebook=codebook))


def learn(pictures: Sequence[Pixels]) -> bytes:
    """Learn a codebook from pictures uint8 (S, S, 3): an NPZ file with its `recipe` and `codebook`.

    The centres come from seeded k-means. Raises `ModelError` if there are fewer details than centres.
    """
    cv2 = opencv()
    found = [details(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))[1] for picture in pictures]
    descriptors = np.concatenate([np.empty((0, 128), np.float32), *found])
    if len(descriptors) < _CENTRES:
        raise ModelError(
            f"sift needs {_CENTRES} details to learn from, but the images have {len(descriptors)}",
            "choose a `model` that learns nothing, such as pixels",
        )
    cv2.setRNGSeed(_SEED)
    until = (cv2.TERM_CRITERIA_MAX_ITER, 25, 0)
    _, _, codebook = cv2.kmeans(descriptors, _CENTRES, None, until, 1, cv2.KMEANS_PP_CENTERS)
    file = io.BytesIO()
    np.savez(file, recipe=np.array(_RECIPE), codebook=codebook)
    return file.getvalue()


def _codebook(learned: bytes) -> Floats:
    """The centres float32 (C, 128) in a codebook file; raises `ModelError` if another version made it."""
    try:
        arrays = read_npz(learned)
        recipe, codebook = str(arrays["recipe"]), np.asarray(arrays["codebook"], np.float32)
    except (ValueError, KeyError):
        recipe, codebook = "", np.empty((0, 128), np.float32)
    if recipe != _RECIPE or codebook.shape != (_CENTRES, 128):
        raise ModelError(
            "the codebook was not learned by this version of sift",
            "embed the images again with: `lookalike.build(source, collection=path, rebuild=True)`",
        )
    return codebook


def _untaught(pixels: Pixels) -> Floats:
    raise ModelError(
        "sift has to learn from pictures before it can embed one",
        "make a collection with: `lookalike.build(source, collection=path, model='sift')`",
    )


def features(pixels: Pixels, codebook: Floats) -> Floats:
    """Convert uint8 (B, S, S, 3) to float32 (B, C * 128), details pooled by C centres; 0 without details."""
    cv2 = opencv()
    pooled = np.zeros((len(pixels), codebook.size), np.float32)
    for row, picture in enumerate(pixels):
        pooled[row] = vlad(details(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))[1], codebook)
    return pooled


def vlad(descriptors: Floats, codebook: Floats) -> Floats:
    """Pool descriptors float32 (n, 128) to (C * 128,): the sums of their differences to the C centres.

    Each centre's part is scaled to length 1, so that a single repeated pattern does not outweigh all others
    (Arandjelović & Zisserman, All about VLAD, 2013).
    """
    sums = np.zeros_like(codebook)
    nearest = (descriptors @ codebook.T - (codebook**2).sum(axis=1) / 2).argmax(axis=1)
    np.add.at(sums, nearest, descriptors - codebook[nearest])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    pooled: Floats = np.divide(sums, lengths, out=sums, where=lengths > 0)
    return pooled.ravel()


def details(grey: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Find the details of a picture uint8 (H, W): places (n, 2) in pixels, RootSIFT descriptors (n, 128)."""
    sift = opencv().SIFT_create(nfeatures=_MOST_DETAILS, contrastThreshold=0.02)
    keypoints, descriptors = sift.detectAndCompute(grey, None)
    if descriptors is None:
        return np.empty((0, 2), np.float32), np.empty((0, 128), np.float32)
    rooted = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9))
    return np.array([one.pt for one in keypoints], np.float32), rooted.astype(np.float32)


def opencv() -> Any:
    """The module cv2; raises `ExtraError` if it is not installed."""
    try:
        import cv2
    except ImportError:
        raise ExtraError("finding details in pictures needs OpenCV", "sift") from None
    return cv2
