"""The labels of items, and the marks that propose and give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from lookalike.storage.given_labels import LABEL
from lookalike.storage.label_values import label_values
from lookalike.storage.marks import Mark
from lookalike.storage.snapshot import Snapshot

Rows = NDArray[np.int64]

PROPOSED = "label_proposed"


def proposal_kind(column: str) -> str:
    """The kind of marks that propose values of a column."""
    return PROPOSED if column == LABEL else f"{PROPOSED}:{column}"


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
    """Read the labels of all rows, or of some ascending ones; raises `UnknownColumnError`."""
    values = label_values(snapshot, column, rows)
    return Labels(column, np.arange(len(snapshot)) if rows is None else rows, values)


def label_marks(snapshot: Snapshot, kind: str, ids: Sequence[str], values: Sequence[object]) -> list[Mark]:
    """A mark of a kind for each item, all of this moment; raises `UnknownIdError`."""
    now = datetime.now(UTC)
    sha256s = snapshot.values("sha256", snapshot.rows_of(ids))
    return [
        Mark(now, kind, (id_,), (sha256 or "",), value)
        for id_, sha256, value in zip(ids, sha256s, values, strict=True)
    ]
