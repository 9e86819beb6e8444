"""One state of a collection as the server answers from it: its rows, and an index or else its vectors.

Rows are numbered in the order of parts. With an index the vectors stay on the disk: the index is mapped
into memory, where all workers share it, and the vector of a single item is read from its part.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.collection import Collection, open_collection
from lookalike.errors import CollectionError
from lookalike.index import Index, open_index
from lookalike.search.confidence import Background, background_of
from lookalike.search.query import Floats, unknown_id
from lookalike.search.search import largest
from lookalike.search.where import parse_condition
from lookalike.storage.derived import Derived, read_derived
from lookalike.storage.parts import Part, matrix, read_ranges
from lookalike.storage.stores import each, is_remote

Rows = NDArray[np.int64]

# Derived tables, and the columns of theirs that an item has beside its own.
TABLES = {
    "clusters": {"cluster_name": "cluster_name"},
    "duplicates": {},
    "outliers": {"outlier_distance": "outlier_distance"},
    "map": {"x": "map_x", "y": "map_y"},
}

# Answers that are kept, such as the rows that a condition holds for: a page asks for them again and again.
_KEPT = 16


@dataclass(frozen=True)
class State:
    """The rows without embedding are `items`; part `i` has those from `starts[i]`, and the tar `tars[i]`.

    `row_of` is the number of the row of each id. `vectors` is float32 (N, D), None where there is an index.
    """

    collection: Collection
    fingerprint: str
    items: pa.Table
    parts: Sequence[Part]
    checksums: Sequence[str]
    tars: Sequence[Path]
    starts: Rows
    row_of: Mapping[str, int]
    index: Index | None
    vectors: Floats | None
    background: Background | None
    derived: Mapping[str, Derived]
    _kept: OrderedDict[tuple[str, str], Any] = field(default_factory=OrderedDict)
    _keeping: threading.Lock = field(default_factory=threading.Lock)

    @staticmethod
    def read(path: Path) -> State:
        """Read the collection in a folder; `CollectionError` where it is damaged or changes meanwhile."""
        collection = open_collection(path)
        fingerprint = collection.fingerprint()
        index, parts = open_index(collection), collection.parts()
        tables, blocks = [], []
        for table in each(parts, Part.items if index is None else Part.described, path):
            if index is None:
                blocks.append(matrix(table["embedding"]))
            tables.append(table.drop_columns(["embedding"]) if index is None else table)
        checksums = list(each(parts, Part.checksum, path))
        tars = list(each(parts, Part.thumbnails_path, path))
        if open_collection(path).fingerprint() != fingerprint:
            raise CollectionError(f"{path} changes while it is read", "try again in a moment")
        if tables:
            items = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        else:
            items = collection.items()
        vectors = None
        if index is None:
            nothing = np.empty((0, collection.manifest.model.dim), np.float32)
            vectors = np.concatenate([nothing, *blocks])
        starts = np.cumsum([0, *(table.num_rows for table in tables)])
        background = background_of(collection)
        derived = _derived(collection, len(items))
        items = _with_derived(items, derived)
        row_of = {id_: row for row, id_ in enumerate(items["id"].to_pylist())}
        return State(
            collection=collection, fingerprint=fingerprint, items=items, parts=parts, checksums=checksums,
            tars=tars, starts=starts, row_of=row_of, index=index, vectors=vectors, background=background,
            derived=derived,
        )  # fmt: skip

    @cached_property
    def _sha256(self) -> pa.ChunkedArray:
        return self.items["sha256"]

    @cached_property
    def _all(self) -> Rows:
        return np.arange(len(self.items))

    @cached_property
    def _ranges(self) -> Rows:
        """Offset and size of each thumbnail, (N, 2)."""
        return np.stack([np.asarray(self.items[name]) for name in ("thumb_offset", "thumb_size")], axis=1)

    def row(self, id_: str) -> int:
        """The number of an item's row; `UnknownIdError` if there is none."""
        row = self.row_of.get(id_)
        if row is None:
            raise unknown_id(self.collection, id_, list(self.row_of))
        return row

    def columns(self, rows: Sequence[int] | Rows, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The columns of these rows, all or those named that there are."""
        known = self.items.column_names
        wanted = self.items.select(known if names is None else [name for name in names if name in known])
        found: list[dict[str, Any]] = wanted.take(pa.array(rows, pa.int64())).to_pylist()
        return found

    def thumbnail(self, id_: str) -> tuple[str, bytes]:
        """The sha256 of the item's picture, and its JPEG; `CollectionError` where the tar is replaced."""
        row = self.row(id_)
        sha256, (offset, size) = self._sha256[row].as_py(), self._ranges[row].tolist()
        if not size:
            return sha256, b""
        (jpeg,) = read_ranges(self.tars[self._part_of(row)], [(offset, size)])
        return sha256, jpeg

    def cached_thumbnail(self, id_: str) -> tuple[str, bytes] | None:
        """The same where it takes no waiting for a disk; None where it might, or there is no such item."""
        row = self.row_of.get(id_)
        if row is None or not hasattr(os, "RWF_NOWAIT"):
            return None
        offset, size = self._ranges[row].tolist()
        tar, buffer = self.tars[self._part_of(row)], bytearray(size)
        if is_remote(tar):
            return None
        try:
            with tar.open("rb", buffering=0) as file:
                count = os.preadv(file.fileno(), [buffer], offset, os.RWF_NOWAIT)
        except OSError:
            return None
        return (self._sha256[row].as_py(), bytes(buffer)) if count == size else None

    def mask(self, where: str) -> NDArray[np.bool_]:
        """For which rows an SQL condition holds, bool (N,); raises `QueryError` where it cannot be."""

        def compute() -> NDArray[np.bool_]:
            return parse_condition(where, self.items.schema).mask(self.items)

        found: NDArray[np.bool_] = self.kept("mask", where, compute)
        return found

    def matching(self, where: str | None) -> Rows:
        """The rows for which a condition holds, in order; all of them without one."""
        if where is None:
            return self._all
        return np.flatnonzero(self.mask(where))

    def nearest(
        self, queries: Sequence[Floats], k: int, where: str | None = None
    ) -> list[tuple[Rows, Floats]]:
        """For each query (D,) the at most k nearest rows that match, and their cosines, falling."""
        mask = None if where is None else self.mask(where)
        k = min(k, len(self.items))
        if not k or not queries:
            return [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in queries]
        if self.index is not None:
            scores, rows = self.index.search(np.stack(queries), k, mask)
            return [(one[one >= 0], its[one >= 0]) for one, its in zip(rows, scores, strict=True)]
        matching = None if mask is None else np.flatnonzero(mask)
        return [self._exact(query, k, matching) for query in queries]

    def vectors_of(self, ids: Iterable[str]) -> dict[str, Floats]:
        """The vectors of items, as `vectors_at`; `UnknownIdError` for one that is not there."""
        rows = {id_: self.row(id_) for id_ in sorted(ids)}
        return dict(zip(rows, self.vectors_at(list(rows.values())), strict=True))

    def vectors_at(self, rows: Sequence[int]) -> Floats:
        """The unit vectors (n, D) of these rows, as the index has them where only that is in memory.

        Reading one from its part takes twenty times as long as the search itself; so parts are read only
        where the index has less than 8 bits a number.
        """
        if self.vectors is not None:
            return self.vectors[list(rows)]
        indexed = self.index.vectors(np.asarray(rows, np.int64)) if self.index else None
        if indexed is not None:
            return indexed
        found = np.empty((len(rows), self.collection.manifest.model.dim), np.float32)
        places = np.array([self._part_of(row) for row in rows], np.int64)
        for place in np.unique(places):
            here = np.flatnonzero(places == place)
            found[here] = self._block(int(place))[np.asarray(rows)[here] - self.starts[place]]
        return found

    def kept(self, kind: str, key: str, compute: Callable[[], Any]) -> Any:
        """What `compute` says, remembered for this state; the longest unused of them is forgotten."""
        with self._keeping:
            if (kind, key) in self._kept:
                self._kept.move_to_end((kind, key))
                return self._kept[kind, key]
        value = compute()
        with self._keeping:
            self._kept[kind, key] = value
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return value

    def _exact(self, query: Floats, k: int, matching: Rows | None) -> tuple[Rows, Floats]:
        assert self.vectors is not None
        # Row by row: a matrix product rounds a row by its place, and equal vectors need equal scores.
        scores = np.vecdot(self.vectors, query)
        if matching is not None:
            scores = scores[matching]
        best = largest(scores, min(k, len(scores)))
        rows = best if matching is None else matching[best]
        return rows, np.clip(scores[best], -1, 1)

    def _part_of(self, row: int) -> int:
        return int(np.searchsorted(self.starts, row, side="right")) - 1

    def _block(self, place: int) -> Floats:
        """The vectors of a part; `CollectionError` where a build has replaced it meanwhile."""
        part = self.parts[place]
        vectors = part.embeddings()
        if part.checksum() != self.checksums[place]:
            raise CollectionError(f"{part.items_path} has been replaced", "ask again")
        return vectors


def _derived(collection: Collection, count: int) -> dict[str, Derived]:
    """The tables that are fresh and whole; of the others the views say what is wrong."""
    found = {}
    for name in TABLES:
        with suppress(CollectionError):
            made = read_derived(collection, name)
            if made is not None and made.rows.num_rows == count:
                found[name] = made
    return found


def _with_derived(items: pa.Table, derived: Mapping[str, Derived]) -> pa.Table:
    """The items with what was found out about them, so that it filters as any column does.

    A column of the collection's own keeps its name.
    """
    for name, made in derived.items():
        for column, shown in TABLES[name].items():
            if shown not in items.column_names:
                items = items.append_column(shown, made.rows[column].combine_chunks())
    return items
