"""Columns of items as people and JSON see them."""

from __future__ import annotations

import math
from datetime import date, time
from typing import Any

import pyarrow as pa

# Where a thumbnail is, and the vector: of no use to anyone who asks for the columns.
INTERNAL_COLUMNS = ("thumb_offset", "thumb_size", "embedding")


def column_names(schema: pa.Schema) -> str:
    """The columns that people see, for an error about one that is missing."""
    return ", ".join(name for name in schema.names if name not in INTERNAL_COLUMNS)


def column_type(type_: pa.DataType) -> str:
    """The type of a column in plain words: text, a list of text, a number, or something else."""
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return "text"
    if pa.types.is_list(type_) and pa.types.is_string(type_.value_type):
        return "list"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_):
        return "number"
    return "other"


def filled_columns(items: pa.Table) -> list[str]:
    """The columns that are not null in every row; all columns if there are no rows."""
    return [name for name in items.column_names if not items.num_rows or items[name].null_count < len(items)]


def value_counts(column: pa.ChunkedArray) -> pa.Table:
    """The values of a column of text, null among them, each as `value` with its `count`.

    The most frequent come first, equally frequent ones in alphabetical order, null last.
    """
    counted = column.value_counts()
    table = pa.table({"value": counted.field("values"), "count": counted.field("counts")})
    return table.sort_by([("count", "descending"), ("value", "ascending")])


def jsonable(value: Any) -> Any:
    """Convert a value for JSON: None for NaN and infinities, ISO 8601 text for times and dates."""
    if isinstance(value, dict):
        return {name: jsonable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(one) for one in value]
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value
