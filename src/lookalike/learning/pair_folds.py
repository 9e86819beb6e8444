"""Pairs and triplets with their vectors, divided into folds of whole groups that are held out in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.learning.choice import FOLDS, POWERS, Held, Results
from lookalike.learning.labels import folds_of_classes
from lookalike.learning.metric import Examples
from lookalike.learning.pairs import Told, among, components, groups_of
from lookalike.learning.sums import sums_of_vectors
from lookalike.models.head_model import Floats

Ints = NDArray[np.int64]

# Of whole groups: two to find in each fold. Fewer triplets than that would judge nothing.
_LEAST_GROUPS, _LEAST_TRIPLETS = 2 * FOLDS, 30
_OTHER = -1  # the fold of items of which nothing was said: they are looked through, and never learned from


@dataclass(frozen=True)
class HeldPairs(Held):
    """Pairs to try recipes on: the classes are the groups in which they hang together.

    `apart` (A, 2) are places of items that are said to be different.
    """

    apart: Ints

    def gallery(self, fold: int, unseen: Sequence[int], alone: bool) -> Ints:
        """What the items of a fold are looked for among: that fold, and items of which nothing was said."""
        return np.flatnonzero((self.folds == fold) | (self.folds == _OTHER))

    def examples(self, without: Sequence[int]) -> Examples:
        """The items of the folds that are not held out, and which of them are said to be different."""
        rows = np.flatnonzero(~np.isin(self.folds, [*without, _OTHER]))
        return Examples(self.vectors[rows], self.classes[rows], among(rows, self.apart))


@dataclass(frozen=True)
class HeldTriplets(Held):
    """Triplets (T, 3) of places to try recipes on; those learned from and those that ask share no item."""

    triplets: Ints

    @property
    def losses(self) -> Sequence[str]:
        """The loss that needs no more than an order."""
        return ("triplet",)

    def examples(self, without: Sequence[int]) -> Examples:
        """The triplets of which no item is held out."""
        rows = np.flatnonzero(~np.isin(self.folds, without))
        return Examples(self.vectors[rows], self.classes[rows], triplets=among(rows, self.triplets))

    def judge(
        self, vectors: Floats, fold: int, unseen: Sequence[int] = (), alone: bool | None = None
    ) -> Results:
        """Whether each triplet of a fold is in the right order: 1 or 0, in each of three columns; (T, 3)."""
        mine = self.triplets[(self.folds[self.triplets] == fold).all(axis=1)]
        anchor, near, far = (vectors[mine[:, place]] for place in range(3))
        lead = (anchor * (near - far)).sum(axis=1)
        return np.repeat((np.sign(lead) / 2 + 0.5)[:, None], 3, axis=1)


def held_pairs(told: Told, vectors: Floats, seed: int) -> HeldPairs:
    """Divide pairs into folds; `vectors` (N + M, D) are those of its N items, and of M others.

    Raises `LookalikeError` if there are too few groups to hold some out.
    """
    groups = groups_of(told, _LEAST_GROUPS)
    folds = folds_of_classes(groups, FOLDS, seed)
    others = len(vectors) - len(groups)
    return HeldPairs(
        vectors=vectors,
        classes=np.concatenate([groups, groups.max() + 1 + np.arange(others)]),
        folds=np.concatenate([folds, np.full(others, _OTHER)]),
        sums=sums_of_vectors(vectors[: len(groups)], groups, folds, POWERS),
        question="new",
        seed=seed,
        apart=told.apart,
    )


def held_triplets(told: Told, vectors: Floats, seed: int) -> HeldTriplets:
    """Divide the items (N,) of triplets with their vectors (N, D) into folds; raises `LookalikeError`."""
    groups, folds = folds_of_triplets(told, seed)
    within = told.same[folds[told.same[:, 0]] == folds[told.same[:, 1]]]
    # What is alike makes classes of two, so that their spread is that of the differences.
    pair = np.repeat(np.arange(len(within)), 2)
    return HeldTriplets(
        vectors=vectors,
        classes=groups,
        folds=folds,
        sums=sums_of_vectors(vectors[within.ravel()], pair, folds[within.ravel()], POWERS),
        question="new",
        seed=seed,
        triplets=told.triplets,
    )


def folds_of_triplets(told: Told, seed: int) -> tuple[Ints, Ints]:
    """The group of each of the N items of triplets, (N,), and its fold (N,): groups stay whole.

    What is alike makes a group, unless that would be more than half of the items: then each stands alone.
    Raises `LookalikeError` if a fold has too few triplets to judge by.
    """
    groups = components(len(told.rows), told.same)
    if np.bincount(groups).max() > len(groups) / 2:
        groups = np.arange(len(groups))
    folds = folds_of_classes(groups, FOLDS, seed)
    asked = [int((folds[told.triplets] == fold).all(axis=1).sum()) for fold in range(FOLDS)]
    within = folds[told.same[:, 0]] == folds[told.same[:, 1]]
    if min(asked) < _LEAST_TRIPLETS or not within.any():
        raise LookalikeError(
            f"of {len(told.triplets):,} triplets, {min(asked):,} have no item together with those that would "
            f"be learned from; judging needs {_LEAST_TRIPLETS}",
            "give more triplets, of more or fewer items",
        )
    return groups, folds
