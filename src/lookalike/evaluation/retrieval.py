"""Leave-one-out retrieval: every item is a query once, and all the others are ranked by their cosine.

The scores of a block of queries are one matrix product. Of a ranking only the relevance of its first places
is needed, so it is never written down as row numbers: see `_relevance`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Progress = Callable[[int, int], None]

_BLOCK_BYTES = 2**27  # of the scores of one block of queries; a copy and a mask of its rows come on top


@dataclass(frozen=True, slots=True)
class Judged:
    """How each of Q queries went.

    `rows` int64 (Q,) are the queries; `names` the M measures, and `values` float64 (Q, M) what each query
    scored, 0 to 1. `predicted` (Q,) is the class that the nearest vote for. `neighbours` (Q, K) are the rows
    of the nearest, the best first, and `scores` (Q, K) their cosines.
    """

    rows: Ints
    names: tuple[str, ...]
    values: NDArray[np.float64]
    predicted: Ints
    neighbours: Ints
    scores: Floats


def measures(ks: Sequence[int]) -> tuple[str, ...]:
    """The names of what is measured, in the order of `Judged.values`."""
    at_k = [f"{name}@{k}" for name in ("precision", "recall") for k in ks]
    return (*at_k, "r_precision", "map@r", "knn_accuracy")


def others_alike(classes: Ints, groups: Ints) -> Ints:
    """(N,) how many items share the class of each and are no copy of it: R, the right answers there are.

    `classes` and `groups` (N,) are numbers from 0; items of one group are copies, each of itself at least.
    """
    pairs = classes * (int(groups.max(initial=0)) + 1) + groups
    _, pair_of, sizes = np.unique(pairs, return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(classes)[classes] - sizes[pair_of], np.int64)


def judge(
    vectors: Floats,
    classes: Ints,
    groups: Ints,
    queries: Ints,
    *,
    ks: Sequence[int],
    voters: int,
    on_progress: Progress | None = None,
) -> Judged:
    """Rank all items for each query, and measure how early those of its class come.

    `vectors` (N, D) have unit length. Neither the query nor what shares its group is ranked. Each query needs
    at least one other item of its class. `voters` nearest vote for a class; a tie goes to the nearer. Where
    cosines are equal, the wrong answer is taken to come first. Memory: about 0.3 GB beside the vectors.
    """
    most = max(*ks, voters)
    needed = np.maximum(others_alike(classes, groups)[queries], most)
    copies = _copies(groups)
    values = np.empty((len(queries), len(measures(ks))))
    neighbours = np.empty((len(queries), most), np.int64)
    scores = np.empty((len(queries), most), np.float32)
    block = max(1, _BLOCK_BYTES // (4 * max(1, len(vectors))))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(queries), block):
            asked = queries[start : start + block]
            # As distances: they are finest near 0, where the neighbours are, and never negative.
            distances = np.maximum(1 - vectors[asked] @ vectors.T, 0)

            def one(at: int, start: int = start, asked: Ints = asked, distances: Floats = distances) -> None:
                row = distances[at]
                row[copies(int(asked[at]))] = np.inf
                alike = (classes == classes[asked[at]]) & np.isfinite(row)
                relevant, nearest = _relevance(row, alike, int(needed[start + at]), most)
                values[start + at, :-1] = _measured(relevant, int(alike.sum()), ks)
                neighbours[start + at], scores[start + at] = nearest, 1 - row[nearest]

            list(pool.map(one, range(len(asked))))
            if on_progress:
                on_progress(start + len(asked), len(queries))
    predicted = vote(classes[neighbours[:, :voters]])
    values[:, -1] = predicted == classes[queries]
    return Judged(queries, measures(ks), values, predicted, neighbours, scores)


def vote(classes: Ints) -> Ints:
    """(Q, K) the classes of the nearest, the best first, to (Q,): the commonest, of equals the nearer one."""
    counts = (classes[:, :, None] == classes[:, None, :]).sum(axis=2)
    return np.asarray(np.take_along_axis(classes, counts.argmax(axis=1)[:, None], axis=1)[:, 0])


def _relevance(distances: Floats, alike: Mask, depth: int, most: int) -> tuple[Mask, Ints]:
    """Whether each of the `depth` nearest is alike, and the rows of the `most` nearest.

    The bits of floats that are not negative order like integers. The lowest bit of each is given up to say
    whether the item is alike: so one sort of plain numbers, which is several times faster than one that has
    to carry row numbers along, tells the whole ranking.
    """
    keys = (distances.view(np.int32) & -2) | alike
    depth = min(depth, len(keys))
    first = np.sort(np.partition(keys, depth - 1)[:depth])
    rows = np.flatnonzero(keys <= first[most - 1])
    nearest = rows[np.argsort(keys[rows], kind="stable")[:most]]
    return (first & 1).astype(bool), nearest


def _measured(relevant: Mask, right: int, ks: Sequence[int]) -> list[float]:
    """The measures of one ranking with `right` right answers, R; `relevant` (at least R,) says which places
    are.

    MAP@R is the mean over the first R places of the precision at each that is right (Musgrave, Belongie &
    Lim, A Metric Learning Reality Check, 2020, section 3.2).
    """
    found = np.cumsum(relevant)
    at_right = np.arange(1, right + 1)
    average = float((found[:right] / at_right * relevant[:right]).sum() / right)
    precisions = [float(found[k - 1] / k) for k in ks]
    recalls = [float(found[k - 1] / right) for k in ks]
    return [*precisions, *recalls, float(found[right - 1] / right), average]


def _copies(groups: Ints) -> Callable[[int], Any]:
    """A function from a row to the rows of its group."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(int(groups.max(initial=0)) + 2))
    return lambda row: order[starts[groups[row]] : starts[groups[row] + 1]]
