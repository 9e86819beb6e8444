"""Compares the details of two pictures: the same arrangement means the same thing, not just the same kind.

Points with SIFT descriptors (Lowe, Distinctive Image Features from Scale-Invariant Keypoints, 2004) are
paired by the ratio test (section 7.1), an affine map is fitted by RANSAC (Fischler & Bolles 1981) and refined
on the pixels (Evangelidis & Psarakis, Parametric Image Alignment Using Enhanced Correlation Coefficient
Maximization, 2008); it then lays one picture over the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.images.picture import Pixels
from lookalike.models.sift import details, opencv

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]
Affine = NDArray[np.float64]

_RATIO = 0.8  # Lowe's
_TOLERANCE_PX = 3.0
_LEAST_PAIRS = 8  # an affine map needs three, and five more to confirm it
# One picture covers at least this share of the other, and at most its inverse.
_LEAST_COVER = 1 / 16
_STEPS, _LEAST_GAIN = 50, 1e-4
# A crop is inside the other picture, except for pixels that rounding moves over the border.
_LEAST_INSIDE = 0.95


@dataclass(frozen=True, slots=True)
class Points:
    """The `count` details of one picture: `places` float32 (count, 2) in pixels, RootSIFT `descriptors`."""

    grey: Grey
    places: Floats
    descriptors: Floats

    @property
    def mirrored(self) -> Points:
        """The details of the mirrored picture: each grid of 4 x 4 x 8 is flipped, and so are its angles."""
        grids = self.descriptors.reshape(-1, 4, 4, 8)[:, ::-1]
        angles = np.roll(grids[..., ::-1], 1, axis=3)
        places = np.array([self.grey.shape[1] - 1, 0], np.float32) + self.places * np.array(
            [-1, 1], np.float32
        )
        return Points(np.ascontiguousarray(self.grey[:, ::-1]), places, angles.reshape(-1, 128))


@dataclass(frozen=True, slots=True)
class Match:
    """Where one picture is in another: `affine` (2, 3) maps a place in the first to one in the second.

    `inliers` pairs of details agree with it.
    """

    affine: Affine
    inliers: int

    @property
    def scale(self) -> float:
        """How many times as large an area of the first is on the second."""
        return float(np.linalg.det(self.affine[:, :2]))

    @property
    def inverse(self) -> Match:
        """The match from the second to the first."""
        square = np.linalg.inv(np.vstack([self.affine, [0, 0, 1]]))
        return Match(square[:2], self.inliers)


def points_of(grey: Grey) -> Points:
    """The details of a picture uint8 (H, W)."""
    return Points(grey, *details(grey))


def match(one: Points, other: Points) -> Match | None:
    """Where the first is in the second; None if the details do not tell."""
    cv2 = opencv()
    pairs = _paired(one, other)
    if len(pairs) < _LEAST_PAIRS:
        return None
    source, target = one.places[pairs[:, 0]], other.places[pairs[:, 1]]
    cv2.setRNGSeed(0)
    affine, mask = cv2.estimateAffine2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=_TOLERANCE_PX
    )
    if affine is None or mask.sum() < _LEAST_PAIRS:
        return None
    found = Match(affine, int(mask.sum()))
    share = found.scale * one.grey.size / other.grey.size
    # It may fold a picture into a corner, or mirror it (an area below 0), which no crop does: the caller
    # compares mirrored pictures.
    return found if _LEAST_COVER < share < 1 / _LEAST_COVER else None


def exact(found: Match, one: Grey, other: Grey) -> Match:
    """Refine a match on all pixels to a fraction of a pixel; unchanged if the pictures differ."""
    cv2 = opencv()
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, _LEAST_GAIN)
    start = found.affine.astype(np.float32)
    try:
        _, affine = cv2.findTransformECC(one, other, start, cv2.MOTION_AFFINE, until)
    except cv2.error:  # it does not converge
        return found
    return Match(affine.astype(np.float64), found.inliers)


def laid(found: Match, one: Pixels, other: Pixels) -> Pixels | None:
    """The part of the second that matches the first, in the first's size; both uint8 (H, W, 3).

    None if the first is not inside the second.
    """
    cv2 = opencv()
    # Blur before shrinking, or some of the second's pixels would be left out.
    blur = max(0.0, np.sqrt(max(found.scale, 0)) - 1) / 2
    smooth = cv2.GaussianBlur(other, (0, 0), blur) if blur > 0.1 else other
    size, flags = (one.shape[1], one.shape[0]), cv2.WARP_INVERSE_MAP
    covered = cv2.warpAffine(np.full_like(other[:, :, 0], 255), found.affine, size, flags=flags) == 255
    if covered.mean() < _LEAST_INSIDE:
        return None
    shown = cv2.warpAffine(smooth, found.affine, size, flags=flags | cv2.INTER_LINEAR)
    return np.where(covered[:, :, None], shown, one)


def _paired(one: Points, other: Points) -> NDArray[np.int64]:
    """The numbers (n, 2) of details that match much better than the next best."""
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
