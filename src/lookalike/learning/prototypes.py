"""The words of a model that learned from labels: the means of classes, and what a cosine with one says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.models.class_words import INTERCEPT, SLOPE, ClassWords
from lookalike.models.head_model import Floats
from lookalike.models.model import unit

Ints = NDArray[np.int64]

_STEPS, _RIDGE = 50, 1e-3
_FEWEST = 20  # pictures to calibrate by


def calibrated_words(
    names: tuple[str, ...],
    classes: Ints,
    *,
    vectors: Floats,
    otherwise: Floats,
    judged: Floats,
    unseen: NDArray[np.bool_],
) -> ClassWords:
    """The words of C classes, from unit vectors (N, D) of their items.

    `otherwise` (C, D) are the vectors of classes of which `vectors` has no item. `judged` (N, D) are the
    vectors of a model that did not learn from the items that are `unseen`: these say what a cosine is worth.
    """
    sums = sums_of_classes(vectors, classes, len(names))
    means = np.where(sums.any(axis=1, keepdims=True), sums, otherwise)
    return ClassWords(names, unit(means), *_calibrated(judged, classes, unseen, len(names)))


def sums_of_classes(vectors: Floats, classes: Ints, count: int) -> Floats:
    """The sum of the vectors of each class, (C, D)."""
    sums = np.zeros((count, vectors.shape[1]), np.float32)
    np.add.at(sums, classes, vectors)
    return sums


def _calibrated(vectors: Floats, classes: Ints, unseen: NDArray[np.bool_], count: int) -> tuple[float, float]:
    """Slope and intercept of the probability of a class by the cosine with the mean of its other items.

    A logistic regression on all pairs of an unseen item and a class, by Newton's method.
    """
    sums = sums_of_classes(vectors, classes, count)
    items = np.flatnonzero(unseen & (np.bincount(classes, minlength=count)[classes] > 1))
    if len(items) < _FEWEST:
        return SLOPE, INTERCEPT
    filled = np.flatnonzero(sums.any(axis=1))
    cosines = vectors[items] @ unit(sums[filled]).T
    own = np.searchsorted(filled, classes[items])
    at = np.arange(len(items))
    cosines[at, own] = (unit(sums[classes[items]] - vectors[items]) * vectors[items]).sum(axis=1)
    is_own = np.zeros(cosines.shape, bool)
    is_own[at, own] = True
    return _logistic(cosines.ravel().astype(np.float64), is_own.ravel())


def _logistic(values: NDArray[np.float64], positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of the logistic regression of truths (n,) on values (n,)."""
    inputs = np.stack([values, np.ones_like(values)], axis=1)

    def loss(line: NDArray[np.float64]) -> float:
        odds = inputs @ line
        return float(np.logaddexp(0, odds).sum() - odds[positive].sum() + _RIDGE / 2 * line @ line)

    found = np.array([SLOPE, INTERCEPT])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(inputs @ found, -50, 50)))
        curvature = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + _RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, inputs.T @ (chance - positive) + _RIDGE * found)
        lengths = (0.5**halving for halving in range(30))  # a whole step from a poor start may lead away
        found_next = next(
            (found - one * step for one in lengths if loss(found - one * step) < loss(found)), None
        )
        if found_next is None:
            break
        found = found_next
    return float(found[0]), float(found[1])
