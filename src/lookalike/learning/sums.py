"""Sums of vectors and of their outer products, in one pass: all that the closed forms need to know.

They add up, so those of all items without one fold are a difference, and a million vectors are read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.models.head_model import powered
from lookalike.storage.selection import Selection

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]

_ROWS = 4096  # of a product


@dataclass(frozen=True, slots=True)
class Sums:
    """Of the vectors of C classes: how many, `counts` (C,), their sums (C, D), and `outer` (D, D), the sum of
    their outer products.
    """

    counts: Doubles
    sums: Doubles
    outer: Doubles

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.counts + other.counts, self.sums + other.sums, self.outer + other.outer)

    @property
    def means(self) -> Doubles:
        """The mean of each class, (C, D); zeros for an empty one."""
        return np.asarray(self.sums / np.maximum(self.counts, 1)[:, None])

    @property
    def mean(self) -> Doubles:
        """The mean of all, (D,)."""
        return np.asarray(self.sums.sum(axis=0) / self.counts.sum())

    @property
    def within(self) -> Doubles:
        """The covariance of all about the mean of their class, (D, D)."""
        between = self.sums.T @ self.means
        return np.asarray((self.outer - between) / self.counts.sum())


def need_bytes(dim: int, classes: int, folds: int, powers: int) -> int:
    """What `sums_of_folds` takes, and what learning from it takes beside."""
    return folds * powers * 8 * dim * (dim + classes) + 8 * 8 * dim * dim + 4 * 4 * _ROWS * dim


def sums_of_folds(
    selection: Selection,
    classes: Ints,
    folds: Ints,
    powers: Sequence[float],
    on_progress: Progress | None = None,
) -> dict[float, list[Sums]]:
    """The sums of each fold, for each power that vectors are raised to before; reads the vectors once."""
    return _sums_of(selection.blocks(), selection.dim, (classes, folds), powers, on_progress)


def sums_of_vectors(
    vectors: Floats, classes: Ints, folds: Ints, powers: Sequence[float]
) -> dict[float, list[Sums]]:
    """The same of vectors (N, D) in memory."""
    return _sums_of([vectors], vectors.shape[1], (classes, folds), powers)


def _sums_of(
    blocks: Iterable[Floats],
    dim: int,
    numbers: tuple[Ints, Ints],
    powers: Sequence[float],
    on_progress: Progress | None = None,
) -> dict[float, list[Sums]]:
    """The sums of each fold for each power, of blocks (n, D); `numbers` are classes and folds (N,)."""
    classes, folds = numbers
    count, number = int(folds.max()) + 1, int(classes.max()) + 1
    empty = [
        Sums(np.zeros(number), np.zeros((number, dim)), np.zeros((dim, dim)))
        for _ in range(count * len(powers))
    ]
    found = {power: empty[at * count : (at + 1) * count] for at, power in enumerate(powers)}
    done = 0
    for block in blocks:
        for start in range(0, len(block), _ROWS):
            some = block[start : start + _ROWS]
            here = slice(done, done + len(some))
            for power, sums in found.items():
                _add(sums, powered(some, power), classes[here], folds[here])
            done += len(some)
            if on_progress:
                on_progress(done, len(classes))
    return found


def _add(sums: Sequence[Sums], vectors: Floats, classes: Ints, folds: Ints) -> None:
    for fold in np.unique(folds).tolist():
        mine, one = folds == fold, sums[fold]
        some, theirs = vectors[mine], classes[mine]
        one.outer[:] += some.T @ some
        numbers, place = np.unique(theirs, return_inverse=True)
        members = (np.arange(len(numbers))[:, None] == place).astype(np.float32)
        one.sums[numbers] += members @ some
        one.counts[numbers] += members.sum(axis=1)
