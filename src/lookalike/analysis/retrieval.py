"""Leave-one-out retrieval: every item is a query once, and all the others are ranked by their cosine.

The scores of a block of queries are one matrix product. Only the relevance of a ranking's first places
is needed, so the ranking is never stored as row numbers: see `_relevance`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.storage.selection import Selection

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Judged:
    """The results of Q queries.

    `rows` int64 (Q,) are the queries; `names` the M measures, and `values` float64 (Q, M) the queries'
    results, 0 to 1. `predicted` (Q,) is the class that the nearest vote for. `neighbours` (Q, K) are the rows
    of the nearest, best first, and `scores` (Q, K) their cosines.
    """

    rows: Ints
    names: tuple[str, ...]
    values: NDArray[np.float64]
    predicted: Ints
    neighbours: Ints
    scores: Floats


def measures(ks: Sequence[int]) -> tuple[str, ...]:
    """The names of the measures, in the order of `Judged.values`."""
    at_k = [f"{name}@{k}" for name in ("precision", "recall") for k in ks]
    return (*at_k, "r_precision", "map@r", "knn_accuracy")


def others_alike(classes: Ints, groups: Ints) -> Ints:
    """How many items share each item's class and are not copies of it, (N,): R, the number of right answers.

    `classes` and `groups` (N,) are numbers from 0; items in one group are copies, each at least of itself.
    """
    pairs = classes * (int(groups.max(initial=0)) + 1) + groups
    _, pair_of, sizes = np.unique(pairs, return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(classes)[classes] - sizes[pair_of], np.int64)


def judge(
    selection: Selection,
    classes: Ints,
    groups: Ints,
    queries: Ints,
    *,
    ks: Sequence[int],
    voters: int,
    max_memory_bytes: int | None = None,
    on_progress: Progress | None = None,
) -> Judged:
    """Rank all N items for each query, and measure how early those of its class come.

    The query and its group are not ranked. The queries' row numbers ascend, and each needs
    at least one other item of its class. The `voters` nearest vote for a class; a tie goes to the nearer.
    Among equal cosines, wrong answers come first. Holds the vectors if they fit, and otherwise reads them
    again for each block of queries; needs about 0.3 GB beside them without a limit.
    """
    most = max(*ks, voters)
    needed = np.maximum(others_alike(classes, groups)[queries], most)
    members, copies = _rows_of(classes), _rows_of(groups)
    values = np.empty((len(queries), len(measures(ks))))
    neighbours = np.empty((len(queries), most), np.int64)
    scores = np.empty((len(queries), most), np.float32)
    threads = os.cpu_count() or 1
    # For each item: its place in the two lists, and the memory to rank it in a thread.
    need = values.nbytes + neighbours.nbytes + scores.nbytes + len(selection) * (48 + 16 * threads)
    selection, block = selection.for_cosines(max_memory_bytes, need, 0, "an evaluation")

    def rank(start: int, asked: Ints, pool: ThreadPoolExecutor) -> None:
        cosines = selection.cosines(asked)

        def one(at: int) -> None:
            query, row = int(asked[at]), cosines[at]
            # Distances are finest near 0, where the neighbours are, and never negative.
            np.maximum(np.subtract(1, row, out=row), 0, out=row)
            row[copies(query)] = np.inf
            alike = members(query)
            alike = alike[np.isfinite(row[alike])]
            relevant, nearest = _relevance(row, alike, int(needed[start + at]), most)
            values[start + at, :-1] = _measured(relevant, len(alike), ks)
            neighbours[start + at], scores[start + at] = nearest, 1 - row[nearest]

        list(pool.map(one, range(len(asked))))

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(queries), block):
            rank(start, queries[start : start + block], pool)
            if on_progress:
                on_progress(min(start + block, len(queries)), len(queries))
    predicted = vote(classes[neighbours[:, :voters]])
    values[:, -1] = predicted == classes[queries]
    return Judged(queries, measures(ks), values, predicted, neighbours, scores)


def vote(classes: Ints) -> Ints:
    """The commonest class (Q,) among those (Q, K) of the nearest, best first; a tie goes to the nearer."""
    counts = (classes[:, :, None] == classes[:, None, :]).sum(axis=2)
    return np.asarray(np.take_along_axis(classes, counts.argmax(axis=1)[:, None], axis=1)[:, 0])


def _relevance(distances: Floats, alike: Ints, depth: int, most: int) -> tuple[Mask, Ints]:
    """Whether each of the `depth` nearest is in `alike`, and the rows of the `most` nearest.

    The bits of non-negative floats sort like integers. The lowest bit of each is replaced by
    whether the item is alike, so plain numbers hold the whole ranking, and they are several times faster to
    sort than numbers with row numbers attached.
    """
    keys = distances.view(np.int32) & -2
    keys[alike] |= 1
    depth = min(depth, len(keys))
    first = np.sort(np.partition(keys, depth - 1)[:depth])
    rows = np.flatnonzero(keys <= first[most - 1])
    nearest = rows[np.argsort(keys[rows], kind="stable")[:most]]
    return (first & 1).astype(bool), nearest


def _measured(relevant: Mask, right: int, ks: Sequence[int]) -> list[float]:
    """The measures of one ranking with `right` right answers, R; `relevant` (at least R,) marks their places.

    MAP@R is the mean over the first R places of the precision at each that is right (Musgrave, Belongie &
    Lim, A Metric Learning Reality Check, 2020, section 3.2).
    """
    found = np.cumsum(relevant)
    at_right = np.arange(1, right + 1)
    average = float((found[:right] / at_right * relevant[:right]).sum() / right)
    precisions = [float(found[k - 1] / k) for k in ks]
    recalls = [float(found[k - 1] / right) for k in ks]
    return [*precisions, *recalls, float(found[right - 1] / right), average]


def _rows_of(groups: Ints) -> Callable[[int], Any]:
    """A function from a row to the rows of its group, including itself."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(int(groups.max(initial=0)) + 2))
    return lambda row: order[starts[groups[row]] : starts[groups[row] + 1]]
