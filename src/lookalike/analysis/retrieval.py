"""Leave-one-out retrieval: every item is a query once, and all the others are ranked by their cosine.

The scores of a block of queries are one matrix product. Only the places of the right answers are needed,
so a ranking is never stored as row numbers: see `_ranked`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.parallel import cores
from lookalike.storage.joined import Joined
from lookalike.storage.selection import Selection

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]
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
    return (*at_k, "r_precision", "map@r", "map", "knn_accuracy")


def others_alike(classes: Ints, groups: Ints, gallery: Mask | None = None) -> Ints:
    """How many items share each item's class and are not copies of it, (N,): R, the number of right answers.

    `classes` and `groups` (N,) are numbers from 0; items in one group are copies, each at least of itself.
    Only those of the `gallery`, bool (N,), count, or all.
    """
    counted = np.ones(len(classes), bool) if gallery is None else gallery
    pairs = classes * (int(groups.max(initial=0)) + 1) + groups
    _, pair_of = np.unique(pairs, return_inverse=True)
    alike = np.bincount(classes, weights=counted)[classes]
    return np.asarray(alike - np.bincount(pair_of, weights=counted)[pair_of], np.int64)


def judge(
    selection: Selection | Joined,
    classes: Ints,
    groups: Ints,
    queries: Ints,
    *,
    ks: Sequence[int],
    voters: int,
    gallery: Mask | None = None,
    max_memory_bytes: int | None = None,
    on_progress: Progress | None = None,
) -> Judged:
    """Rank all N items for each query, and measure how early those of its class come.

    With a `gallery`, bool (N,), only its items are ranked. The query and its group never are. The queries'
    row numbers ascend, and each needs at least one other item of its class that is ranked, and each k fewer
    items than are. The `voters` nearest vote for a class; a tie goes to the nearer.
    Among equal cosines, wrong answers come first. Holds the vectors if they fit, and otherwise reads them
    again for each block of queries; needs about 0.3 GB beside them without a limit.
    """
    most = max(*ks, voters)
    members, copies = _rows_of(classes), _rows_of(groups)
    left_out = np.flatnonzero(~gallery) if gallery is not None else np.empty(0, np.int64)
    values = np.empty((len(queries), len(measures(ks))))
    neighbours = np.empty((len(queries), most), np.int64)
    scores = np.empty((len(queries), most), np.float32)
    threads = cores()
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
            row[left_out] = np.inf
            alike = members(query)
            alike = alike[np.isfinite(row[alike])]
            places, nearest = _ranked(row, alike, most)
            values[start + at, :-1] = _measured(places, ks)
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


def _ranked(distances: Floats, alike: Ints, most: int) -> tuple[Ints, Ints]:
    """The places of the rows `alike` in the ranking, from 1, ascending, and the rows of the `most` nearest.

    The bits of non-negative floats sort like integers. The lowest bit of each is replaced by
    whether the item is alike, so plain numbers hold the whole ranking, and they are several times faster to
    sort than numbers with row numbers attached.
    """
    keys = distances.view(np.int32) & -2
    keys[alike] |= 1
    ranking = np.sort(keys)
    rows = np.flatnonzero(keys <= ranking[most - 1])
    nearest = rows[np.argsort(keys[rows], kind="stable")[:most]]
    return np.flatnonzero(ranking & 1) + 1, nearest


def _measured(places: Ints, ks: Sequence[int]) -> list[float]:
    """The measures of one ranking, whose R right answers are at these `places` (R,), from 1, ascending.

    MAP is the mean over all right answers of the precision at their places. MAP@R counts only those in
    the first R places (Musgrave, Belongie & Lim, A Metric Learning Reality Check, 2020, section 3.2).
    """
    right = len(places)
    found = np.searchsorted(places, (*ks, right), side="right")
    precisions = np.arange(1, right + 1) / places
    average_at_r, average = float(precisions[: found[-1]].sum() / right), float(precisions.mean())
    at_ks = found[:-1]
    return [*(at_ks / np.array(ks)), *(at_ks / right), float(found[-1] / right), average_at_r, average]


def _rows_of(groups: Ints) -> Callable[[int], Any]:
    """A function from a row to the rows of its group, including itself."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(int(groups.max(initial=0)) + 2))
    return lambda row: order[starts[groups[row]] : starts[groups[row] + 1]]
