"""Remember which URLs were seen, in eight bytes each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Seen:
    """A set of texts that only grows; ten million take 80 MB, 160 at worst.

    It keeps Python's 64-bit hashes (SipHash, with another key in each process, so nobody can make two URLs
    collide) in sorted runs; neighbouring runs merge when they reach the same size. Two of n different
    texts share a hash with a probability of n² / 2^65: three in a million for all of ten million URLs.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def add(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Add the texts; returns bool (len(texts),): was each in the set, or earlier in `texts`?"""
        hashes = np.fromiter((hash(text) % 2**64 for text in texts), np.uint64, len(texts))
        known = np.zeros(len(hashes), bool)
        for run in self._runs:
            known |= run[np.minimum(np.searchsorted(run, hashes), len(run) - 1)] == hashes
        _, first = np.unique(hashes, return_index=True)
        repeated = np.ones(len(hashes), bool)
        repeated[first] = False
        self._append(np.sort(hashes[~known & ~repeated]))
        return known | repeated

    def _append(self, run: NDArray[np.uint64]) -> None:
        if not len(run):
            return
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run)
