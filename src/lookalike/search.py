"""A query and k in, the nearest items out.

Scores are cosines: vectors have unit length, so the dot product is the cosine. Search is exact, a product
with every vector; an index would take the place of `nearest`, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.collection import Collection
from lookalike.errors import QueryError
from lookalike.parts import Part, matrix
from lookalike.query import Id, Query, query_vector, unknown_id
from lookalike.results import Results
from lookalike.samples import Hits

Vectors = NDArray[np.float32]
Block = tuple[pa.ChunkedArray, Vectors]


def search(collection: Collection, query: Query, k: int = 10) -> Results:
    """The k items most like the query, or all where there are fewer, the best first.

    Reads one part after the other, so that memory does not grow with the collection.
    Raises `QueryError` for a k below 1 or an unknown id, `ImageError` for a query that is no picture.
    """
    check_k(k)
    vector = query_vector(collection, query)
    parts = collection.parts()
    hits, places = nearest(vector, (_block(part) for part in parts), k)
    rows: dict[str, tuple[Mapping[str, Any], Part]] = {}
    nothing = dict.fromkeys(name for part in parts for name in part.column_names() if name != "embedding")
    for place in set(places):
        part = parts[place]
        table = part.described()
        found = table.filter(pc.is_in(table["id"], pa.array(hits.ids, pa.string())))
        rows |= {row["id"]: ({**nothing, **row}, part) for row in found.to_pylist()}
    return Results.of(hits, rows)


@dataclass(frozen=True)
class Snapshot:
    """One state of a collection in memory, for a server that answers many queries.

    `items` has the columns but the embedding, `vectors` is float32 (N, D), `parts` says where each of
    the N rows lies; `fingerprint` names the state.
    """

    collection: Collection
    fingerprint: str
    items: pa.Table
    vectors: Vectors
    parts: list[Part]

    @staticmethod
    def of(collection: Collection) -> Snapshot:
        """Read the whole collection; each part once, so that its rows and vectors belong together."""
        fingerprint = collection.fingerprint()
        parts = collection.parts()
        tables = [part.items() for part in parts]
        dim = collection.manifest.model.dim
        vectors = [matrix(table["embedding"]) for table in tables]
        items = [table.drop_columns(["embedding"]) for table in tables]
        return Snapshot(
            collection,
            fingerprint,
            pa.concat_tables(items, promote_options="permissive").combine_chunks()
            if items
            else collection.items(),
            np.concatenate(vectors) if vectors else np.empty((0, dim), np.float32),
            [part for part, table in zip(parts, tables, strict=True) for _ in range(len(table))],
        )

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row of each id."""
        return {id_: row for row, id_ in enumerate(self.items["id"].to_pylist())}

    def rows(self, rows: Iterable[int]) -> list[tuple[dict[str, Any], Part]]:
        """The columns and the part of these rows."""
        wanted = list(rows)
        found = self.items.take(pa.array(wanted, pa.int64())).to_pylist()
        return [(row, self.parts[place]) for row, place in zip(found, wanted, strict=True)]

    def search(self, query: Query, k: int = 10) -> Results:
        """As `search`, from memory."""
        check_k(k)
        vector = self._vector_of(query)
        hits, _ = nearest(vector, [(self.items["id"], self.vectors)], k)
        rows = self.rows(self.row_of[id_] for id_ in hits.ids)
        return Results.of(hits, dict(zip(hits.ids, rows, strict=True)))

    def _vector_of(self, query: Query) -> Vectors:
        if not isinstance(query, Id):
            return query_vector(self.collection, query)
        if query.id not in self.row_of:
            raise unknown_id(self.collection, query.id, list(self.row_of))
        return np.asarray(self.vectors[self.row_of[query.id]])


def check_k(k: int) -> None:
    """Raise `QueryError` for a number of results that cannot be."""
    if k < 1:
        raise QueryError(f"k is the number of results, at least 1, not {k}")


def nearest(query: Vectors, blocks: Iterable[Block], k: int) -> tuple[Hits, list[int]]:
    """The k items whose vectors have the largest dot product with `query` (D,).

    A block is ids (n,) and vectors (n, D). Also returns the number of the block of each hit. Equal
    scores keep the order of rows. Holds k candidates and one block at a time.
    """
    scores, ids, places = np.empty(0, np.float32), list[str](), list[int]()
    for number, (block_ids, vectors) in enumerate(blocks):
        # Row by row: a matrix product rounds a row by its place, and equal vectors need equal scores.
        block_scores = np.vecdot(vectors, query)
        best = _largest(block_scores, k)
        scores = np.concatenate([scores, block_scores[best]])
        ids += block_ids.take(pa.array(best)).to_pylist()
        places += [number] * len(best)
        kept = _largest(scores, k)
        scores, ids, places = scores[kept], [ids[i] for i in kept], [places[i] for i in kept]
    return Hits(tuple(ids), np.clip(scores, -1, 1)), places


def _largest(scores: Vectors, k: int) -> NDArray[np.int64]:
    """The places of the k largest scores, falling; equal ones in their order."""
    candidates = np.arange(len(scores))
    if k < len(scores):
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        candidates = np.flatnonzero(scores >= threshold)
    order = np.argsort(-scores[candidates], kind="stable")
    return candidates[order[:k]]


def _block(part: Part) -> Block:
    """Ids and vectors from one reading of the file: a part replaced meanwhile cannot mix them up."""
    table = part.items(["id", "embedding"])
    return table["id"], matrix(table["embedding"])
