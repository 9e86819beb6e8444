"""The labelled items of a collection, and how they are divided into folds that are held out in turn."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError, UnknownColumnError, counted
from lookalike.learning.label_marks import read_labels
from lookalike.storage.label_values import FOLDER, own_columns
from lookalike.storage.selection import Selection
from lookalike.storage.snapshot import Snapshot

Ints = NDArray[np.int64]
# What will be searched for: the same classes as those with labels, or new ones.
Question = Literal["same", "new"]


@dataclass(frozen=True, slots=True)
class Labelled:
    """N items with a label: `classes` int64 (N,) are their numbers, `names` the labels by number.

    `unlabelled` items have none and are left out; `singles` are alone in their class.
    """

    selection: Selection
    classes: Ints
    names: tuple[str, ...]
    unlabelled: int
    singles: int


def read_labelled(snapshot: Snapshot, label: str, rows: Ints | None = None) -> Labelled:
    """Read the labels in a column, and those that people gave items instead; the vectors are read later.

    Raises `LookalikeError` for an unknown column, or fewer than two classes of two items.
    """
    try:
        values = read_labels(snapshot, label, rows).values
    except UnknownColumnError as error:
        near = get_close_matches(label, snapshot.all_columns.names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else error.hint
        raise UnknownColumnError(f"{snapshot.root} has no column {label}", hint) from None
    selection = Selection.of(snapshot, ("id",), rows=rows, least=0)
    kept = np.array([row for row, value in enumerate(values) if value is not None], np.int64)
    names, classes = np.unique(np.array([values[row] for row in kept], str), return_inverse=True)
    sizes = np.bincount(classes, minlength=len(names))
    if (sizes > 1).sum() < 2:
        found = f"{counted(len(names), 'class')}, {(sizes > 1).sum():,} with two items or more"
        other = next((one for one in own_columns(snapshot) if one != label), FOLDER)
        raise LookalikeError(
            f"the column {label} has {found}; learning needs at least two such classes",
            f"label more items, or name another column, such as `label={other!r}`",
        )
    return Labelled(
        selection.only(kept),
        np.asarray(classes, np.int64),
        tuple(names.tolist()),
        len(values) - len(kept),
        int((sizes == 1).sum()),
    )


def check_question(question: str) -> None:
    """Raise `LookalikeError` for a question that is none."""
    if question not in get_args(Question):
        raise LookalikeError(f"unknown question {question!r}", f"known are: {', '.join(get_args(Question))}")


def question_of(classes: Ints, least: int) -> Question:
    """What the classes (N,) allow to ask: new ones, if most items have fewer than `least` in their class.

    Of two pictures of each thing, say, none can be held out that has others to find and to learn from.
    """
    sizes = np.bincount(classes)[classes]
    return "new" if np.median(sizes[sizes > 1]) < least else "same"


def folds_of_items(classes: Ints, count: int, seed: int) -> Ints:
    """Divide each class into `count` runs of neighbouring items; the number of each item's run, (N,).

    Neighbours in a folder may be pictures of one moment: they are learned from together, or not at all.
    """
    found = np.empty(len(classes), np.int64)
    random = np.random.default_rng(seed)
    for mine in _members(classes):
        runs = np.arange(len(mine)) * count // max(len(mine), count)
        found[mine] = (runs + random.integers(count)) % count
    return found


def folds_of_classes(classes: Ints, count: int, seed: int) -> Ints:
    """Divide the classes, whole, into `count` groups of about as many items; each item's group, (N,)."""
    sizes = np.bincount(classes)
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    filled, group = np.zeros(count, np.int64), np.empty(len(sizes), np.int64)
    for one in shuffled[np.argsort(-sizes[shuffled], kind="stable")].tolist():
        group[one] = filled.argmin()
        filled[group[one]] += sizes[one]
    return np.asarray(group[classes])


def _members(classes: Ints) -> list[Ints]:
    """The items of each class, ascending."""
    order = np.argsort(classes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(classes))[:-1])
