"""The nearest neighbours of every item: exact for small collections, through the index for large ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.index import Index, build_index, open_index
from lookalike.pile import Pile, Vectors

Rows = NDArray[np.int64]
Progress = Callable[[int, int], None]

# Up to here all products of all pairs take some seconds; beyond, the time would grow with the square.
_MOST_EXACT = 20_000
_BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Of each of N items the k nearest others, the best first: `rows` (N, k), and cosines `scores` (N, k).

    Where there are fewer the row is -1 and the score -1. `recall` is the share of true neighbours among them.
    """

    rows: Rows
    scores: Vectors
    recall: float

    def pairs(self, least: float) -> dict[tuple[int, int], float]:
        """Each pair of a cosine of at least `least` once, the lower row first."""
        first, place = np.nonzero((self.scores >= least) & (self.rows >= 0))
        second = self.rows[first, place]
        ends = np.sort(np.stack([first, second], axis=1), axis=1).tolist()
        scores = self.scores[first, place].tolist()
        return {(low, high): score for (low, high), score in zip(ends, scores, strict=True)}


def nearest_others(pile: Pile, k: int, *, on_progress: Progress | None = None) -> Neighbours:
    """The k nearest others of every item.

    Up to 20,000 items are compared all with all. Beyond, the index of the collection is asked, and built
    first where there is none of this state; it says its own recall.
    """
    k = min(k, len(pile) - 1)
    rows, scores = np.empty((len(pile), k), np.int64), np.empty((len(pile), k), np.float32)
    found: Iterator[tuple[Rows, Vectors]]
    if len(pile) <= _MOST_EXACT:
        found, recall = _exact(pile, k), 1.0
    else:
        index = open_index(pile.collection)
        if index is None:
            build_index(pile.collection)
            index = open_index(pile.collection)
        assert index is not None
        found, recall = _asked(pile, index, k), index.info.recall
    start = 0
    for some_rows, some_scores in found:
        rows[start : start + len(some_rows)], scores[start : start + len(some_rows)] = some_rows, some_scores
        start += len(some_rows)
        if on_progress:
            on_progress(start, len(pile))
    return Neighbours(rows, scores, recall)


def _exact(pile: Pile, k: int) -> Iterator[tuple[Rows, Vectors]]:
    vectors = pile.take(np.arange(len(pile)))
    for start in range(0, len(vectors), _BLOCK_ROWS):
        own = np.arange(start, min(start + _BLOCK_ROWS, len(vectors)))
        cosines = vectors[own] @ vectors.T
        cosines[own - start, own] = -np.inf
        best = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        yield _ordered(best, np.take_along_axis(cosines, best, axis=1))


def _asked(pile: Pile, index: Index, k: int) -> Iterator[tuple[Rows, Vectors]]:
    """One more than wanted, and the item itself taken out, or else the last."""
    start = 0
    for block in pile.blocks():
        scores, rows = index.search(block, k + 1)
        own = np.arange(start, start + len(block))[:, None]
        scores = np.where(rows == own, -np.inf, scores)
        rows, scores = _ordered(rows, scores)
        yield rows[:, :k], scores[:, :k]
        start += len(block)


def _ordered(rows: Rows, scores: Vectors) -> tuple[Rows, Vectors]:
    """Each row by falling score; of equals the lower row first."""
    order = np.lexsort((rows, -scores))
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
