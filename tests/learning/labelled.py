"""Vectors whose classes differ in a few quiet numbers, and whose loud numbers say nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import lookalike

DIM = 12


def vectors_of(classes: np.ndarray, seed: int = 0) -> np.ndarray:
    """One vector for each class number, of which the first four tell the class and eight are noise."""
    random = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(int(classes.max()) + 1, 4))
    quiet = centers[classes] + random.normal(scale=0.3, size=(len(classes), 4))
    loud = random.normal(scale=3, size=(len(classes), DIM - 4))
    found = np.concatenate([quiet, loud], axis=1).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def collection_of(
    path: Path, classes: int = 6, each: int = 20, labels: list[str | None] | None = None, seed: int = 0
) -> lookalike.Collection:
    """A collection of such vectors, with labels `kind 0` and so on."""
    numbers = np.repeat(np.arange(classes), each)
    names = [f"kind {number}" for number in numbers.tolist()] if labels is None else labels
    ids = [f"{number:05d}" for number in range(len(numbers))]
    return lookalike.from_vectors(path, vectors_of(numbers, seed), ids, columns={"label": names})
