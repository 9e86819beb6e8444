"""Grouped search: one hit for each group, such as the best picture of each plant or product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.errors import QueryError
from lookalike.search.engine import Engine, check_numbers
from lookalike.search.query import Query
from lookalike.search.results import Results
from lookalike.storage.columns import column_names

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]

# Of each picture's nearest rows, look at this many for each wanted group, and at least at this many in all;
# if they contain too few groups, at this many times as many.
_NEAREST_A_GROUP, _LEAST_NEAREST, _WIDER = 20, 200, 8
# In groups up to this size all rows are compared: one may be most like one picture but far from another.
_SMALL_GROUP = 100


def search_groups(
    engine: Engine,
    pictures: Sequence[Query],
    column: str,
    k: int,
    *,
    where: str | None = None,
    rows: Rows | None = None,
    include_query: bool = False,
    min_confidence: float = 0.0,
) -> Results:
    """The k groups, items with the same value in a column, that are most like an item of several pictures.

    A group's score is the mean, over the query pictures, of the cosine to the group's most similar picture;
    its hit is the row most similar to all of them. A row without a value is a group of its own.
    Raises `QueryError` for an unknown column, and otherwise as `Engine.search`.
    """
    k = check_numbers(k, min_confidence)
    if column not in engine.snapshot.all_columns.names:
        raise QueryError(
            f"{engine.snapshot.name} has no column {column!r} to group by",
            f"it has: {column_names(engine.snapshot.all_columns)}",
        )
    if not pictures:
        raise QueryError("the query is empty", "ask with at least one picture")
    groups, sizes = engine.kept("groups", column, lambda: _groups(engine.snapshot.column(column)))
    mask = engine.allowed(where, rows)
    if not include_query:
        own = sorted({id_ for query in pictures for id_ in query.ids})
        if own:
            mask = np.ones(len(engine), np.bool_) if mask is None else mask.copy()
            mask[engine.snapshot.rows_of(own)] = False
    directions = [engine.direction(query) for query in pictures]
    if any(one.colors for one in directions):
        raise QueryError("a colour cannot be part of a search in groups", "leave it or `group_by` out")
    vectors = [one.vector for one in directions]
    near = _near(engine, vectors, groups, k, mask)
    counted = np.isin(groups, groups[near]) & (sizes <= _SMALL_GROUP) & (True if mask is None else mask)
    counted[near] = True
    members = np.flatnonzero(counted)
    best, scores = _best(engine.vectors_at(members), np.stack(vectors), groups[members])
    order = np.argsort(-scores, kind="stable")[:k]
    scores = scores[order]
    results = Results(engine.snapshot, members[best[order]], scores, engine.confidences(scores))
    return results.sure(min_confidence)


def _near(
    engine: Engine, vectors: Sequence[Vectors], groups: Rows, k: int, mask: NDArray[np.bool_] | None
) -> Rows:
    """The rows nearest to any of the vectors: enough to contain k groups, if there are that many."""
    count = max(_LEAST_NEAREST, k * _NEAREST_A_GROUP)
    while True:
        found = np.unique(np.concatenate([rows for rows, _ in engine.nearest(vectors, count, mask)]))
        if count >= len(engine) or len(np.unique(groups[found])) >= k:
            return found
        count *= _WIDER


def _groups(column: pa.ChunkedArray) -> tuple[Rows, Rows]:
    """The group number of each row, (N,), and the size of its group; a row without a value is alone."""
    if pa.types.is_nested(column.type):
        raise QueryError("cannot group by a column of lists", "name a column of text or numbers")
    codes = column.dictionary_encode().combine_chunks()
    found = codes.indices if isinstance(codes, pa.DictionaryArray) else codes.chunk(0).indices
    numbers: Any = found.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    groups = np.where(numbers < 0, -1 - np.arange(len(numbers)), numbers)
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return groups, counts[inverse]


def _best(vectors: Vectors, queries: Vectors, groups: Rows) -> tuple[Rows, Vectors]:
    """For each group, the place of its most similar vector (n,) and its score (n,): see `search_groups`."""
    if not len(groups):
        return np.empty(0, np.int64), np.empty(0, np.float32)
    cosines = np.clip(vectors @ queries.T, -1, 1)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) != 0])
    scores = np.maximum.reduceat(cosines[order], starts, axis=0).mean(axis=1)
    together = cosines.mean(axis=1)[order]
    ends = [*starts[1:].tolist(), len(order)]
    best = [start + int(together[start:end].argmax()) for start, end in zip(starts, ends, strict=True)]
    return order[best], scores.astype(np.float32)
