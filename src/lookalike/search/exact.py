"""Exact search: a product with every vector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lookalike.parallel import cores

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]

# Fewer than this take less time than waking a thread.
_NUMBERS_A_THREAD = 1 << 20


def nearest(
    queries: Sequence[Vectors], blocks: Iterable[tuple[int, Vectors]], k: int, mask: Mask | None = None
) -> list[tuple[Rows, Vectors]]:
    """For each query (D,), the k rows with the largest dot products, and these products, descending.

    A block is the number of its first row, and vectors (n, D). Only rows for which `mask` (N,) is true
    count. Equal products keep the order of rows; products are clipped to [-1, 1]. Holds k candidates a query
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
    """The dot products of (n, D) with (D,), on all cores if there are many rows; (n,)."""
    # Row by row: a matrix product rounds a row depending on its place, and equal vectors need equal scores.
    threads = min(cores(), vectors.size // _NUMBERS_A_THREAD)
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
    return ThreadPoolExecutor(cores(), "products")


class _Best:
    """The best rows so far for one query: `scores` (n,), descending, and their `rows` (n,)."""

    def __init__(self, scores: Vectors, rows: Rows) -> None:
        self.scores, self.rows = scores, rows

    def merged(self, scores: Vectors, chosen: Rows | None, start: int, k: int) -> _Best:
        """Merge in a block that starts at row `start`, of which only the rows `chosen` count, or all."""
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
    """The positions of the k largest scores (n,), descending; equal ones keep their order."""
    candidates = np.arange(len(scores)) if k >= len(scores) else None
    if candidates is None:
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        candidates = np.flatnonzero(scores >= threshold)
    order = np.argsort(-scores[candidates], kind="stable")
    return np.asarray(candidates[order[:k]])
