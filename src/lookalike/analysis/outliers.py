"""Finds items that don't belong: far from everything, or among items with another label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.analysis.neighbours import Neighbours, nearest_others
from lookalike.checking import checked
from lookalike.errors import LookalikeError, counted
from lookalike.storage.derived import Derived, write_derived
from lookalike.storage.given_labels import LABEL
from lookalike.storage.label_values import label_values
from lookalike.storage.selection import Rows, Selection
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.state import State

NAME = "outliers"
# The number of farthest items, and of likely mislabelled ones, stored for the page.
KEPT = 50
_USUAL_K = 10
Progress = Callable[[int, int], None]

# An item is likely mislabelled if most neighbours share another label and hardly any have its own.
_LEAST_OTHER, _MOST_OWN = 0.6, 0.1
_BLOCK_ROWS = 1024  # voting compares each neighbour with each


@dataclass(frozen=True, slots=True)
class Outlier:
    """An item and the mean of 1 - cosine to its k nearest others, 0 to 2."""

    id: str
    distance: float


@dataclass(frozen=True, slots=True)
class Mislabelled:
    """An item whose neighbours suggest another label: `share` of them have `suggested`, `own` its own."""

    id: str
    label: str
    suggested: str
    share: float
    own: float


@dataclass(frozen=True, slots=True)
class Outliers:
    """The farthest items, farthest first; the likely mislabelled ones, surest first; and the `k` used.

    `labelled` items have a label in the column `label`; 0 without that column. `recall` is the share of the
    true neighbours among those used. `table` has a row for each item: `outlier_distance`, and what its
    neighbours suggest about its label. `command`, a list of words, finds the same again.
    """

    k: int
    label: str
    labelled: int
    recall: float
    farthest: tuple[Outlier, ...]
    mislabelled: tuple[Mislabelled, ...]
    table: pa.Table = field(repr=False, compare=False)
    command: Sequence[str] = field(repr=False, compare=False)

    def __repr__(self) -> str:
        items, wrong = self.table.num_rows, len(self.mislabelled)
        return (
            f"Outliers({counted(items, 'image')} judged by {self.k} neighbours, {wrong:,} likely mislabelled)"
        )

    def facts(self) -> dict[str, Any]:
        """The facts about all items together, ready for JSON."""
        told = {name: getattr(self, name) for name in ("k", "label", "labelled", "recall")}
        listed = {name: [asdict(one) for one in getattr(self, name)] for name in ("farthest", "mislabelled")}
        return told | listed


@checked
def find_outliers(
    snapshot: Snapshot,
    label: str = "label",
    *,
    rows: Rows | None = None,
    k: int | None = None,
    most: int = KEPT,
    max_memory_bytes: int | None = None,
    on_progress: Progress | None = None,
) -> Outliers:
    """Judge every item, or those in `rows` (ascending), by its k nearest others.

    By default k is ten, or the number of others if these are fewer. Compares labels if the collection has
    the column `label`; those of `folder` are the items' folders. Uses at most `max_memory_bytes`, if given,
    beyond the program itself. Raises `LookalikeError` for an impossible k or limit.
    """
    selection = Selection.of(snapshot, ("id", label), rows=rows)
    labels = _labels(snapshot, label, rows)
    k = min(_USUAL_K, len(selection) - 1) if k is None else k
    if not 1 <= k < len(selection):
        raise LookalikeError(
            f"k is {k}, but each of {len(selection):,} images has {len(selection) - 1:,} others",
            "use a smaller `k`",
        )
    near = nearest_others(selection, k, max_memory_bytes=max_memory_bytes, on_progress=on_progress)
    # Rows that the index missed count like the farthest that it found.
    cosines = np.where(near.rows < 0, near.scores.min(axis=1, keepdims=True), near.scores)
    distances = np.maximum(1 - cosines.mean(axis=1), 0)  # a cosine may round to a little more than 1
    suggested, share, own = _votes(near, labels)
    ids = selection.ids
    table = pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "outlier_distance": pa.array(distances, pa.float32()),
            "suggested_label": pa.array(suggested, pa.string()),
            "suggested_share": pa.array(share, pa.float32()),
            "own_share": pa.array(own, pa.float32()),
        }
    )
    return Outliers(
        k=k,
        label=label,
        labelled=sum(one is not None for one in labels),
        recall=near.recall,
        farthest=tuple(
            Outlier(ids[row], float(distances[row])) for row in np.argsort(-distances, kind="stable")[:most]
        ),
        mislabelled=_mislabelled(ids, labels, suggested, share, own)[:most],
        table=table,
        command=["lookalike", "outliers", str(snapshot.root), "--label", label, "-k", str(k)],
    )


def write_outliers(state: State, found: Outliers) -> None:
    """Store the result for all items as `derived/outliers.parquet` and `.json`; raises `ChangedError`."""
    write_derived(state, NAME, Derived(found.table, found.facts()), found.command)


def _labels(snapshot: Snapshot, label: str, rows: Rows | None) -> Sequence[str | None]:
    """The label of each row; none if there are no labels at all, and no other column was asked for."""
    if label == LABEL and LABEL not in snapshot.all_columns.names:
        return [None] * (len(snapshot) if rows is None else len(rows))
    return label_values(snapshot, label, rows)


def _votes(
    near: Neighbours, labels: Sequence[str | None]
) -> tuple[list[str | None], NDArray[np.float32], NDArray[np.float32]]:
    """The label of most labelled neighbours, its share of them, and the share of the item's own label.

    Among equally common labels the nearer one counts. Without a labelled neighbour: None, 0 and 0.
    """
    names = sorted({one for one in labels if one is not None})
    number = {name: place for place, name in enumerate(names)}
    codes = np.array([-1 if one is None else number[one] for one in labels])
    chosen, shares = np.full(len(labels), -1), np.zeros((2, len(labels)), np.float32)
    for start in range(0, len(labels), _BLOCK_ROWS):
        here = slice(start, start + _BLOCK_ROWS)
        around = np.where(near.rows[here] < 0, -1, codes[near.rows[here]])
        known = np.maximum((around >= 0).sum(axis=1), 1)
        counts = ((around[:, :, None] == around[:, None, :]) & (around[:, None, :] >= 0)).sum(axis=2)
        best = counts.argmax(axis=1)[:, None]
        chosen[here] = np.take_along_axis(around, best, axis=1)[:, 0]
        shares[0, here] = np.take_along_axis(counts, best, axis=1)[:, 0] / known
        shares[1, here] = ((around == codes[here, None]) & (around >= 0)).sum(axis=1) / known
    suggested: list[Any] = [names[code] if code >= 0 else None for code in chosen.tolist()]
    return suggested, shares[0], shares[1]


def _mislabelled(
    ids: list[str],
    labels: Sequence[str | None],
    suggested: list[str | None],
    share: NDArray[np.float32],
    own: NDArray[np.float32],
) -> tuple[Mislabelled, ...]:
    found = [
        Mislabelled(id_, label, other, float(share[row]), float(own[row]))
        for row, (id_, label, other) in enumerate(zip(ids, labels, suggested, strict=True))
        if label is not None and other is not None and other != label
    ]
    sure = [one for one in found if one.share >= _LEAST_OTHER and one.own <= _MOST_OWN]
    return tuple(sorted(sure, key=lambda one: (one.own - one.share, one.id)))
