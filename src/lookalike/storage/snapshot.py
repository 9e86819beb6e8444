"""A snapshot: one consistent state of a collection; its rows, vectors and pictures are read on demand.

Labels that people gave go before the stored ones. Everything read later belongs to this state, or raises an
error: rows of two states never mix.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.errors import CollectionError, UnknownColumnError, UnknownIdError
from lookalike.models.model import LoadedModel
from lookalike.storage.columns import column_names
from lookalike.storage.derived import TABLES, Derived, read_derived
from lookalike.storage.given_labels import (
    GivenLabels,
    given_labels,
    labels_key,
    schema_with_labels,
    values_by_row,
)
from lookalike.storage.learned import pinned_model
from lookalike.storage.manifest import Manifest
from lookalike.storage.marks import Marks, marks_stamp, read_marks
from lookalike.storage.part_state import PartState
from lookalike.storage.parts import ITEM_FIELDS, RESERVED_COLUMNS
from lookalike.storage.row_file import RowFile, id_hashes
from lookalike.storage.state import State
from lookalike.storage.stored_rows import StoredRows
from lookalike.storage.stores import each

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]

# Columns that every part has; they need no look at a footer.
_EVERYWHERE = frozenset(field.name for field in ITEM_FIELDS)
# Comparing an unknown id with this many ids takes a fraction of a second.
_COMPARED_IDS = 20_000
# Up to so many rows are looked up one by one, and up to so many ids without sorting all hashes first.
_FEW = 64
# How many ids keep their rows in a cache: a request asks for the same ids several times.
_KEPT_IDS = 1024
# The columns of analyses, which labels don't turn into stored ones.
_DERIVED = frozenset(shown for table in TABLES.values() for shown in table)


class Snapshot:
    """N items in one state; safe to read from several threads."""

    def __init__(self, stored: StoredRows) -> None:
        self.stored = stored
        self._columns: dict[str, pa.ChunkedArray] = {}
        self._arrays: dict[tuple[int, str], pa.Array] = {}
        self._found: dict[str, int] = {}
        self._marks: tuple[tuple[str, ...], Marks, str] | None = None

    @staticmethod
    def open(root: Path, before: Snapshot | None = None) -> Snapshot:
        """Open the current state of the collection in a folder; parts that `before` has are not opened again.

        Raises `CollectionError` if there is no collection, or it is damaged.
        """
        row_file = RowFile.open(root)
        known = row_file.states(root) if row_file else {}
        if before is not None:
            known |= {one.part.number: one for one in before.parts}
        state = State.read(root, known)
        if before is None:
            return Snapshot(StoredRows(state, row_file))
        same = state == before.state and before.is_mapped
        found = Snapshot(before.stored if same else StoredRows(state, row_file))
        found._marks = before._marks
        return found

    @property
    def state(self) -> State:
        return self.stored.state

    @property
    def root(self) -> Path:
        return self.state.root

    @property
    def name(self) -> str:
        """The folder's name without its suffix."""
        return self.root.name.removesuffix(".lookalike")

    @property
    def manifest(self) -> Manifest:
        return self.state.manifest

    @property
    def parts(self) -> Sequence[PartState]:
        return self.state.parts

    @property
    def fingerprint(self) -> str:
        return self.state.fingerprint

    @property
    def dim(self) -> int:
        return self.manifest.model.dim

    def __len__(self) -> int:
        return self.state.count

    @property
    def is_mapped(self) -> bool:
        """Whether the file of rows holds the rows of all parts in their current state."""
        return self.stored.is_mapped

    # Columns.

    @cached_property
    def schema(self) -> pa.Schema:
        """The stored columns without the embedding, in types that can hold all values, and given labels."""
        return schema_with_labels(self.stored.schema, self._given.keys(), _DERIVED)

    @cached_property
    def all_columns(self) -> pa.Schema:
        """The stored and the derived columns; of two with the same name, the stored one."""
        schema = self.schema
        for name, made in self.derived.items():
            for field in made.shown(name):
                if field.name not in schema.names:
                    schema = schema.append(field)
        return schema

    @cached_property
    def filled_columns(self) -> Sequence[pa.Field]:
        """Those of `all_columns` that are not null in every row; all of them if there are no rows."""
        filled = self.stored.filled | self._given.keys()
        return [one for one in self.all_columns if one.name in filled or one.name not in self.stored.names]

    def column(self, name: str) -> pa.ChunkedArray:
        """One column of all rows, stored or derived; raises `KeyError` for an unknown name."""
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = self._whole_column(name)
        return found

    def table(self, names: Sequence[str] | None = None) -> pa.Table:
        """Columns of all rows, by default the stored ones; `names` may include `embedding`."""
        wanted = self.schema.names if names is None else list(names)
        columns = [self._embedding_column() if name == "embedding" else self.column(name) for name in wanted]
        return pa.table(columns, names=wanted) if wanted else pa.table({"": pa.nulls(len(self))}).select([])

    def records(self, rows: Sequence[int] | Rows, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The stored columns of these rows, or the named ones, as Python values."""
        wanted = self.schema.names if names is None else names
        columns = [self.values(name, rows) for name in wanted]
        return [dict(zip(wanted, values, strict=True)) for values in zip(*columns, strict=True)]

    def values(self, name: str, rows: Sequence[int] | Rows) -> list[Any]:
        """The values of one column of these rows, stored or derived; `KeyError` for an unknown name."""
        if name not in _EVERYWHERE and name not in self._names:
            return list(self.column(name).take(pa.array(rows, pa.int64())).to_pylist())
        if len(rows) <= _FEW:
            return [self._value(name, row) for row in np.asarray(rows, np.int64).tolist()]
        rows = np.asarray(rows, np.int64)
        places = self.state.places_of(rows)
        within = rows - self.state.starts[places]
        found: list[Any] = [None] * len(rows)
        for place in np.unique(places).tolist():
            mine = np.flatnonzero(places == place)
            values = self._array(place, name).take(pa.array(within[mine])).to_pylist()
            for at, value in zip(mine.tolist(), values, strict=True):
                found[at] = value
        return found

    def part_of(self, row: int) -> PartState:
        """The part that contains a row."""
        return self.parts[int(self.state.places_of(np.array([row]))[0])]

    # Ids.

    def ids(self, rows: Sequence[int] | Rows) -> list[str]:
        return self.values("id", rows)

    def find(self, id_: str) -> int | None:
        """The row number of an item, or None if there is no such item."""
        row = self._found.get(id_)
        if row is not None:
            return row
        try:
            wanted = id_hashes([id_])[0]
        except UnicodeEncodeError:
            return None
        candidates = np.flatnonzero(self.stored.hashes == wanted).tolist()
        row = next((one for one in candidates if self.ids([one]) == [id_]), None)
        if row is not None:
            if len(self._found) >= _KEPT_IDS:
                self._found.clear()
            self._found[id_] = row
        return row

    def row_of(self, id_: str) -> int:
        """The row number of an item; raises `UnknownIdError` with similar ids if there is none."""
        row = self.find(id_)
        if row is None:
            raise self._unknown(id_)
        return row

    def rows_of(self, ids: Iterable[str]) -> Rows:
        """The row numbers of these items, (n,), in the order asked; `UnknownIdError` for an unknown id."""
        asked = list(ids)
        if len(asked) <= _FEW:
            return np.array([self.row_of(id_) for id_ in asked], np.int64)
        order, hashes = self.stored.sorted_hashes
        wanted = id_hashes(asked)
        at = np.searchsorted(hashes, wanted)
        rows = order[np.minimum(at, len(order) - 1)] if len(order) else np.zeros(len(asked), np.int64)
        found: list[str | None] = list(self.ids(rows)) if len(order) else [None] * len(asked)
        for place, (id_, there) in enumerate(zip(asked, found, strict=True)):
            if id_ != there:  # another item with the same hash, or none
                rows[place] = self.row_of(id_)
        return rows

    # Vectors and pictures.

    def blocks(self) -> Iterator[Vectors]:
        """The vectors (n, D), one part after another; raises as `PartState.embeddings`."""
        yield from each(self.parts, PartState.embeddings, self.root)

    def vectors(self, rows: Sequence[int] | Rows) -> Vectors:
        """The stored vectors of these rows, (n, D), in the order asked; each part is read once."""
        rows = np.asarray(rows, np.int64)
        found = np.empty((len(rows), self.dim), np.float32)
        places = self.state.places_of(rows)
        needed = np.unique(places).tolist()
        blocks = each([self.parts[place] for place in needed], PartState.embeddings, self.root)
        for place, block in zip(needed, blocks, strict=True):
            here = np.flatnonzero(places == place)
            found[here] = block[rows[here] - self.state.starts[place]]
        return found

    def thumbnails(self, rows: Sequence[int] | Rows) -> list[bytes]:
        """The JPEGs of these rows, empty for an item without one; raises `ChangedError` if they are gone."""
        places = self.state.places_of(np.asarray(rows, np.int64)).tolist()
        records = self.records(rows, ("thumb_offset", "thumb_size"))
        ranges = [(one["thumb_offset"], one["thumb_size"]) for one in records]
        found = [b""] * len(ranges)
        for place in dict.fromkeys(places):
            mine = [at for at, one in enumerate(places) if one == place]
            jpegs = self.parts[place].thumbnails(ranges[at] for at in mine)
            for at, jpeg in zip(mine, jpegs, strict=True):
                found[at] = jpeg
        return found

    # Derived tables, marks, model.

    @cached_property
    def derived(self) -> Mapping[str, Derived]:
        """The derived tables that are intact and of this state; `read_derived` explains the others."""
        found = {}
        for name in TABLES:
            with suppress(CollectionError):
                made = read_derived(self.state, name)
                if made is not None and made.rows.num_rows == len(self):
                    found[name] = made
        return found

    @property
    def marks(self) -> Marks:
        """What people have said about the pictures up to now: read again if a mark is new, unlike the rows.

        Raises `CollectionError` if a file of marks is damaged.
        """
        return self._marks_now()[0]

    @property
    def newest_labels_key(self) -> str:
        """What `labels_key` would be if the snapshot were opened now."""
        return self._marks_now()[1]

    @cached_property
    def labels_key(self) -> str:
        """A name for the labels that people gave, as this snapshot has them; empty if there are none."""
        return labels_key(self._given_marks)

    def marked(self, kind: str) -> list[Any]:
        """The value that marks of a kind give each item, (N,); None for items without such a mark."""
        found: list[Any] = [None] * len(self)
        for row, value in values_by_row(self.marks, kind, self.column("id"), self.column("sha256")).items():
            found[row] = value
        return found

    def marked_pairs(self, kind: str) -> dict[tuple[int, int], Any]:
        """The value that marks of a kind give pairs of items, by their row numbers, the smaller first."""
        return self.marks.pairs(kind, self.column("id").to_pylist(), self.column("sha256").to_pylist())

    def items_of(self, place: int) -> pa.Table:
        """The rows of the part at a place with all columns; raises as `PartState.items`."""
        table = self.parts[place].items()
        for name in self._given.keys() & self._names:
            at, array = table.schema.get_field_index(name), self._array(place, name)
            table = table.set_column(at, name, array) if at >= 0 else table.append_column(name, array)
        return table

    @cached_property
    def model(self) -> LoadedModel:
        """The model that made the vectors, on the CPU; raises as `load_model`."""
        return self.load_model("cpu")

    def load_model(self, device: str) -> LoadedModel:
        """Load the model that made the vectors; raises `ModelError` if another model has its name here."""
        return pinned_model(self.root, self.manifest, device)

    # Internals.

    def _marks_now(self) -> tuple[Marks, str]:
        """The marks of now, and the key of the labels in them."""
        stamp = marks_stamp(self.root)
        if self._marks is None or self._marks[0] != stamp:
            marks = read_marks(self.root)
            self._marks = stamp, marks, labels_key(marks)
        return self._marks[1:]

    @cached_property
    def _given_marks(self) -> Marks:
        """The marks from which this snapshot has its labels: those of its first look at them."""
        return self.marks

    @cached_property
    def _given(self) -> Mapping[str, GivenLabels]:
        """The labels that people gave, by column."""
        if not self.labels_key:
            return {}
        return given_labels(self._given_marks, self.column("id"), self.column("sha256"))

    def _array(self, place: int, name: str) -> pa.Array:
        """A column of a part, with the labels that people gave."""
        array = self._arrays.get((place, name))
        if array is not None:
            return array
        given = None if name in RESERVED_COLUMNS else self._given.get(name)
        if given is not None:
            type_ = self.schema.field(name).type
            known = name in self.stored.names
            stored = self.stored.array(place, name) if known else pa.nulls(self.parts[place].count, type_)
            array = given.over(stored.cast(type_), self._starts[place])
        else:
            array = self.stored.array(place, name)
        if given is not None or self.is_mapped:
            self._arrays[place, name] = array
        return array

    def _value(self, name: str, row: int) -> Any:
        starts = self._starts
        place = bisect_right(starts, row) - 1
        array = self._arrays.get((place, name))
        if array is None:
            array = self._array(place, name)
        return array[row - starts[place]].as_py()

    @cached_property
    def _starts(self) -> list[int]:
        starts: list[int] = self.state.starts.tolist()
        return starts

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.schema.names)

    def _whole_column(self, name: str) -> pa.ChunkedArray:
        schema = self.stored.schema if name in RESERVED_COLUMNS else self.schema
        if name in schema.names:
            type_ = schema.field(name).type
            arrays = [self._array(place, name) for place in range(len(self.parts))]
            return pa.chunked_array([one.cast(type_) for one in arrays], type_)
        for table, made in self.derived.items():
            if name in TABLES[table]:
                column = made.rows[TABLES[table][name]]
                return self._given[name].over_all(column) if name in self._given else column
        raise UnknownColumnError(
            f"{self.name} has no column {name!r}", f"it has: {column_names(self.all_columns)}"
        )

    def _embedding_column(self) -> pa.ChunkedArray:
        return pa.chunked_array(
            [chunk for state in self.parts for chunk in state.column("embedding").chunks]  # type: ignore[union-attr]
        )

    def _unknown(self, id_: str) -> UnknownIdError:
        known = self.column("id").slice(0, _COMPARED_IDS).to_pylist()
        nearest = get_close_matches(id_, known, n=3, cutoff=0.4)
        return UnknownIdError(f"{self.name} has no item {id_!r}", nearest, known[0] if known else None)
