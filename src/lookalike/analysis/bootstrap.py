"""Bootstrap intervals: the range in which a mean would mostly be if the queries were drawn again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
_CHUNK = 2**20  # draws at once


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, and the 95% interval around it."""

    value: float
    low: float
    high: float


def estimates(values: NDArray[np.float64], seed: int = 0, resamples: int = RESAMPLES) -> list[Estimate]:
    """The mean of each column of (Q, M), with the interval from the 2.5th to the 97.5th percentile.

    The percentile bootstrap (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): the
    mean again and again, of as many rows drawn with replacement.
    """
    rng, count = np.random.default_rng(seed), len(values)
    step = max(1, _CHUNK // count)
    means = []
    for start in range(0, resamples, step):
        rounds = min(step, resamples - start)
        draws = rng.integers(0, count, (rounds, count)) + np.arange(rounds)[:, None] * count
        times = np.bincount(draws.ravel(), minlength=rounds * count).reshape(rounds, count)
        means.append(times @ values / count)
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5), axis=0)
    return [Estimate(*map(float, one)) for one in zip(values.mean(axis=0), low, high, strict=True)]
