"""Principal components: the few directions in which the items of a collection differ most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.storage.selection import Selection, Vectors


def project(selection: Selection, components: int) -> Vectors:
    """The first principal components of all items, float32 (N, C); reads the vectors twice, part by part.

    The sign of a component is such that its largest weight is positive, so that a picture is not mirrored at
    random. Where the items differ in fewer directions, the rest is 0.
    """
    mean, directions = _principal(selection, components)
    return np.concatenate([(block - mean) @ directions for block in selection.blocks()])


def projection_bytes(selection: Selection, components: int) -> int:
    """What `project` takes: the covariance with what finds its directions, and the result twice."""
    return 6 * 8 * selection.dim**2 + 2 * 4 * len(selection) * components


def _principal(selection: Selection, components: int) -> tuple[Vectors, Vectors]:
    """The mean (D,) and the directions (D, C) of the largest variance, by the covariance of all vectors."""
    dim = selection.dim
    total, products = np.zeros(dim), np.zeros((dim, dim))
    for block in selection.blocks():
        total += block.sum(axis=0, dtype=np.float64)
        products += block.T @ block
    mean = total / len(selection)
    covariance: NDArray[np.float64] = products / len(selection) - np.outer(mean, mean)
    variances, directions = np.linalg.eigh(covariance)
    chosen = np.argsort(-variances, kind="stable")[:components]
    directions = directions[:, chosen]
    directions *= np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(len(chosen))])
    directions[:, variances[chosen] < 1e-9] = 0
    return mean.astype(np.float32), directions.astype(np.float32)
