"""The labels of items: what a column says of them, corrected by the marks that people have made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UnknownColumnError
from lookalike.storage.columns import column_names
from lookalike.storage.marks import Mark
from lookalike.storage.snapshot import Snapshot

Rows = NDArray[np.int64]

LABEL, PROPOSED = "label", "label_proposed"


def mark_kind(kind: str, column: str) -> str:
    """The kind of marks about the labels in a column: the plain one for the column `label`."""
    return kind if column == LABEL else f"{kind}:{column}"


@dataclass(frozen=True, slots=True)
class Labels:
    """The label of each of N rows, None without one; `rows` int64 (N,) are their numbers in the snapshot."""

    column: str
    rows: Rows
    values: Sequence[str | None]

    @property
    def labelled(self) -> Rows:
        """The places, in [0, N), of rows that have a label; ascending."""
        return np.array([at for at, one in enumerate(self.values) if one is not None], np.int64)

    @property
    def unlabelled(self) -> Rows:
        """The places of rows without a label; ascending."""
        return np.array([at for at, one in enumerate(self.values) if one is None], np.int64)


def read_labels(snapshot: Snapshot, column: str = LABEL, rows: Rows | None = None) -> Labels:
    """Read the labels of all rows, or of some ascending ones; a mark of a label replaces what is stored.

    Raises `UnknownColumnError` if neither a column nor a mark has that name.
    """
    rows = np.arange(len(snapshot)) if rows is None else rows
    kind = mark_kind(LABEL, column)
    marked = snapshot.marked(kind) if kind in snapshot.marks.kinds() else [None] * len(snapshot)
    if column in snapshot.all_columns.names:
        stored = snapshot.column(column).to_pylist()
    elif any(one is not None for one in marked):
        stored = [None] * len(snapshot)
    else:
        raise UnknownColumnError(
            f"{snapshot.root} has no column {column}", f"it has: {column_names(snapshot.all_columns)}"
        )
    return Labels(column, rows, [_label(marked[row], stored[row]) for row in rows.tolist()])


def label_marks(snapshot: Snapshot, kind: str, ids: Sequence[str], values: Sequence[object]) -> list[Mark]:
    """A mark of a kind for each item, all of this moment; raises `UnknownIdError`."""
    now = datetime.now(UTC)
    sha256s = snapshot.values("sha256", snapshot.rows_of(ids))
    return [
        Mark(now, kind, (id_,), (sha256 or "",), value)
        for id_, sha256, value in zip(ids, sha256s, values, strict=True)
    ]


def _label(marked: object, stored: object) -> str | None:
    value = marked if isinstance(marked, str) and marked else stored
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value)
