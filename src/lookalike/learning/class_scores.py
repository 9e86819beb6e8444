"""Shrinkage linear discriminant analysis: how likely each class is, from a vector.

Every class is a cloud around its mean, and all clouds have one shape, the covariance within classes. With
fewer pictures than dimensions that shape is unknown in most directions, so it is shrunk towards a sphere
(Friedman 1989, doi:10.1080/01621459.1989.10478752). All classes are equally likely beforehand.

`discriminant` has the same scores among other parts of a head, all from one eigendecomposition of sums. Here
only scores are needed, of vectors in memory: to solve for them takes a half to a third of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

# No class without a picture is ever likely.
_ABSENT = -1e9
# Vectors that are all equal have no spread to divide by.
_LEAST_SPREAD = 1e-9
# The work grows with their cube; random projections keep distances (Johnson and Lindenstrauss 1984).
_MOST_DIMENSIONS = 1536


@dataclass(frozen=True, slots=True)
class Discriminant:
    """A linear score for each of C classes: `matrix` float32 (D, C), `offset` float32 (C,)."""

    matrix: Floats
    offset: Floats

    def scores(self, vectors: Floats) -> Floats:
        """The log-likelihood of each class up to a constant: float32 (N, C) of vectors (N, D)."""
        return np.asarray(vectors @ self.matrix + self.offset, np.float32)


def fit(vectors: Floats, classes: Ints, count: int, shrinkages: Sequence[float]) -> Iterator[Discriminant]:
    """Fit one discriminant for each of some shrinkages, 0 to 1, of the covariance within `count` classes.

    `vectors` are float32 (N, D), `classes` (N,) in [0, count).
    """
    dim = vectors.shape[1]
    if dim > _MOST_DIMENSIONS:
        squeeze = np.random.default_rng(0).normal(0, _MOST_DIMENSIONS**-0.5, (dim, _MOST_DIMENSIONS))
        narrow = squeeze.astype(np.float32)
        for one in fit(vectors @ narrow, classes, count, shrinkages):
            yield Discriminant(narrow @ one.matrix, one.offset)
        return
    sizes = np.bincount(classes, minlength=count)
    means = np.zeros((count, vectors.shape[1]), np.float32)
    np.add.at(means, classes, vectors)
    means /= np.maximum(sizes, 1)[:, None]
    rests = vectors - means[classes]
    free = max(len(vectors) - int((sizes > 0).sum()), 1)
    spread = max(float((rests**2).sum()) / free / dim, _LEAST_SPREAD)
    few = len(vectors) <= dim and min(shrinkages) > 0
    products = rests @ rests.T if few else rests.T @ rests
    for shrinkage in shrinkages:
        of_data, of_sphere = (1 - shrinkage) / free, shrinkage * spread
        shape = of_data * products
        shape[np.diag_indices(len(shape))] += of_sphere
        if few:  # Woodbury's identity: N x N in place of D x D
            inner = np.linalg.solve(shape, rests @ means.T)
            matrix = (means.T - of_data * (rests.T @ inner)) / of_sphere
        else:
            matrix = np.linalg.solve(shape, means.T)
        offset = np.where(sizes > 0, -0.5 * (means.T * matrix).sum(axis=0), _ABSENT)
        yield Discriminant(matrix.astype(np.float32), offset.astype(np.float32))


def probabilities(scores: Floats, temperature: float) -> Floats:
    """The probability of each class, float32 (N, C), from scores that are `temperature` times too sure."""
    odds = (scores - scores.max(axis=1, keepdims=True)) / temperature
    found = np.exp(odds)
    return np.asarray(found / found.sum(axis=1, keepdims=True), np.float32)


def surprise(scores: Floats, classes: Ints, temperature: float) -> float:
    """The mean of -log of the probability of the true class: low if the probabilities are honest."""
    odds = (scores - scores.max(axis=1, keepdims=True)) / temperature
    true = np.take_along_axis(odds, classes[:, None], axis=1)[:, 0]
    return float(np.mean(np.log(np.exp(odds).sum(axis=1)) - true))
