"""Trains a linear layer on vectors, so that equals come nearer and others move away: metric learning.

Closed forms know means and spreads alone. A loss sees which vectors are mistaken for each other, and moves
just these. The layer starts as the identity on vectors that are whitened already, and takes few steps: with
more, it learns its examples by heart, and finds others worse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lookalike.learning import metric_losses
from lookalike.learning.batches import batches, batches_of
from lookalike.learning.gradients import Adam, before_unit
from lookalike.models.model import unit

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

Loss = Literal["contrastive", "triplet", "proxy"]
Slope = Callable[[Floats, Ints], Floats]  # of unit vectors, and their places
LOSSES: tuple[Loss, ...] = get_args(Loss)

# Tuned on clothing (docs/learning.md). The rate is divided by the root of the dimensions, so that the layer
# moves vectors of all networks as far.
_RATE, _PROXY_RATE = 0.0107, 0.003
_BATCH, _PER_CLASS, _MOST_STEPS = 96, 2, 200


@dataclass(frozen=True)
class Examples:
    """N vectors (N, D) with their `classes` (N,).

    `apart` (M, 2) are places of vectors that somebody has said are different: they meet in a batch.
    `triplets` (T, 3) are places of an anchor, what is like it, and what is less; the triplet loss is of these
    alone if there are any.
    """

    vectors: Floats
    classes: Ints
    apart: Ints | None = None
    triplets: Ints | None = None


def trained(examples: Examples, loss: Loss, epochs: int, seed: int = 0) -> Floats:
    """The matrix (D, D) by which the vectors are multiplied; the same examples and seed give the same one."""
    dim = examples.vectors.shape[1]
    matrix = np.eye(dim, dtype=np.float32)
    adam = Adam(matrix)
    drawn = _by_triplets(examples, epochs, seed)
    slope_of: Slope = _of_triplets
    if loss != "triplet" or examples.triplets is None:
        _, classes = np.unique(examples.classes, return_inverse=True)
        drawn, slope_of = _by_classes(examples, classes, epochs, seed), _of_classes(examples, classes, loss)
    for number, places in enumerate(drawn):
        given = examples.vectors[places]
        moved = given @ matrix
        units = unit(moved)
        rate = _RATE / np.sqrt(dim) * np.sin(np.pi * (number + 1) / (len(drawn) + 1))
        adam.step(matrix, given.T @ before_unit(moved, units, slope_of(units, places)), rate)
    return matrix


def _of_triplets(units: Floats, places: Ints) -> Floats:
    """The slopes of anchors, what is like them and what is less, one after the other."""
    return metric_losses.triplets_in_order(units, np.arange(len(places)).reshape(3, -1).T)[1]


def _of_classes(examples: Examples, classes: Ints, loss: Loss) -> Slope:
    if loss == "proxy":
        proxies = _Proxies(examples.vectors, classes)
        return lambda units, places: proxies.step(units, classes[places])
    function = metric_losses.contrastive if loss == "contrastive" else metric_losses.batch_hard_triplet
    return lambda units, places: function(units, classes[places])[1]


class _Proxies:
    """A unit vector for each class, which begins as the mean of its vectors and is learned as well."""

    def __init__(self, vectors: Floats, classes: Ints) -> None:
        sums = np.zeros((int(classes.max()) + 1, vectors.shape[1]), np.float32)
        np.add.at(sums, classes, vectors)
        self._vectors = unit(sums)
        self._adam = Adam(self._vectors)

    def step(self, units: Floats, classes: Ints) -> Floats:
        """Move the proxies; returns the slope of the unit vectors (B, D)."""
        proxies = unit(self._vectors)
        _, slope, of_proxies = metric_losses.proxy_anchor(units, classes, proxies)
        self._adam.step(self._vectors, before_unit(self._vectors, proxies, of_proxies), _PROXY_RATE)
        return slope


def _by_classes(examples: Examples, classes: Ints, epochs: int, seed: int) -> list[Ints]:
    """Batches of two vectors of each class, and those that are said to differ from one of them."""
    return [
        _with_opponents(batch, examples.apart)
        for epoch in range(epochs)
        for batch in batches(classes, min(_BATCH, len(classes)), seed, epoch, _PER_CLASS)
    ]


def _with_opponents(batch: Ints, apart: Ints | None) -> Ints:
    batch = np.unique(batch)
    if apart is None or not len(apart):
        return batch
    both = np.concatenate([apart, apart[:, ::-1]])
    others = np.setdiff1d(both[np.isin(both[:, 0], batch), 1], batch)
    return np.concatenate([batch, others[:_BATCH]])


def _by_triplets(examples: Examples, epochs: int, seed: int) -> list[Ints]:
    """Batches of triplets, in another order each epoch: all anchors, all like them, all that are less."""
    if examples.triplets is None:
        return []
    triplets, random = examples.triplets, np.random.default_rng(seed)
    count = batches_of(len(triplets), _BATCH)
    drawn = (
        batch.T.ravel()
        for _ in range(epochs)
        for batch in np.array_split(triplets[random.permutation(len(triplets))], count)
    )
    return [*islice(drawn, _MOST_STEPS)]
