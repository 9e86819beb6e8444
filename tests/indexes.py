"""Collections of made vectors, for the tests of the index."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa

import lookalike
from lookalike.collection import Collection
from lookalike.models.spec import ModelSpec
from lookalike.storage.manifest import Manifest
from lookalike.storage.parts import Part, embedding_column
from lookalike.storage.writing import create

DIM, COUNT, PART_SIZE = 64, 3000, 500
SPEC = ModelSpec("clouds", "0" * 64, DIM, 8, 1.0)


def clouds(count: int, seed: int = 0) -> np.ndarray:
    """Unit vectors (count, 64) float32 around 40 centres that are the same for every seed."""
    centres = np.random.default_rng(99).normal(size=(40, DIM))
    rng = np.random.default_rng(seed)
    vectors = centres[rng.integers(0, 40, count)] + rng.normal(0, 0.6, (count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def write_part(collection: Collection, number: int, vectors: np.ndarray) -> None:
    """Commit vectors as the rows of a part, with nothing but names beside them."""
    count = len(vectors)
    names = pa.array([f"{number}-{row}" for row in range(count)], pa.string())
    zeros = [0] * count
    columns = {
        "id": names,
        "uri": names,
        "size_bytes": pa.array(zeros, pa.int64()),
        "mtime_ns": pa.array(zeros, pa.int64()),
        "sha256": pa.array(["0" * 64] * count, pa.string()),
        "width": pa.array(zeros, pa.int32()),
        "height": pa.array(zeros, pa.int32()),
        "label": pa.array([None] * count, pa.string()),
        "embedding": embedding_column(vectors, "float32"),
    }
    Part(collection.path, number).write(pa.table(columns), [b""] * count)


def write_collection(root: Path, vectors: np.ndarray, part_size: int = PART_SIZE) -> Collection:
    root.mkdir(parents=True)
    create(root, Manifest(SPEC))
    collection = lookalike.open(root)
    for number, start in enumerate(range(0, len(vectors), part_size)):
        write_part(collection, number, vectors[start : start + part_size])
    return collection


def index_path(collection: Collection) -> Path:
    return next((collection.path / "derived").glob("index-*.faiss"))


def copy_of(collection: Collection, folder: Path) -> Collection:
    """A copy that may be changed."""
    shutil.copytree(collection.path, folder / "copy.lookalike")
    return lookalike.open(folder / "copy.lookalike")
