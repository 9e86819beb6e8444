"""Chooses the pictures that a person should label next: those that say most about the others.

A labelled picture explains what is like it. The next one to ask about is the one that explains most of what
no label explains yet, and unsure pictures count more: the facility location function (Wei, Iyer and Bilmes
2015), grown greedily. Density, diversity and uncertainty are all in that one sum. Without a single label it
picks typical pictures of different kinds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.learning.class_scores import Floats, Ints, fit, probabilities
from lookalike.learning.label_marks import Rows, read_labels
from lookalike.storage.given_labels import LABEL
from lookalike.storage.snapshot import Snapshot

# A sample of so many stands for all: it takes the memory of a cosine for each of their pairs.
_MOST = 4_000
# Tuned on flowers (docs/identify.md): a cosine counts with this power; so few labels need much shrinkage.
_POWER, _SHRINKAGE = 3, 0.9


def to_label(
    snapshot: Snapshot, count: int = 5, column: str = LABEL, *, rows: Rows | None = None
) -> list[str]:
    """The ids of `count` unlabelled items to label next, the most telling first; fewer if there are no more.

    Raises `LookalikeError` for a count below 1 or a column that does not exist.
    """
    if count < 1:
        raise LookalikeError(f"the number of pictures to label is {count}, but must be at least 1")
    labels = read_labels(snapshot, column, rows)
    rng = np.random.default_rng(0)
    missing, known = (_drawn(labels.rows[at], rng) for at in (labels.unlabelled, labels.labelled))
    values = dict(zip(labels.rows.tolist(), labels.values, strict=True))
    vectors = snapshot.vectors(missing)
    told = snapshot.vectors(known)
    names, classes = np.unique([str(values[row]) for row in known.tolist()], return_inverse=True)
    weights = doubts(vectors, told, classes, len(names))
    explained = (told @ vectors.T).max(axis=0) if len(told) else np.zeros(len(vectors), np.float32)
    return snapshot.ids(missing[most_telling(vectors, weights, explained, count)])


def most_telling(vectors: Floats, weights: Floats, explained: Floats, count: int) -> Sequence[int]:
    """Choose places in unit vectors (N, D), one after another, for the largest gain of what is explained.

    `weights` (N,) say how much each counts; `explained` (N,) are their cosines with what is known already.
    """
    likeness = np.maximum(vectors @ vectors.T, 0) ** _POWER
    best = np.maximum(explained, 0) ** _POWER
    free = np.ones(len(vectors), np.bool_)
    chosen: list[int] = []
    for _ in range(min(count, len(vectors))):
        gains = weights @ np.maximum(likeness - best[:, None], 0)
        place = int(np.where(free, gains, -1).argmax())
        chosen.append(place)
        free[place] = False
        best = np.maximum(best, likeness[place])
    return chosen


def doubts(vectors: Floats, known: Floats, classes: Ints, count: int) -> Floats:
    """How unsure the label of each vector is, (N,) in [0, 1]: 1 less the lead of the likeliest class.

    `known` (M, D) have `classes` (M,) in [0, count). All are unsure with fewer than two classes. With few
    labels nothing can be held out: the temperature is the median lead of the scores.
    """
    if count < 2 or not len(vectors):
        return np.ones(len(vectors), np.float32)
    (discriminant,) = fit(known, classes, count, [_SHRINKAGE])
    scores = discriminant.scores(vectors)
    chances = probabilities(scores, max(float(np.median(_lead(scores))), 1e-9))
    return np.asarray(1 - _lead(chances), np.float32)


def _lead(scores: Floats) -> NDArray[np.float32]:
    """By how much the best class of each row leads the second, (N,)."""
    two = np.partition(scores, -2, axis=1)[:, -2:]
    return np.asarray(two[:, 1] - two[:, 0], np.float32)


def _drawn(rows: Rows, rng: np.random.Generator) -> Rows:
    """All of some rows, or a sample if there are too many."""
    return rows if len(rows) <= _MOST else np.sort(rng.choice(rows, _MOST, replace=False))
