"""Exact search: a product with every vector."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]

# Fewer take less than to wake a thread.
_NUMBERS_A_THREAD = 1 << 20


def nearest(
    queries: Sequence[Vectors], blocks: Iterable[tuple[int, Vectors]], k: int, mask: Mask | None = None
) -> list[tuple[Rows, Vectors]]:
    """For each query (D,) the k rows whose vectors have the largest dot product with it, and these, falling.

    A block is the number of its first row, and vectors (n, D). Of all rows those count for which `mask` (N,)
    is true. Equal products keep the order of rows; they are clipped to [-1, 1]. Holds k candidates a query
    and one block at a time.
    """
    best = [_Best(np.empty(0, np.float32), np.empty(0, np.int64)) for _ in queries]
    for start, vectors in blocks:
        chosen = None if mask is None else np.flatnonzero(mask[start : start + len(vectors)])
        best = [
            one.merged(_products(vectors, query), chosen, start, k)
            for one, query in zip(best, queries, strict=True)
        ]
    return [(one.rows, np.clip(one.scores, -1, 1)) for one in best]


def _products(vectors: Vectors, query: Vectors) -> Vectors:
    """The dot product of each of (n, D) with (D,), by all cores where there are many; (n,)."""
    # Row by row: a matrix product rounds a row by its place, and equal vectors need equal scores.
    threads = min(os.cpu_count() or 1, vectors.size // _NUMBERS_A_THREAD)
    if threads < 2:
        return np.asarray(np.vecdot(vectors, query))
    found = np.empty(len(vectors), np.float32)
    bounds = np.linspace(0, len(vectors), threads + 1).astype(int).tolist()

    def compute(here: slice) -> None:
        np.vecdot(vectors[here], query, out=found[here])

    list(_workers().map(compute, map(slice, bounds, bounds[1:])))
    return found


@cache
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "products")


class _Best:
    """The best so far of one query: falling `scores` (n,) and their `rows` (n,)."""

    def __init__(self, scores: Vectors, rows: Rows) -> None:
        self.scores, self.rows = scores, rows

    def merged(self, scores: Vectors, chosen: Rows | None, start: int, k: int) -> _Best:
        """The best of these and of a block that begins at row `start`; of that the `chosen` count, or all."""
        if chosen is not None:
            scores = scores[chosen]
        best = largest(scores, k)
        rows = (best if chosen is None else chosen[best]) + start
        if not len(self.rows):
            return _Best(scores[best], rows)
        all_scores, all_rows = np.concatenate([self.scores, scores[best]]), np.concatenate([self.rows, rows])
        kept = largest(all_scores, k)
        return _Best(all_scores[kept], all_rows[kept])


def largest(scores: Vectors, k: int) -> Rows:
    """The places of the k largest scores (n,), falling; equal ones in their order."""
    candidates = np.arange(len(scores)) if k >= len(scores) else None
    if candidates is None:
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        candidates = np.flatnonzero(scores >= threshold)
    order = np.argsort(-scores[candidates], kind="stable")
    return np.asarray(candidates[order[:k]])
