"""Rows to ask conditions of."""

from __future__ import annotations

import pyarrow as pa

from lookalike.search.where import parse_condition

ROWS = pa.table(
    {
        "id": ["a", "b", "c", "d"],
        "width": pa.array([200, 400, None, 301], pa.int32()),
        "label": ["roses", None, "daisy", "roses"],
        "tags": pa.array([["daisy", "vase"], [], None, ["rose"]], pa.list_(pa.string())),
        "score": [0.5, 1.5, None, -2.0],
        "place": [{"city": "Rome"}, {"city": "Oslo"}, None, {"city": None}],
    }
)


def mask_of(rows: pa.Table, condition: str) -> list[bool]:
    """For which rows of a table a condition holds."""
    return parse_condition(condition, rows.schema).mask(rows).tolist()


def held(condition: str, rows: pa.Table = ROWS) -> list[str]:
    """The ids of the rows for which a condition holds."""
    return rows["id"].filter(pa.array(mask_of(rows, condition))).to_pylist()
