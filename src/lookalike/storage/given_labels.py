"""Labels that people give: marks whose value goes before what a column stores.

The kind `label` gives values of the column `label`, `label:COLUMN` those of another; docs/format.md specifies
both. A snapshot lays them over its columns, row by row; what is stored stays as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.storage.marks import Mark, Marks
from lookalike.storage.parts import RESERVED_COLUMNS

LABEL = "label"


def label_kind(column: str) -> str:
    """The kind of marks that give values of a column."""
    return LABEL if column == LABEL else f"{LABEL}:{column}"


def labels_key(marks: Marks) -> str:
    """A name for the labels given in a journal: the same labels give the same text, none the empty one."""
    said = [(one.kind, one.ids, one.sha256s, one.value) for one in _of_labels(marks)]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest() if said else ""


@dataclass(frozen=True, slots=True)
class GivenLabels:
    """The values given to M rows: their numbers `rows` (M,) int64, ascending, and the texts."""

    rows: NDArray[np.int64]
    values: Sequence[str]

    def over(self, stored: pa.Array, start: int) -> pa.Array:
        """Lay the values over those of the rows from number `start` on, unless the type cannot hold them."""
        low, high = np.searchsorted(self.rows, (start, start + len(stored)))
        fitting = {
            int(row) - start: value
            for row, text in zip(self.rows[low:high], self.values[low:high], strict=True)
            if (value := fitted(text, stored.type)) is not None
        }
        if not fitting:
            return stored
        mask = np.zeros(len(stored), np.bool_)
        mask[list(fitting)] = True
        values = pa.array([one.as_py() for one in fitting.values()], stored.type)
        return pc.replace_with_mask(stored, pa.array(mask), values)

    def over_all(self, stored: pa.ChunkedArray) -> pa.ChunkedArray:
        """Lay the values over a whole column."""
        starts = np.cumsum([0, *map(len, stored.chunks)]).tolist()
        chunks = [self.over(one, start) for one, start in zip(stored.chunks, starts, strict=False)]
        return pa.chunked_array(chunks, stored.type)


def given_labels(marks: Marks, ids: pa.ChunkedArray, sha256s: pa.ChunkedArray) -> Mapping[str, GivenLabels]:
    """The labels given to the N items with these ids and checksums, by the name of the column."""
    found = {}
    for kind in sorted({one.kind for one in _of_labels(marks)}):
        said = values_by_row(marks, kind, ids, sha256s)
        texts = {row: value for row, value in said.items() if isinstance(value, str) and value}
        if texts:
            found[labelled_column(kind)] = GivenLabels(np.array(list(texts), np.int64), list(texts.values()))
    return found


def values_by_row(marks: Marks, kind: str, ids: pa.ChunkedArray, sha256s: pa.ChunkedArray) -> dict[int, Any]:
    """The values that marks of a kind about one picture give to rows, ascending, as `Marks.column` does.

    Of a million items it looks only at those that a mark may be about.
    """
    pictures = {
        one for mark in marks.last if mark.kind == kind and len(mark.ids) == 1 for one in mark.pictures
    }
    near = np.zeros(len(ids), np.bool_)
    checksums, names = (
        {sha256 for _, sha256 in pictures if sha256},
        {id_ for id_, sha256 in pictures if not sha256},
    )
    for column, wanted in ((sha256s, checksums), (ids, names)):
        if wanted:
            near |= np.asarray(pc.is_in(column, pa.array(sorted(wanted), pa.string())))
    rows = np.flatnonzero(near)
    some = [column.take(pa.array(rows)).to_pylist() for column in (ids, sha256s)]
    values = marks.column(kind, *some)
    return {row: value for row, value in zip(rows.tolist(), values, strict=True) if value is not None}


def schema_with_labels(schema: pa.Schema, columns: Collection[str], not_new: Collection[str]) -> pa.Schema:
    """The schema of rows whose `columns` get labels; those that it lacks are new, but for `not_new`."""
    for name in sorted(columns):
        at = schema.get_field_index(name)
        if at >= 0:
            schema = schema.set(at, schema.field(at).with_type(type_with_labels(schema.field(at).type)))
        elif name not in not_new:
            schema = schema.append(pa.field(name, pa.string()))
    return schema


def type_with_labels(type_: pa.DataType) -> pa.DataType:
    """The type of a column that gets labels: text if it has no values; a dictionary becomes its values."""
    if pa.types.is_null(type_):
        return pa.string()
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def fitted(text: str, type_: pa.DataType) -> pa.Scalar | None:
    """A text as a value of a column of this type; None if it cannot be one."""
    try:
        return pa.scalar(text).cast(type_with_labels(type_))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _of_labels(marks: Marks) -> list[Mark]:
    """The marks that give labels or withdraw them."""
    return [one for one in marks.last if labelled_column(one.kind) and len(one.ids) == 1]


def labelled_column(kind: str) -> str:
    """The column that marks of a kind give values of; empty if they say something else."""
    column = kind.removeprefix(f"{LABEL}:")
    may_be = label_kind(column) == kind and column.isprintable() and column not in RESERVED_COLUMNS
    return column if may_be else ""
