"""Principal components: the few directions in which the items of a collection differ most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.storage.selection import Selection, Vectors

Floats = NDArray[np.float64]


def project(selection: Selection, components: int) -> Vectors:
    """The first principal components of all items, float32 (N, C); reads the vectors twice, part by part.

    The largest weight of each component is made positive, so that a map is not mirrored at
    random. If the items differ in fewer directions, the rest is 0.
    """
    mean, directions = _principal(selection, components)
    return np.concatenate([(block - mean) @ directions for block in selection.blocks()])


def projection_bytes(selection: Selection, components: int) -> int:
    """The bytes that `project` needs: the products, finding the directions, and the result twice."""
    least = min(selection.dim, len(selection))
    centred = 3 * 8 * len(selection) * selection.dim if _is_small(selection) else 0
    return 6 * 8 * least**2 + centred + 2 * 4 * len(selection) * components


def _is_small(selection: Selection) -> bool:
    return len(selection) < selection.dim


def _principal(selection: Selection, components: int) -> tuple[Vectors, Vectors]:
    """The mean (D,) and the directions (D, C) of the largest variance, each of unit length or 0."""
    find = _by_items if _is_small(selection) else _by_dimensions
    mean, variances, directions = find(selection, components)
    directions *= np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    directions[:, variances < 1e-9] = 0
    missing = components - directions.shape[1]
    return mean.astype(np.float32), np.pad(directions, ((0, 0), (0, missing))).astype(np.float32)


def _by_dimensions(selection: Selection, components: int) -> tuple[Floats, Floats, Floats]:
    """From the covariance (D, D) of all vectors."""
    dim = selection.dim
    total, products = np.zeros(dim), np.zeros((dim, dim))
    for block in selection.blocks():
        total += block.sum(axis=0, dtype=np.float64)
        products += block.T @ block
    mean = total / len(selection)
    variances, directions = _largest(products / len(selection) - np.outer(mean, mean), components)
    return mean, variances, directions


def _by_items(selection: Selection, components: int) -> tuple[Floats, Floats, Floats]:
    """From the products (N, N) of all vectors with each other, which have the same largest eigenvalues."""
    vectors = np.concatenate(list(selection.blocks())).astype(np.float64)
    mean = vectors.mean(axis=0)
    vectors -= mean
    variances, weights = _largest(vectors @ vectors.T / len(vectors), components)
    directions = vectors.T @ weights
    lengths = np.linalg.norm(directions, axis=0)
    return mean, variances, directions / np.maximum(lengths, 1e-12)


def _largest(symmetric: Floats, count: int) -> tuple[Floats, Floats]:
    """The largest eigenvalues, descending, and their vectors as columns."""
    values, vectors = np.linalg.eigh(symmetric)
    chosen = np.argsort(-values, kind="stable")[:count]
    return values[chosen], vectors[:, chosen]
