"""How early held-out queries find pictures of their class: over the whole ranking, and at its top."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_AT_ONCE = 1 << 20  # similarities, unless there are more rows in the gallery
# The columns of `retrieval`.
MAP, P_AT_1, P_AT_5 = range(3)

_PAIR_BYTES = 48  # of a similarity, its key, its place and the precision there


def need_bytes(count: int) -> int:
    """What `retrieval` of `count` vectors takes."""
    return _PAIR_BYTES * min(max(_AT_ONCE, count), count * count)


def retrieval(vectors: Floats, classes: Ints, queries: Ints, gallery: Ints) -> NDArray[np.float64]:
    """Average precision, precision at 1 and at 5 of each query, (Q, 3); NaN where nothing is right.

    `vectors` (N, D) are of unit length, `classes` (N,) numbers; `queries` and `gallery` are rows. A query is
    not among its answers. Of equal cosines the wrong answer counts as the first. With fewer than 5 right
    answers, precision at 5 is the share of them among the first 5.
    """
    found = np.full((len(queries), 3), np.nan)
    rows = max(1, _AT_ONCE // max(len(gallery), 1))
    held = vectors[gallery]
    for start in range(0, len(queries), rows):
        asked = queries[start : start + rows]
        distances = np.maximum(1 - vectors[asked] @ held.T, 0, dtype=np.float32)
        alike = classes[asked][:, None] == classes[gallery]
        own = asked[:, None] == gallery
        # The bits of floats that are not negative sort like integers; the lowest says what is right.
        keys = np.where(own, np.iinfo(np.int32).max - 1, (distances.view(np.int32) & -2) | alike)
        keys.sort(axis=1)
        right = (keys & 1).astype(bool)
        total = right.sum(axis=1)
        precision = right.cumsum(axis=1) / np.arange(1, right.shape[1] + 1)
        with np.errstate(invalid="ignore"):
            found[start : start + rows, MAP] = np.where(right, precision, 0).sum(axis=1) / total
            found[start : start + rows, P_AT_5] = right[:, :5].sum(axis=1) / np.minimum(total, 5)
        found[start : start + rows, P_AT_1] = np.where(total > 0, right[:, 0], np.nan)
    return found
