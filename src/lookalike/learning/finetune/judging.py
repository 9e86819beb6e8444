"""How well vectors find pictures of the same class, each held-out picture asked of all the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


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
    return np.divide(
        precisions.sum(axis=1), wanted, out=np.full(len(vectors), np.nan), where=wanted > 0
    )
