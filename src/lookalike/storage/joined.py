"""The rows of two selections as one, for comparing those of one collection with those of another."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lookalike.errors import MemoryLimitError
from lookalike.storage.selection import Rows, Selection, Vectors


@dataclass(frozen=True, slots=True)
class Joined:
    """The N rows of the first selection, followed by those of the second; both have the same model."""

    first: Selection
    second: Selection

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    @property
    def ids(self) -> list[str]:
        return [*self.first.ids, *self.second.ids]

    def take(self, rows: Rows) -> Vectors:
        """The vectors of these ascending rows; (n, D)."""
        count = len(self.first)
        mine, others = rows[rows < count], rows[rows >= count] - count
        return np.concatenate([self.first.take(mine), self.second.take(others)])

    def cosines(self, rows: Rows) -> Vectors:
        """The cosines of these ascending rows with every row of both; (n, N)."""
        asked, found, start = self.take(rows), np.empty((len(rows), len(self)), np.float32), 0
        for one in (self.first, self.second):
            for block in one.blocks():
                np.matmul(asked, block.T, out=found[:, start : start + len(block)])
                start += len(block)
        return found

    def for_cosines(self, limit: int | None, need: int, row_bytes: int, what: str) -> tuple[Joined, int]:
        """As `Selection.for_cosines`, but the vectors have to fit into the limit."""
        held_bytes = 4 * self.first.dim * len(self) + need
        if limit is not None and held_bytes > limit:
            raise MemoryLimitError(f"{what} of two collections", held_bytes, limit)
        held, at_once = [], []
        for one in (self.first, self.second):
            some, rows = one.for_cosines(None, 0, row_bytes + 4 * len(self), what)
            held.append(some)
            at_once.append(rows)
        return replace(self, first=held[0], second=held[1]), min(at_once)
