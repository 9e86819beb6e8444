"""The same thing, not just the same kind: do the details of two pictures lie in the same arrangement?

Points with SIFT descriptors (Lowe, Distinctive Image Features from Scale-Invariant Keypoints, 2004) are
paired by the ratio test (section 7.1), a homography is fitted by RANSAC (Fischler & Bolles 1981), and then
one picture is laid over the other by it: where the pixels agree too, the two show the same scene from the
same place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.models.sift import details, opencv

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]

_RATIO = 0.8  # Lowe's
_TOLERANCE_PX = 3.0
_LEAST_PAIRS = 8  # a homography needs four, and four more to speak for it
# One picture covers at least this share of the other, and at most its inverse.
_LEAST_COVER = 1 / 16


@dataclass(frozen=True, slots=True)
class Points:
    """The `count` details of one picture: `places` float32 (count, 2) in pixels, RootSIFT `descriptors`."""

    grey: Grey
    places: Floats
    descriptors: Floats


@dataclass(frozen=True, slots=True)
class Match:
    """How one picture lies on another: `homography` (3, 3) from the first to the second.

    `inliers` pairs of details agree with it. `overlap` is the share of the smaller picture that is in both,
    and `correlation` that of the pixels there, -1 to 1.
    """

    homography: NDArray[np.float64]
    inliers: int
    overlap: float
    correlation: float


def points_of(grey: Grey) -> Points:
    """The details of a picture uint8 (H, W)."""
    return Points(grey, *details(grey))


def match(one: Points, other: Points) -> Match | None:
    """How the first lies on the second; None where the details do not say."""
    cv2 = opencv()
    pairs = _paired(one, other)
    if len(pairs) < _LEAST_PAIRS:
        return None
    source, target = one.places[pairs[:, 0]], other.places[pairs[:, 1]]
    cv2.setRNGSeed(0)
    homography, mask = cv2.findHomography(source, target, cv2.RANSAC, _TOLERANCE_PX)
    if homography is None or mask.sum() < _LEAST_PAIRS:
        return None
    overlap, correlation = _agreement(one.grey, other.grey, homography)
    return Match(homography, int(mask.sum()), overlap, correlation)


def _paired(one: Points, other: Points) -> NDArray[np.int64]:
    """(n, 2) numbers of details that are alike in both, and much more than the next best is."""
    if len(one.places) < 2 or len(other.places) < 2:
        return np.empty((0, 2), np.int64)
    cosines = one.descriptors @ other.descriptors.T  # RootSIFT descriptors have unit length
    best = np.argpartition(-cosines, 1, axis=1)[:, :2]
    distances = np.sqrt(np.maximum(2 - 2 * np.take_along_axis(cosines, best, axis=1), 0))
    order = distances.argsort(axis=1)
    distances = np.take_along_axis(distances, order, axis=1)
    nearest = np.take_along_axis(best, order, axis=1)[:, 0]
    clear = distances[:, 0] < _RATIO * distances[:, 1]
    return np.column_stack([np.flatnonzero(clear), nearest[clear]])


def _agreement(one: Grey, other: Grey, homography: NDArray[np.float64]) -> tuple[float, float]:
    """The share of the smaller picture in both, and the correlation of the pixels there."""
    cv2 = opencv()
    size = other.shape[1], other.shape[0]
    laid = cv2.warpPerspective(one, homography, size)
    covered = cv2.warpPerspective(np.full_like(one, 255), homography, size, flags=cv2.INTER_NEAREST) > 0
    area = float(np.linalg.det(homography[:2, :2])) * one.size
    # It may fold a picture into a corner, where a few smooth pixels agree easily, or turn it over (area
    # below 0), which no view does: what is mirrored has to be compared mirrored.
    if not _LEAST_COVER * other.size < area < other.size / _LEAST_COVER:
        return 0.0, 0.0
    overlap = min(float(covered.sum()) / min(float(other.size), area), 1.0)
    a, b = laid[covered].astype(np.float32), other[covered].astype(np.float32)
    if len(a) < _LEAST_COVER * other.size or a.std() < 1 or b.std() < 1:
        return overlap, 0.0
    return overlap, float(np.corrcoef(a, b)[0, 1])
