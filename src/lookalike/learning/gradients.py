"""Adam, and the slope through scaling to unit length: what learning by small steps takes, in NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980) for one array, which it changes in place."""

    def __init__(self, weights: Floats) -> None:
        self.mean, self.square, self.steps = np.zeros_like(weights), np.zeros_like(weights), 0

    def step(self, weights: Floats, slope: Floats, rate: float) -> None:
        """Move the weights by about `rate` each, against their slopes."""
        self.steps += 1
        self.mean += np.float32(0.1) * (slope - self.mean)
        self.square += np.float32(0.001) * (slope**2 - self.square)
        mean = self.mean / np.float32(1 - 0.9**self.steps)
        square = self.square / np.float32(1 - 0.999**self.steps)
        weights -= np.float32(rate) * mean / (np.sqrt(square) + np.float32(1e-8))


def before_unit(vectors: Floats, units: Floats, slope: Floats) -> Floats:
    """The slope before vectors (N, D) are scaled to unit length, from that after it."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    across = slope - units * (units * slope).sum(axis=1, keepdims=True)
    return np.asarray(across / np.maximum(lengths, 1e-9), np.float32)
