"""Reading a collection for analysis: its ids, blocks of vectors, a sample; with the errors that all share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.collection import Collection
from lookalike.errors import CollectionError, LookalikeError
from lookalike.parts import Part

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pile:
    """One state of a collection: its parts, their numbers of rows, and the columns that were asked for."""

    collection: Collection
    fingerprint: str
    parts: Sequence[Part]
    items: pa.Table

    @staticmethod
    def of(collection: Collection, columns: Sequence[str] = ("id",), least: int = 2) -> Pile:
        """Read the columns that the collection has; the vectors are read later, part by part.

        Raises `LookalikeError` for fewer than `least` items.
        """
        fingerprint, parts = collection.fingerprint(), collection.parts()
        present = dict.fromkeys(name for part in parts for name in part.column_names())
        items = collection.items([name for name in columns if name in present] or ["id"])
        if len(items) < least:
            raise LookalikeError(
                f"{collection.path} has {len(items):,} images, this needs at least {least}",
                "build it first: lookalike build",
            )
        return Pile(collection, fingerprint, parts, items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def ids(self) -> list[str]:
        found: list[str] = self.items["id"].to_pylist()
        return found

    def column(self, name: str) -> list[Any]:
        """The values of a column; nothing but None where the collection has no such column."""
        if name in self.items.column_names:
            return list(self.items[name].to_pylist())
        return [None] * len(self)

    def blocks(self) -> Iterator[Vectors]:
        """The vectors of one part after the other; raises `CollectionError` for one with NaN."""
        for part in self.parts:
            vectors = part.embeddings()
            bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
            if len(bad):
                name = part.items(["id"])["id"][int(bad[0])].as_py()
                raise CollectionError(
                    f"the vector of {name} has a value that is not finite",
                    f"see: lookalike verify {self.collection.path}",
                )
            yield vectors

    def sample(self, count: int, seed: int) -> Vectors:
        """`count` vectors drawn at random, or all; (n, D), in the order of rows."""
        chosen = np.arange(len(self))
        if count < len(self):
            chosen = np.sort(np.random.default_rng(seed).choice(len(self), count, replace=False))
        return self.take(chosen)

    def take(self, rows: NDArray[np.int64]) -> Vectors:
        """The vectors of these rows, which rise; (n, D)."""
        found, start = [], 0
        for block in self.blocks():
            low, high = np.searchsorted(rows, (start, start + len(block)))
            found.append(block[rows[low:high] - start])
            start += len(block)
        return np.concatenate(found)
