"""A query and k in, the nearest items out.

Scores are cosines: vectors have unit length, so the dot product is the cosine. Without an index search is
exact, a product with every vector; an index that is up to date takes the place of `nearest`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.collection import Collection
from lookalike.errors import QueryError
from lookalike.index import open_index
from lookalike.search.confidence import Background, background_of
from lookalike.search.query import Asked, Direction, as_query, query_direction, stored_vectors
from lookalike.search.results import Results
from lookalike.search.where import Condition, items_schema, matching_rows, parse_condition
from lookalike.storage.parts import Part, matrix
from lookalike.storage.samples import Hits
from lookalike.storage.stores import each

Vectors = NDArray[np.float32]
Block = tuple[pa.ChunkedArray, Vectors]


def search(
    collection: Collection,
    asked: Asked,
    k: int = 10,
    *,
    where: str | None = None,
    include_query: bool = False,
    min_confidence: float = 0.0,
) -> Results:
    """The k items most like the query, or all where there are fewer, the best first.

    `where` is an SQL condition over the columns of items; the k are taken among the rows for which it
    holds. Items that stand in the query are left out, unless `include_query`, and so are hits with less
    than `min_confidence`, in [0, 1]. Raises `QueryError` for a number, a condition or a query that cannot
    be, `ImageError` for one that is no picture.
    """
    return search_many(
        collection, [asked], k, where=where, include_query=include_query, min_confidence=min_confidence
    )[0]


def search_many(
    collection: Collection,
    asked: Sequence[Asked],
    k: int = 10,
    *,
    where: str | None = None,
    include_query: bool = False,
    min_confidence: float = 0.0,
) -> list[Results]:
    """As `search`, for several queries in one reading of the collection.

    Without an index it reads one part after the other, so that memory does not grow with the collection.
    """
    check_numbers(k, min_confidence)
    condition = None if where is None else parse_condition(where, items_schema(collection))
    queries = [as_query(one) for one in asked]
    directions = [query_direction(collection, query, stored_vectors) for query in queries]
    vectors = [direction.vector for direction in directions]
    hidden = [set() if include_query else query.ids for query in queries]
    most = k + max((len(ids) for ids in hidden), default=0)
    parts = collection.parts()
    found = _through_index(collection, vectors, most, condition)
    if found is None:
        found = nearest(vectors, each(parts, lambda part: _block(part, condition), collection.path), most)
    found = [_without(hits, places, ids, k) for (hits, places), ids in zip(found, hidden, strict=True)]
    rows, background = _rows(parts, found, collection.path), background_of(collection)
    return [
        _results(direction, hits, rows, background, min_confidence)
        for direction, (hits, _) in zip(directions, found, strict=True)
    ]


def _results(
    direction: Direction,
    hits: Hits,
    rows: Mapping[str, tuple[Mapping[str, Any], Part]],
    background: Background | None,
    min_confidence: float,
) -> Results:
    """Hits joined with their rows, as far as they have the confidence that is wanted."""
    if background is None:
        return Results.of(hits, [None] * len(hits.ids), rows)
    confidences = background.confidence(
        hits.scores, of_words=direction.of_words, length=direction.length, weight=direction.weight
    )
    kept = int((confidences >= min_confidence).sum())  # it falls with the score
    return Results.of(Hits(hits.ids[:kept], hits.scores[:kept]), confidences[:kept].tolist(), rows)


def _through_index(
    collection: Collection, queries: Sequence[Vectors], k: int, condition: Condition | None
) -> list[tuple[Hits, list[int]]] | None:
    """As `nearest`, by the index; None where there is none, or none of this state of the collection."""
    index = open_index(collection)
    if index is None or not queries:
        return None
    mask = None if condition is None else matching_rows(collection, condition)
    scores, rows = index.search(np.stack(queries), min(k, index.info.count), mask)
    starts = np.cumsum([0, *(size for _, _, size in index.info.parts)])
    places = np.searchsorted(starts, rows, side="right") - 1
    ids = {}
    for place in np.unique(places[rows >= 0]).tolist():
        number, checksum, _ = index.info.parts[place]
        part = Part(collection.path, number)
        ids[place] = part.items(["id"])["id"].to_pylist()
        if part.checksum() != checksum:  # a build has replaced it meanwhile
            return None
    found = []
    for its_scores, its_rows, its_places in zip(scores, rows, places, strict=True):
        there = np.flatnonzero(its_rows >= 0)
        names = [ids[its_places[i]][its_rows[i] - starts[its_places[i]]] for i in there]
        found.append((Hits(tuple(names), its_scores[there]), its_places[there].tolist()))
    return found


def _without(hits: Hits, places: list[int], hidden: set[str], k: int) -> tuple[Hits, list[int]]:
    """The first k hits whose id is not among the hidden."""
    kept = [place for place, id_ in enumerate(hits.ids) if id_ not in hidden][:k]
    return Hits(tuple(hits.ids[i] for i in kept), hits.scores[kept]), [places[i] for i in kept]


def _rows(
    parts: Sequence[Part], found: Iterable[tuple[Hits, list[int]]], root: Path
) -> dict[str, tuple[Mapping[str, Any], Part]]:
    """The columns and the part of each hit, by id; reads each part that has hits once."""
    wanted: dict[int, set[str]] = {}
    for hits, places in found:
        for id_, place in zip(hits.ids, places, strict=True):
            wanted.setdefault(place, set()).add(id_)
    names = chain.from_iterable(each(parts, Part.column_names, root))
    nothing = dict.fromkeys(name for name in names if name != "embedding")
    rows: dict[str, tuple[Mapping[str, Any], Part]] = {}
    tables = each([parts[place] for place in wanted], Part.described, root)
    for (place, ids), table in zip(wanted.items(), tables, strict=True):
        hit = table.filter(pc.is_in(table["id"], pa.array(ids, pa.string())))
        rows |= {row["id"]: ({**nothing, **row}, parts[place]) for row in hit.to_pylist()}
    return rows


def check_numbers(k: int, min_confidence: float) -> None:
    """Raise `QueryError` for a number of results or a confidence that cannot be."""
    if k < 1:
        raise QueryError(f"k is the number of results, at least 1, not {k}")
    if not 0 <= min_confidence <= 1:
        raise QueryError(f"the least confidence is {min_confidence}, it goes from 0 to 1")


def nearest(queries: Sequence[Vectors], blocks: Iterable[Block], k: int) -> list[tuple[Hits, list[int]]]:
    """For each query (D,) the k items whose vectors have the largest dot product with it.

    A block is ids (n,) and vectors (n, D). With the hits comes the number of the block of each. Equal
    scores keep the order of rows. Holds k candidates a query and one block at a time.
    """
    best = [_Best(np.empty(0, np.float32), [], []) for _ in queries]
    for number, (ids, vectors) in enumerate(blocks):
        # Row by row: a matrix product rounds a row by its place, and equal vectors need equal scores.
        best = [
            one.merged(np.vecdot(vectors, query), ids, number, k)
            for one, query in zip(best, queries, strict=True)
        ]
    return [(Hits(tuple(one.ids), np.clip(one.scores, -1, 1)), one.places) for one in best]


@dataclass(frozen=True, slots=True)
class _Best:
    """The best so far of one query: falling scores, ids, and the numbers of their blocks."""

    scores: Vectors
    ids: list[str]
    places: list[int]

    def merged(self, scores: Vectors, ids: pa.ChunkedArray, number: int, k: int) -> _Best:
        """The best of these and of a block."""
        best = largest(scores, k)
        all_scores = np.concatenate([self.scores, scores[best]])
        all_ids = self.ids + ids.take(pa.array(best)).to_pylist()
        all_places = self.places + [number] * len(best)
        kept = largest(all_scores, k)
        return _Best(all_scores[kept], [all_ids[i] for i in kept], [all_places[i] for i in kept])


def largest(scores: Vectors, k: int) -> NDArray[np.int64]:
    """The places of the k largest scores (n,), falling; equal ones in their order."""
    candidates = np.arange(len(scores))
    if k < len(scores):
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        candidates = np.flatnonzero(scores >= threshold)
    order = np.argsort(-scores[candidates], kind="stable")
    return candidates[order[:k]]


def _block(part: Part, condition: Condition | None) -> Block:
    """Ids and vectors of the rows that match, from one reading: a build meanwhile cannot mix them up."""
    if condition is None:
        table = part.items(["id", "embedding"])
    else:
        wanted = {"id", "embedding", *condition.columns}
        table = part.items([name for name in part.column_names() if name in wanted])
        table = table.filter(pa.array(condition.mask(table)))
    return table["id"], matrix(table["embedding"])
