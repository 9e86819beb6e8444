"""How the vectors of a collection spread: their mean and covariance, and directions that set some apart.

Some pictures are told from all others by their mean less that of the collection. Dividing that by the
covariance plus a ridge ignores how the pictures differ anyway (Hariharan, Malik & Ramanan, Discriminative
decorrelation for clustering and classification, 2012); it is ridge regression on belonging to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from lookalike.models.model import unit

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]

# Enough for a mean and a covariance of a thousand dimensions, and to know the scores of other pictures.
SAMPLE_ROWS = 4096
# The ridge in mean variances of a dimension; without one, the covariance does not count.
RIDGES = (1.0, 10.0, None)
USUAL_RIDGE = 10.0


def sample_rows(count: int) -> Rows:
    """The rows of a spread of `count`, (n,)."""
    return np.unique(np.linspace(0, count - 1, min(count, SAMPLE_ROWS)).astype(np.int64))


@dataclass(frozen=True, eq=False)
class Spread:
    """Rows evenly spaced over a collection, (n,), and their vectors (n, D)."""

    rows: Rows
    vectors: Vectors

    @staticmethod
    def of(count: int, vectors_at: Callable[[Rows], Vectors]) -> Spread:
        """That of `count` rows, whose vectors `vectors_at` reads."""
        rows = sample_rows(count)
        return Spread(rows, vectors_at(rows))

    @cached_property
    def mean(self) -> Vectors:
        """The mean vector, (D,)."""
        return np.asarray(self.vectors.mean(axis=0))

    def apart(self, differences: Vectors, ridge: float | None) -> Vectors:
        """The unit directions (W, D) that set apart what differs by these vectors (W, D) from the mean."""
        if ridge is None:
            return unit(differences)
        centred = self._centred
        if len(centred) >= centred.shape[1]:
            return unit(differences @ self._inverse(ridge))
        # With fewer rows than dimensions, by the identity of Woodbury.
        projected = differences @ centred.T @ self._inverse(ridge) @ centred
        return unit(np.asarray(differences - projected, np.float32))

    @cached_property
    def _centred(self) -> Vectors:
        return np.asarray(self.vectors - self.mean)

    @cache  # noqa: B019 - a spread is short-lived
    def _inverse(self, ridge: float) -> Vectors:
        """The inverse of the scatter (D, D) with a ridge; or of the products (n, n), if these are fewer."""
        centred = self._centred
        matrix = centred.T @ centred if len(centred) >= centred.shape[1] else centred @ centred.T
        # Pictures that are all equal have no variance.
        amount = max(ridge * float(np.einsum("nd,nd->", centred, centred)) / centred.shape[1], 1e-6)
        return np.asarray(np.linalg.inv(matrix + np.float32(amount) * np.eye(len(matrix), dtype=np.float32)))
