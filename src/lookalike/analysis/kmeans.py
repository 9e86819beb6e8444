"""Spherical k-means over more vectors than fit in memory: groups of directions, by cosine.

faiss trains it on a sample; passes over everything, a block at a time, then improve it (Dhillon & Modha,
Concept Decompositions for Large Sparse Text Data Using Clustering, 2001; Lloyd, 1982).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Labels = NDArray[np.int32]
Blocks = Callable[[], Iterable[Vectors]]

# At most this many samples for each centre, as in faiss: more hardly change the centres.
SAMPLE_PER_CENTRE = 256
_ITERATIONS, _STARTS = 20, 2
# Passes continue while they gain more than this share of the inertia.
_LEAST_GAIN, _MOST_PASSES = 1e-3, 10


@dataclass(frozen=True, slots=True)
class KMeans:
    """Unit `centres` float32 (k, D); each item's centre `labels` (N,) and its cosine to it `scores` (N,)."""

    centres: Vectors
    labels: Labels
    scores: Vectors


def spherical_kmeans(blocks: Blocks, sample: Vectors, k: int, seed: int) -> KMeans:
    """Cluster the vectors that each call of `blocks()` yields into k groups, starting from `sample` (n, D).

    The same seed gives the same groups. Holds one block and its (n, k) scores beside the sample. A group may
    end up empty.
    """
    centres, before = train(sample, k, seed), np.inf
    for _ in range(_MOST_PASSES):
        found, sums = _assigned(blocks, centres)
        inertia = float(2 * (1 - found.scores.astype(np.float64)).sum())
        if inertia >= before * (1 - _LEAST_GAIN):
            break
        before = inertia
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.maximum(lengths, 1e-12), centres).astype(np.float32)
    return found


def train(sample: Vectors, k: int, seed: int) -> Vectors:
    """The unit centres float32 (k, D) of vectors (n, D) in memory; n is at least k."""
    import faiss  # takes a tenth of a second

    kmeans = faiss.Kmeans(
        sample.shape[1],
        k,
        niter=_ITERATIONS,
        nredo=_STARTS,
        seed=seed,
        spherical=True,
        min_points_per_centroid=1,  # else it warns on the standard output
        max_points_per_centroid=SAMPLE_PER_CENTRE,
    )
    kmeans.train(np.ascontiguousarray(sample))
    return np.asarray(kmeans.centroids, np.float32)


def silhouette(vectors: Vectors, labels: NDArray[np.integer[Any]]) -> float:
    """How much nearer unit vectors (n, D) are to their own group than to the next, -1 to 1 (Rousseeuw 1987).

    The mean over all vectors, in cosine distance, in time n * groups * D, because the sum of a group's
    vectors gives the mean distance to them all. -1 for a single group, or if no group has two vectors.
    """
    _, groups, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    count = len(sizes)
    if not 2 <= count < len(vectors):
        return -1.0
    members = np.zeros((count, len(vectors)), np.float32)
    members[groups, np.arange(len(vectors))] = 1
    distances = sizes - (vectors @ (members @ vectors).T).astype(np.float64)  # (n, groups), summed
    every = np.arange(len(vectors))
    own = distances[every, groups] / np.maximum(sizes[groups] - 1, 1)
    distances /= sizes
    distances[every, groups] = np.inf
    other = distances.min(axis=1)
    values = (other - own) / np.maximum(np.maximum(own, other), 1e-12)
    return float(np.where(sizes[groups] > 1, values, 0).mean())


def _assigned(blocks: Blocks, centres: Vectors) -> tuple[KMeans, NDArray[np.float64]]:
    """Each vector's nearest centre, and the sum of each centre's vectors, float64 (k, D)."""
    labels, scores = [], []
    sums = np.zeros(centres.shape)
    for block in blocks():
        cosines = block @ centres.T
        nearest = cosines.argmax(axis=1)
        labels.append(nearest.astype(np.int32))
        scores.append(np.take_along_axis(cosines, nearest[:, None], axis=1)[:, 0])
        members = np.zeros(cosines.shape, np.float32)
        members[np.arange(len(block)), nearest] = 1
        sums += members.T @ block  # a product with zeros and ones is faster than adding row by row
    return KMeans(centres, np.concatenate(labels), np.concatenate(scores)), sums
