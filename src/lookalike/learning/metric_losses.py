"""What a head is trained to make small, in NumPy: each loss of unit vectors (B, D) comes with its slopes.

They are those of `finetune.losses`, which needs PyTorch; there stands who published them, and why they work.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_TEMPERATURE = np.float32(0.1)
_SCALE = np.float32(5)  # distances on the unit sphere are at most 2
_PROXY_MARGIN, _PROXY_SCALE = np.float32(0.1), np.float32(32)
_LEAST_SQUARE = np.float32(1e-6)  # of a distance: its root has no slope at 0


def contrastive(units: Floats, classes: Ints) -> tuple[float, Floats]:
    """Supervised contrastive: the mean over pairs of a class of -log of their share among all pairs."""
    same, other = _pairs(classes)
    scores = np.where(same | other, units @ units.T / _TEMPERATURE, -np.inf)
    logs = scores - _log_sum(scores, axis=1)
    counts = same.sum(axis=1, keepdims=True)
    asked = counts[:, 0] > 0
    wanted = same / np.maximum(counts, 1)
    loss = -float((wanted * np.where(same, logs, 0)).sum() / max(asked.sum(), 1))
    slope = np.where(asked[:, None], np.exp(logs) - wanted, 0) / (max(asked.sum(), 1) * _TEMPERATURE)
    return loss, np.asarray((slope + slope.T) @ units, np.float32)


def batch_hard_triplet(units: Floats, classes: Ints) -> tuple[float, Floats]:
    """log(1 + exp(5 (p - n))): p is the distance to the farthest of the class, n to the nearest other."""
    same, other = _pairs(classes)
    distances = np.sqrt(np.maximum(2 - 2 * units @ units.T, _LEAST_SQUARE))
    asked = np.flatnonzero(same.any(axis=1) & other.any(axis=1))
    if not len(asked):
        return 0.0, np.zeros_like(units)
    farthest = np.where(same, distances, -np.inf)[asked].argmax(axis=1)
    nearest = np.where(other, distances, np.inf)[asked].argmin(axis=1)
    return triplets_in_order(units, np.stack([asked, farthest, nearest], axis=1))


def triplets_in_order(units: Floats, triplets: Ints) -> tuple[float, Floats]:
    """The same of given triplets (T, 3): the places of an anchor, of what is like it, and of what is less."""
    anchor, near, far = (units[triplets[:, place]] for place in range(3))
    to_near, to_far = (_distances(anchor, one) for one in (near, far))
    excess = _SCALE * (to_near - to_far)
    pull = _SCALE / (1 + np.exp(-excess)) / len(triplets)
    # A distance d of unit vectors u and v has the slopes -v / d and -u / d.
    by_near, by_far = (pull / to_near)[:, None], (pull / to_far)[:, None]
    slope = np.zeros_like(units)
    np.add.at(slope, triplets[:, 0], by_far * far - by_near * near)
    np.add.at(slope, triplets[:, 1], -by_near * anchor)
    np.add.at(slope, triplets[:, 2], by_far * anchor)
    return float(np.logaddexp(0, excess).mean()), slope


def proxy_anchor(units: Floats, classes: Ints, proxies: Floats) -> tuple[float, Floats, Floats]:
    """Each class has a unit proxy (C, D), which draws its pictures near and pushes others away.

    Returns the loss and its slopes by the vectors and by the proxies.
    """
    cosines = units @ proxies.T
    own = classes[:, None] == np.arange(len(proxies))
    present = max(int(own.any(axis=0).sum()), 1)
    near, by_near = _log_of_1_and_sum(np.where(own, -_PROXY_SCALE * (cosines - _PROXY_MARGIN), -np.inf))
    far, by_far = _log_of_1_and_sum(np.where(own, -np.inf, _PROXY_SCALE * (cosines + _PROXY_MARGIN)))
    slope = _PROXY_SCALE * (by_far / len(proxies) - by_near / present)
    loss = float(near.sum() / present + far.mean())
    return loss, np.asarray(slope @ proxies, np.float32), np.asarray(slope.T @ units, np.float32)


def _pairs(classes: Ints) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pairs (B, B) of different places are of one class, and which are of two."""
    equal = classes[:, None] == classes
    return equal & ~np.eye(len(classes), dtype=bool), ~equal


def _distances(some: Floats, others: Floats) -> Floats:
    return np.asarray(np.sqrt(np.maximum(2 - 2 * (some * others).sum(axis=1), _LEAST_SQUARE)))


def _log_sum(powers: Floats, axis: int) -> Floats:
    most = powers.max(axis=axis, keepdims=True)
    most = np.where(np.isfinite(most), most, 0)
    with np.errstate(divide="ignore"):
        return np.asarray(most + np.log(np.exp(powers - most).sum(axis=axis, keepdims=True)))


def _log_of_1_and_sum(powers: Floats) -> tuple[Floats, Floats]:
    """log(1 + sum of e^power) of each column of (B, C), and its slopes."""
    logs = _log_sum(np.concatenate([np.zeros_like(powers[:1]), powers]), axis=0)
    return logs[0], np.exp(powers - logs)
