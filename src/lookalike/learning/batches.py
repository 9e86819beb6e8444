"""Batches in which every class counts the same: P classes with K pictures each (Hermans et al. 2017).

Pictures drawn at random would seldom meet another of their class, of which there may be two among thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_MOST_PER_CLASS = 4  # K: a picture meets three others of its class


def per_class(classes: Ints) -> int:
    """K for these classes (N,): 4, or fewer if most pictures have fewer in their class; 2 at least."""
    sizes = np.bincount(classes)[classes]
    return int(np.clip(np.median(sizes), 2, _MOST_PER_CLASS))


def batches(classes: Ints, size: int, seed: int, epoch: int, k: int = _MOST_PER_CLASS) -> Iterator[Ints]:
    """Yield the places (B,) in `classes` (N,) of an epoch's batches, as many as N / `size` rounded up.

    Each has `size` pictures: `k` of each class, more if there are fewer classes than that takes. No picture
    of a class comes again before all of it have come, and no class before all classes have. The same seed
    and epoch give the same batches.
    """
    rng = np.random.default_rng([seed, epoch])
    members = [np.flatnonzero(classes == one) for one in np.unique(classes)]
    count = min(len(members), max(2, size // k))
    draw_class = _rounds(rng, np.arange(len(members)))
    draw_from = [_rounds(rng, rows) for rows in members]
    for _ in range(batches_of(len(classes), size)):
        shares = np.diff(np.linspace(0, size, count + 1).astype(int))
        chosen = zip(draw_class(count), shares.tolist(), strict=True)
        yield np.concatenate([draw_from[one](share) for one, share in chosen])


def batches_of(pictures: int, size: int) -> int:
    """The number of batches in an epoch."""
    return -(-pictures // size)


def _rounds(rng: np.random.Generator, things: Ints) -> Callable[[int], Ints]:
    """A function that draws a number of things, in rounds of which each has all of them once."""
    left = np.empty(0, np.int64)

    def draw(count: int) -> Ints:
        nonlocal left
        while len(left) < count:
            left = np.concatenate([left, rng.permutation(things)])
        drawn, left = left[:count], left[count:]
        return drawn

    return draw
