"""Thumbs: pictures that people like and don't like refine a query.

Three ways are tried, each with some of the marks held out, and the one that ranks these best is used; if none
ranks the marks better than the query alone, the query stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.models.model import unit
from lookalike.search.spread import USUAL_RIDGE, Spread

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]
Way = Callable[[Vectors, Vectors, Vectors, Spread], Vectors]

# Rocchio 1971: what is not liked says less than what is.
_UNLIKED_WEIGHT = 0.5
_FOLDS = 5
# With fewer of one kind, nothing can be held out of it.
_LEAST_MARKS = 2
# Chosen on no data: with unit vectors, the usual penalty of an error.
_PENALTY, _ROUNDS, _SETTLED = 1.0, 200, 1e-4


@dataclass(frozen=True, eq=False)
class Refined:
    """A refined query: its unit `vector` (D,), and how it was made: `query`, `rocchio`, `lda` or `svm`."""

    vector: Vectors
    way: str


def refined(query: Vectors, liked: Vectors, unliked: Vectors, spread: Spread) -> Refined:
    """Refine a query (D,) by what is liked (n, D) and what isn't (m, D); all are unit vectors.

    `spread` is that of the collection. On the marks, the result is never worse than the query.
    """
    way = _best_way(query, liked, unliked, spread)
    found = WAYS[way](query, liked, unliked, spread)
    if _on_marks(found, liked, unliked) < _on_marks(query, liked, unliked):
        return Refined(query, "query")
    return Refined(found, way)


def average_precision(shown: Vectors, others: Vectors) -> float:
    """The average precision of what is wanted among the others, by their scores; ties count against it."""
    best, rest = np.sort(shown)[::-1], np.sort(others)
    rank = np.arange(1, len(best) + 1)
    return float(np.mean(rank / (rank + len(rest) - np.searchsorted(rest, best, side="left"))))


def _rocchio(query: Vectors, liked: Vectors, unliked: Vectors, spread: Spread) -> Vectors:
    total = query.astype(np.float32)
    if len(liked):
        total = total + liked.mean(axis=0)
    if len(unliked):
        total = total - _UNLIKED_WEIGHT * unliked.mean(axis=0)
    return unit(total)


def _lda(query: Vectors, liked: Vectors, unliked: Vectors, spread: Spread) -> Vectors:
    """What sets the liked apart, each dimension weighed by how the collection spreads (exemplar-LDA)."""
    difference = np.concatenate([query[None], liked]).mean(axis=0) - spread.mean
    if len(unliked):
        difference = difference - _UNLIKED_WEIGHT * (unliked.mean(axis=0) - spread.mean)
    return np.asarray(spread.apart(difference[None], USUAL_RIDGE)[0])


def _svm(query: Vectors, liked: Vectors, unliked: Vectors, spread: Spread) -> Vectors:
    """The normal of the plane with the widest margin between what is liked, the query too, and what isn't."""
    if not len(unliked):
        return _rocchio(query, liked, unliked, spread)
    vectors = np.concatenate([query[None], liked, unliked])
    sides = np.repeat([1.0, -1.0], [1 + len(liked), len(unliked)])
    return unit(np.asarray(support(vectors, sides) @ vectors, np.float32))


WAYS: dict[str, Way] = {
    "rocchio": _rocchio,
    "lda": _lda,
    "svm": _svm,
    "query": lambda query, liked, unliked, spread: query,
}


def support(vectors: Vectors, sides: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights (n,) of vectors (n, D) in the normal of a linear SVM with squared hinge loss and a bias.

    `sides` are 1 and -1; both sides together count the same. By dual coordinate descent (Hsieh et al., A dual
    coordinate descent method for large-scale linear SVM, 2008).
    """
    products = (vectors @ vectors.T).astype(np.float64) + 1
    share = np.where(sides > 0, np.mean(sides > 0), np.mean(sides < 0))
    bend = 1 / (2 * _PENALTY / (2 * share))
    weights, scores = np.zeros(len(sides)), np.zeros(len(sides))
    for _ in range(_ROUNDS):
        largest = 0.0
        for at, side in enumerate(sides.tolist()):
            slope = side * scores[at] - 1 + bend[at] * weights[at]
            new = max(weights[at] - slope / (products[at, at] + bend[at]), 0.0)
            if new != weights[at]:
                scores += (new - weights[at]) * side * products[at]
                largest = max(largest, abs(new - weights[at]))
                weights[at] = new
        if largest < _SETTLED:
            break
    return weights * sides


def _best_way(query: Vectors, liked: Vectors, unliked: Vectors, spread: Spread) -> str:
    """The way that ranks marks best that it was not given; the first of equals."""
    if min(len(liked), len(unliked)) < _LEAST_MARKS:
        return "rocchio"
    folds = list(zip(_folds(len(liked)), _folds(len(unliked)), strict=True))
    scores = {}
    for name, way in WAYS.items():
        shown, others = [], []
        for some, more in folds:
            found = way(query, np.delete(liked, some, axis=0), np.delete(unliked, more, axis=0), spread)
            of_all = spread.vectors @ found  # scores of different directions compare by what is usual
            middle, scale = float(of_all.mean()), max(float(of_all.std()), 1e-9)
            shown.append((liked[some] @ found - middle) / scale)
            others.append((unliked[more] @ found - middle) / scale)
        scores[name] = average_precision(np.concatenate(shown), np.concatenate(others))
    return max(scores, key=lambda name: round(scores[name], 6))


def _folds(count: int) -> Sequence[Rows]:
    """The numbers up to a count in five groups, which may be empty."""
    return [np.arange(start, count, _FOLDS) for start in range(_FOLDS)]


def _on_marks(vector: Vectors, liked: Vectors, unliked: Vectors) -> float:
    if not len(liked) or not len(unliked):
        return 1.0
    return average_precision(liked @ vector, unliked @ vector)
