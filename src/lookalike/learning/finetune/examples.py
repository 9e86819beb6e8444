"""Which pictures are learnt from, and which are held out to choose by and to judge by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.storage.snapshot import Snapshot

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_EVERY = 5  # one in so many is held out
_LEAST = 6  # a class with fewer has none to spare: two are held out, for one to find the other


@dataclass(frozen=True, slots=True)
class Examples:
    """The labelled items that can be learnt from: N rows of a snapshot, numbered from 0 by their places.

    `rows` and `classes` are int64 (N,), `names` the names of the classes. Those `held_out` (N,) are never
    learnt from. `unlabelled` items have no label, `singles` are alone in their class.
    """

    rows: Ints
    classes: Ints
    names: list[str]
    held_out: Mask
    unlabelled: int
    singles: int

    @staticmethod
    def of(snapshot: Snapshot, label: str, seed: int = 0) -> Examples:
        """Draw a fifth of each class to be held out; copies of what is learnt from are not.

        Raises `LookalikeError` if there is no such column, or there are too few labels.
        """
        if label not in snapshot.all_columns.names:
            known = ", ".join(snapshot.schema.names)
            raise LookalikeError(f"{snapshot.root} has no column {label}", f"it has: {known}")
        values = snapshot.column(label).to_pylist()
        labelled = np.array([row for row, one in enumerate(values) if one not in (None, "")], np.int64)
        texts = np.array([str(values[row]) for row in labelled])
        names, classes, counts = np.unique(texts, return_inverse=True, return_counts=True)
        enough = counts[classes] > 1
        if len(names) < 2 or (counts > 1).sum() < 2:
            raise LookalikeError(
                f"learning needs two classes of two images; the column {label} of {snapshot.root} has "
                f"{(counts > 1).sum()}",
                "label more images",
            )
        rows = labelled[enough]
        kept, classes = np.unique(classes[enough], return_inverse=True)
        held_out = _drawn(classes, snapshot.values("sha256", rows), seed)
        if not held_out.any():
            raise LookalikeError(
                f"no label of the column {label} has {_LEAST} images, so none can be held out to judge by",
                "label more images",
            )
        unlabelled, singles = len(values) - len(labelled), int((~enough).sum())
        return Examples(rows, classes, names[kept].tolist(), held_out, unlabelled, singles)

    def only(self, kept: Mask) -> Examples:
        """The examples of a mask (N,), if pictures of the others cannot be read."""
        return Examples(
            self.rows[kept],
            self.classes[kept],
            self.names,
            self.held_out[kept],
            self.unlabelled,
            self.singles,
        )


def _drawn(classes: Ints, sha256s: list[str | None], seed: int) -> Mask:
    """Which to hold out: a fifth of each class, at least two, none that has a copy among the others."""
    rng, held_out = np.random.default_rng(seed), np.zeros(len(classes), bool)
    for one in np.unique(classes):
        members = np.flatnonzero(classes == one)
        if len(members) >= _LEAST:
            held_out[rng.permutation(members)[: max(2, len(members) // _EVERY)]] = True
    learnt = {sha256s[place] for place in np.flatnonzero(~held_out)} - {None, ""}
    return np.asarray(held_out & np.array([one not in learnt for one in sha256s]), bool)
