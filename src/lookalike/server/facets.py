"""Counts the values of the columns: the values of text and lists, the spread of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from starlette.requests import Request
from starlette.responses import Response

from lookalike.search.engine import Engine
from lookalike.server.answers import as_json, asked_condition, live_of, matching
from lookalike.storage.columns import column_type, value_counts

# Columns that identify items, and the probabilities of tags, have no facet.
_WITHOUT = frozenset("id uri sha256 mtime_ns thumb_offset thumb_size tag_probabilities map_x map_y".split())
_MOST_VALUES, _BINS = 50, 20


def facets(request: Request) -> Response:
    """`GET /api/{c}/facets`: counts of the columns' values, over the rows that meet a condition."""
    engine = live_of(request).engine()
    where = asked_condition(request)
    return as_json(engine.kept("facets", where or "", lambda: _facets(engine, where)))


def _facets(engine: Engine, where: str | None) -> dict[str, Any]:
    rows = matching(engine, where)
    names = [one.name for one in engine.snapshot.filled_columns if one.name not in _WITHOUT]
    table = engine.snapshot.table(names)
    if where is not None:
        table = table.filter(pa.array(engine.mask(where)))
    columns = [_facet(name, table[name]) for name in table.column_names]
    return {"total": len(rows), "columns": [one for one in columns if one]}


def _facet(name: str, column: pa.ChunkedArray) -> dict[str, Any] | None:
    kind = column_type(column.type)
    if kind in ("text", "list"):
        return {"name": name, "type": kind, **_values(pc.list_flatten(column) if kind == "list" else column)}
    if kind == "number":
        return {"name": name, "type": kind, **_spread(column)}
    return None


def _values(column: pa.ChunkedArray) -> dict[str, Any]:
    """The most frequent values, and how many there are."""
    counts = value_counts(column)
    return {"values": counts[:_MOST_VALUES].to_pylist(), "distinct": len(counts)}


def _spread(column: pa.ChunkedArray) -> dict[str, Any]:
    """The minimum, the maximum, and how many numbers are between neighbouring `edges`."""
    numbers = np.asarray(column.drop_null(), np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return {"min": None, "max": None, "bins": [], "edges": []}
    low, high = float(numbers.min()), float(numbers.max())
    bins, edges = np.histogram(numbers, bins=1 if low == high else _BINS, range=(low, high))
    return {"min": low, "max": high, "bins": bins.tolist(), "edges": edges.tolist()}
