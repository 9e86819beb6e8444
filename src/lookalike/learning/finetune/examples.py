"""Which pictures are learnt from, and which are held out to choose by and to judge by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.learning.choice import FOLDS
from lookalike.learning.labels import Question, folds_of_classes, folds_of_items, question_of, read_labelled
from lookalike.learning.pair_folds import folds_of_triplets
from lookalike.learning.pairs import groups_of, read_pairs, read_triplets
from lookalike.storage.snapshot import Snapshot

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_EVERY = 5  # one in so many is held out
_LEAST = 6  # a class with fewer has no two to spare, of which one could find the other
FEW = 4  # in most classes: then whole classes are held out
_LEAST_CLASSES = 2 * _EVERY  # of which two are held out whole


@dataclass(frozen=True, slots=True)
class Examples:
    """The labelled items that can be learnt from: N rows of a snapshot, numbered from 0 by their places.

    `rows` and `classes` are int64 (N,), `names` the names of the classes. Those `held_out` (N,) are never
    learnt from. `unlabelled` items have no label, `singles` are alone in their class. `told` says what was
    read of a table of pairs or triplets: their groups are the classes then, which have no names. `triplets`
    (T, 3) are places of an anchor, what is like it, and what is less; None if the classes are learned.
    """

    rows: Ints
    classes: Ints
    names: tuple[str, ...]
    held_out: Mask
    unlabelled: int
    singles: int
    told: str = ""
    triplets: Ints | None = None

    @property
    def learnt_classes(self) -> int:
        """The number of classes that are learnt: the first ones."""
        return int(self.classes[~self.held_out].max()) + 1

    @property
    def question(self) -> Question:
        """What the held-out items tell: how the `same` classes are found, or `new` ones."""
        return "new" if self.told or self.learnt_classes < len(self.names) else "same"

    @staticmethod
    def of(snapshot: Snapshot, label: str, seed: int = 0, question: Question | None = "same") -> Examples:
        """Hold out a fifth of each class, neighbours together, without copies of what is learnt from.

        If it is the question how `new` classes are found, hold out a fifth of the classes, whole; these come
        last. Raises `LookalikeError` if there is no such column, or there are too few labels.
        """
        labelled = read_labelled(snapshot, label)
        enough = np.bincount(labelled.classes)[labelled.classes] > 1
        rows = labelled.selection.rows[enough]
        known, classes = np.unique(labelled.classes[enough], return_inverse=True)
        if (question or question_of(classes, FEW)) == "new":
            held_out, order = _held_out_classes(classes, seed)
            names = tuple(labelled.names[known[one]] for one in order)
            classes = np.argsort(order)[classes]
            return Examples(rows, classes, names, held_out, labelled.unlabelled, labelled.singles)
        held_out = _held_out(classes, snapshot.values("sha256", rows), seed)
        if not held_out.any():
            raise LookalikeError(
                f"no class of the column {label} has {_LEAST} items, so none can be held out to judge by",
                "label more items",
            )
        names = tuple(labelled.names[one] for one in known)
        return Examples(rows, classes, names, held_out, labelled.unlabelled, labelled.singles)

    @staticmethod
    def of_pairs(snapshot: Snapshot, pairs: Any, seed: int = 0) -> Examples:
        """Hold out a fifth of the groups in which pairs of the same thing hang together, whole.

        `pairs` is a file or a table: see `read_pairs`. Raises `LookalikeError` if there are too few groups.
        """
        told = read_pairs(snapshot, pairs)
        groups = groups_of(told, _LEAST_CLASSES)
        sizes = np.bincount(groups)
        held_out, order = _held_out_classes(groups, seed)
        names = ("",) * len(sizes)
        singles = int((sizes == 1).sum())
        return Examples(told.rows, np.argsort(order)[groups], names, held_out, 0, singles, str(told))

    @staticmethod
    def of_triplets(snapshot: Snapshot, triplets: Any, seed: int = 0) -> Examples:
        """Hold out a quarter of the items of triplets, with what is like them.

        `triplets` is a file or a table: see `read_triplets`. Raises `LookalikeError` if there are too few.
        """
        told = read_triplets(snapshot, triplets)
        groups, folds = folds_of_triplets(told, seed)
        names = ("",) * (int(groups.max()) + 1)
        return Examples(told.rows, groups, names, folds == FOLDS - 1, 0, 0, str(told), told.triplets)


def _held_out_classes(classes: Ints, seed: int) -> tuple[Mask, Ints]:
    """Which items to hold out, those of a fifth of the classes, and the classes, held out ones last."""
    count = len(np.unique(classes))
    if count < _LEAST_CLASSES:
        raise LookalikeError(
            f"{count:,} classes have two items or more; holding out whole ones needs {_LEAST_CLASSES}",
            "learn for the same classes: `for_='same'`",
        )
    held_out = folds_of_classes(classes, _EVERY, seed) == 0
    is_held = np.isin(np.arange(count), classes[held_out])
    return held_out, np.argsort(is_held, kind="stable")


def _held_out(classes: Ints, sha256s: list[str | None], seed: int) -> Mask:
    """Which to hold out: at least two of a class or none, and none that has a copy among the others."""
    held_out = (folds_of_items(classes, _EVERY, seed) == 0) & (np.bincount(classes)[classes] >= _LEAST)
    for one in np.unique(classes):
        members = np.flatnonzero(classes == one)
        if held_out[members].sum() == 1:  # of a small class: its neighbour too
            first = int(np.flatnonzero(held_out[members])[0])
            held_out[members[[first, first - 1]]] = True
    learnt = {sha256s[place] for place in np.flatnonzero(~held_out)} - {None, ""}
    return np.asarray(held_out & np.array([one not in learnt for one in sha256s]), bool)
