"""How well vectors find pictures of the same class, each held-out picture asked of all the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def average_precisions(vectors: Floats, classes: Ints) -> NDArray[np.float64]:
    """MAP@R of each of N unit vectors (N, D) among the others; NaN for one that is alone in its class.

    The mean over the first R places of the precision at each that is right, where R is the number of others
    of the class (Musgrave, Belongie & Lim, A Metric Learning Reality Check, 2020, section 3.2).
    """
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :-1]
    right = classes[order] == classes[:, None]
    wanted = right.sum(axis=1)
    places = np.arange(1, len(vectors))
    precisions = np.where(right & (places <= wanted[:, None]), np.cumsum(right, axis=1) / places, 0)
    unknown = np.full(len(vectors), np.nan)
    return np.asarray(np.divide(precisions.sum(axis=1), wanted, out=unknown, where=wanted > 0))


def shares_in_order(vectors: Floats, triplets: Ints) -> NDArray[np.float64]:
    """Of each anchor, ascending, the share of its triplets (T, 3) that are in the right order; (A,).

    They are places of unit vectors (N, D): an anchor, what is like it, and what is less. Of two that are
    equally near, the order is half right.
    """
    anchor, near, far = (vectors[triplets[:, place]] for place in range(3))
    right = np.sign((anchor * (near - far)).sum(axis=1)) / 2 + 0.5
    _, number, counts = np.unique(triplets[:, 0], return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(number, right) / counts)


def halves(classes: Ints, whole: bool = False) -> tuple[Mask, Mask]:
    """Every other picture of each class (N,), and the rest: those that choose, and those that judge.

    Of two pictures each finds the other, so the one would know what the other is asked: every other class
    if `whole`.
    """
    judging = np.zeros(len(classes), bool)
    for number, one in enumerate(np.unique(classes).tolist()):
        members = np.flatnonzero(classes == one)
        judging[members[number % 2 * len(members) :] if whole else members[::2]] = True
    return ~judging, judging


def gain_of(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float]:
    """The mean difference of the queries that have both values, and its standard error."""
    gains = (after - before)[np.isfinite(after - before)]
    error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else np.inf
    return float(gains.mean()) if len(gains) else 0.0, error
