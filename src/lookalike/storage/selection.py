"""Some rows of a snapshot, looked at again and again: a few columns at once, vectors part by part or held.

All that judges every vector stands on this, and so do its limits of memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.errors import LookalikeError, MemoryLimitError
from lookalike.storage.snapshot import Snapshot

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]

# Measured: reading one part after the other adds so many times the largest to the resident set, mostly what
# allocators keep for the next. A value of a column in Python takes the other, beside its bytes.
_PARTS_READ, _VALUE_BYTES = 12, 80
# What a product of some rows with all takes without a limit; more makes it no faster.
_SCORES_BYTES = 1 << 27
# Each block of rows reads all vectors anew where they are not held, so fewer would take hours.
_LEAST_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Selection:
    """N rows of a snapshot: which of each part, some columns of these, and their numbers if not all count.

    `held` (N, D) are the vectors, where they are in memory.
    """

    snapshot: Snapshot
    chosen: Sequence[Rows]
    items: pa.Table
    held: Vectors | None = None

    @staticmethod
    def of(
        snapshot: Snapshot, columns: Sequence[str] = ("id",), *, rows: Rows | None = None, least: int = 2
    ) -> Selection:
        """All rows, or those of the numbers `rows`, which rise; with the columns that there are.

        The vectors are read later, part by part. Raises `LookalikeError` for fewer than `least` rows.
        """
        stored = snapshot.schema.names
        known = stored if set(columns) <= set(stored) else snapshot.all_columns.names
        items = snapshot.table([name for name in dict.fromkeys(columns) if name in known] or ["id"])
        every = Selection(snapshot, [np.arange(one.count) for one in snapshot.parts], items)
        found = every if rows is None else every.only(rows)
        if len(found) < least:
            what = "images" if rows is None else "matching images"
            raise LookalikeError(
                f"{snapshot.root} has {len(found):,} {what}, this needs at least {least}",
                "add pictures first" if rows is None else "take a wider condition",
            )
        return found

    def __len__(self) -> int:
        return len(self.items)

    @property
    def dim(self) -> int:
        return self.snapshot.dim

    @property
    def is_whole(self) -> bool:
        """Whether all rows of the snapshot count."""
        return len(self) == len(self.snapshot)

    @property
    def ids(self) -> list[str]:
        found: list[str] = self.items["id"].to_pylist()
        return found

    @property
    def rows(self) -> Rows:
        """The numbers of the rows in the snapshot, (N,)."""
        starts = self.snapshot.state.starts.tolist()
        return np.concatenate(
            [np.empty(0, np.int64), *(mine + start for mine, start in zip(self.chosen, starts, strict=False))]
        )

    def column(self, name: str) -> list[Any]:
        """The values of a column; nothing but None where the collection has no such column."""
        if name in self.items.column_names:
            return list(self.items[name].to_pylist())
        return [None] * len(self)

    def only(self, rows: Rows) -> Selection:
        """These rows of the selection, which rise, and no others."""
        chosen = [
            mine[rows[slice(*np.searchsorted(rows, (start, start + len(mine))))] - start]
            for start, mine in zip(self._starts(), self.chosen, strict=True)
        ]
        held = None if self.held is None else self.held[rows]
        return replace(self, chosen=chosen, items=self.items.take(pa.array(rows)), held=held)

    def blocks(self) -> Iterator[Vectors]:
        """The vectors of one part after the other; raises as `PartState.embeddings`."""
        if self.held is not None:
            yield from np.split(self.held, self._starts()[1:])
            return
        for place in range(len(self.chosen)):
            yield self._read(place)

    def sample(self, count: int, seed: int) -> Vectors:
        """`count` vectors drawn at random, or all; (n, D), in the order of rows."""
        chosen = np.arange(len(self))
        if count < len(self):
            chosen = np.sort(np.random.default_rng(seed).choice(len(self), count, replace=False))
        return self.take(chosen)

    def take(self, rows: Rows) -> Vectors:
        """The vectors of these rows of the selection, which rise; (n, D)."""
        if self.held is not None:
            return self.held[rows]
        found = np.empty((len(rows), self.dim), np.float32)
        for place, start in enumerate(self._starts()):
            here = slice(*np.searchsorted(rows, (start, start + len(self.chosen[place]))))
            if here.start < here.stop:
                found[here] = self._read(place)[rows[here] - start]
        return found

    def cosines(self, rows: Rows) -> Vectors:
        """(n, N) the cosine of each of these rows, which rise, with each item."""
        asked, found = self.take(rows), np.empty((len(rows), len(self)), np.float32)
        for start, block in zip(self._starts(), self.blocks(), strict=True):
            np.matmul(asked, block.T, out=found[:, start : start + len(block)])
        return found

    def room(self, limit: int | None, need: int, what: str) -> int | None:
        """How many bytes of the limit are left beside this selection and `need` more; None without a limit.

        Raises `MemoryLimitError`, which says the least possible, where that is more than the limit.
        """
        if limit is None:
            return None
        parts = zip(self.chosen, self.snapshot.parts, strict=True)
        largest = max((part.count for mine, part in parts if len(mine)), default=0)  # it is read whole
        need += _PARTS_READ * 4 * self.dim * largest
        need += self.items.nbytes + _VALUE_BYTES * len(self) * self.items.num_columns
        if need > limit:
            raise MemoryLimitError(f"{what} of {len(self):,} items", need, limit)
        return limit - need

    def for_cosines(self, limit: int | None, need: int, row_bytes: int, what: str) -> tuple[Selection, int]:
        """The selection, with its vectors held where they fit, and how many rows to give to `cosines`.

        `need` bytes are taken by other things, and `row_bytes` by each of these rows.
        """
        row_bytes += 4 * (len(self) + self.dim)
        held_bytes, usual = 4 * len(self) * self.dim, max(_LEAST_AT_ONCE, _SCORES_BYTES // row_bytes)
        room = self.room(limit, need + row_bytes * min(_LEAST_AT_ONCE, len(self)), what)
        if room is not None and room < held_bytes:
            return self, _LEAST_AT_ONCE + room // row_bytes
        held = replace(self, held=self.take(np.arange(len(self))))
        if room is None:
            return held, usual
        return held, min(usual, _LEAST_AT_ONCE + (room - held_bytes) // row_bytes)

    def _starts(self) -> list[int]:
        """The number, in the selection, of the first row of each part."""
        return [0, *accumulate(len(rows) for rows in self.chosen)][: len(self.chosen)]

    def _read(self, place: int) -> Vectors:
        """The vectors of the rows of a part that count."""
        mine = self.chosen[place]
        vectors = (
            self.snapshot.parts[place].embeddings() if len(mine) else np.empty((0, self.dim), np.float32)
        )
        return vectors if len(mine) == len(vectors) else vectors[mine]
