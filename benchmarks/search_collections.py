"""Collections for benchmarks/search.py: realistic vectors with some columns, cached in a folder.

The vectors come from benchmarks/index_vectors.py; for fewer dimensions, its views are first rotated to their
principal axes. The queries are made in the same way, and are not in the collection.
The collections are written by `lookalike.from_vectors` and indexed by the command `lookalike index`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from index_vectors import BLOCK, embedded_views, grown

import lookalike

QUERIES_KEPT = 1000
# In addition to the vectors, at 4 bytes a number: an index of 16 bits and 1, sorted from a second file.
_BYTES_A_NUMBER, _BYTES_A_ROW = 4 + 2 * 2.2, 1000
_WORDS = ("oak", "rose", "fern", "moss", "pine", "reed", "lily", "mint", "sage", "iris", "palm", "aloe")


@dataclass(frozen=True)
class Size:
    """How many items a collection has, and how long their vectors are."""

    count: int
    dim: int

    @staticmethod
    def parse(text: str) -> Size:
        """Parse a size such as 100000x1280; raises `ValueError` for anything else."""
        count, dim = text.split("x")
        return Size(int(count), int(dim))

    def __str__(self) -> str:
        return f"{self.count:,} x {self.dim}"


@dataclass(frozen=True)
class Made:
    """A collection in the cache, and unit queries float32 (Q, D) that are not in it."""

    size: Size
    path: Path
    queries: np.ndarray


def made(options: argparse.Namespace, size: Size, *, index: bool) -> Made:
    """The collection of this size, with a fresh index or without one; made if the cache lacks it."""
    kind = "indexed" if index else "plain"
    name = f"{size.count}x{size.dim}-{options.columns}columns-{options.views}views-{kind}"
    path, queries_path = options.cache / f"{name}.lookalike", options.cache / f"{name}-queries.npy"
    if not (path / "collection.json").exists() or not queries_path.exists():
        print(f"making {path}", file=sys.stderr, flush=True)
        check_disk(options.cache, size, index=index)
        shutil.rmtree(path, ignore_errors=True)
        write(path, queries_path, size, options)
    if index and opened_index(lookalike.open(path)) is None:
        command = [sys.executable, "-m", "lookalike", "index", str(path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Made(size, path, np.load(queries_path)[: options.queries])


def write(path: Path, queries_path: Path, size: Size, options: argparse.Namespace) -> None:
    """Write the collection and its queries, with at most one block of vectors in memory."""
    seeds = turned(embedded_views(options.cache, options.images, options.views), size.dim)
    (queries,) = grown(seeds, QUERIES_KEPT, np.random.default_rng(1))
    np.save(queries_path, queries)
    lookalike.from_vectors(
        path,
        grown(seeds, size.count, np.random.default_rng(0)),
        _ids(size.count),
        columns=columns(size.count, options.columns),
    )


def turned(seeds: np.ndarray, dim: int) -> np.ndarray:
    """The seeds projected on their `dim` strongest axes, unit (n, dim); unchanged if `dim` is all of them."""
    if dim == seeds.shape[1]:
        return seeds
    if dim > seeds.shape[1]:
        raise SystemExit(f"{dim} dimensions are wanted, and the model makes {seeds.shape[1]}: ask for fewer")
    _, axes = np.linalg.eigh(seeds.T @ seeds)
    shorter = seeds @ axes[:, -dim:]
    return np.asarray(shorter / np.linalg.norm(shorter, axis=1, keepdims=True))


def columns(count: int, width: int) -> pa.Table:
    """Make `width` columns of `count` rows: a label, then integers, floats and texts in turn."""
    rng = np.random.default_rng(2)
    words = pa.array(_WORDS)
    filled: dict[str, Any] = {"label": words.take(pa.array(rng.integers(0, len(words), count)))}
    for place in range(1, width):
        kind = ("integer", "float", "text")[place % 3]
        numbers = rng.integers(0, 100_000, count)
        if kind == "float":
            numbers = rng.standard_normal(count)
        elif kind == "text":
            first = words.take(pa.array(numbers % len(words)))
            numbers = pc.binary_join_element_wise(first, pa.array(numbers).cast(pa.string()), " of ")
        filled[f"{kind}_{place}"] = numbers
    return pa.table(filled)


def check_disk(folder: Path, size: Size, *, index: bool) -> None:
    """Stop if the disk lacks room for the collection and for building its index."""
    folder.mkdir(parents=True, exist_ok=True)
    a_number = _BYTES_A_NUMBER if index else 4
    wanted, free = size.count * (a_number * size.dim + _BYTES_A_ROW), shutil.disk_usage(folder).free
    if free < wanted:
        raise SystemExit(
            f"{size} needs {wanted / 1e9:.1f} GB in {folder}, which has {free / 1e9:.1f} GB free: "
            "give another folder with --cache, or a smaller --count"
        )


def opened_index(collection: lookalike.Collection) -> Any:
    """Open the index of this state of the collection; None if there is none that works here.

    Older versions of `open_index` take the collection, newer ones its snapshot.
    """
    try:
        from lookalike.index import open_index

        state = getattr(collection, "snapshot", collection)
        return open_index(state() if callable(state) else state)
    except (lookalike.LookalikeError, ImportError, TypeError, AttributeError) as error:
        print(f"no index is opened for {collection.path}: {error}", file=sys.stderr)
        return None


def id_of(row: int) -> str:
    """The id of a row, which `int` turns back."""
    return str(row)


def _ids(count: int) -> Iterator[list[str]]:
    """The ids of all rows, in blocks like those of the vectors."""
    for start in range(0, count, BLOCK):
        yield [id_of(row) for row in range(start, min(start + BLOCK, count))]
