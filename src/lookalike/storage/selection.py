"""Some rows of a snapshot, for repeated passes: a few columns in memory, vectors read part by part or held.

Every analysis that compares all vectors uses this, and so do its memory limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.errors import LookalikeError, MemoryLimitError, counted
from lookalike.storage.snapshot import Snapshot

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]

# Measured: reading one part after another adds this multiple of the largest part to the resident set, mostly
# what allocators keep for the next. A column's value takes the second figure in Python, besides its bytes.
_PARTS_READ, _VALUE_BYTES = 12, 80
# What a product of some rows with all may take without a limit; more does not make it faster.
_SCORES_BYTES = 1 << 27
# If the vectors are not held, each block of rows reads them all again, so smaller blocks would take hours.
_LEAST_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Selection:
    """N rows of a snapshot: which rows of each part, some columns, and the row numbers unless it is all rows.

    `held` (N, D) are the vectors, if they are in memory.
    """

    snapshot: Snapshot
    chosen: Sequence[Rows]
    items: pa.Table
    held: Vectors | None = None

    @staticmethod
    def of(
        snapshot: Snapshot, columns: Sequence[str] = ("id",), *, rows: Rows | None = None, least: int = 2
    ) -> Selection:
        """Select all rows, or the ascending row numbers `rows`, with those of `columns` that exist.

        The vectors are read later, part by part. Raises `LookalikeError` for fewer than `least` rows.
        """
        stored = snapshot.schema.names
        known = stored if set(columns) <= set(stored) else snapshot.all_columns.names
        items = snapshot.table([name for name in dict.fromkeys(columns) if name in known] or ["id"])
        every = Selection(snapshot, [np.arange(one.count) for one in snapshot.parts], items)
        found = every if rows is None else every.only(rows)
        if len(found) < least:
            what = "image" if rows is None else "matching image"
            raise LookalikeError(
                f"{snapshot.root} has {counted(len(found), what)}, this needs at least {least}",
                "add pictures first" if rows is None else "use a condition that more rows meet",
            )
        return found

    def __len__(self) -> int:
        return len(self.items)

    @property
    def dim(self) -> int:
        return self.snapshot.dim

    @property
    def is_whole(self) -> bool:
        """Whether all rows of the snapshot are selected."""
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
        """The values of a column; None for every row if the collection has no such column."""
        if name in self.items.column_names:
            return list(self.items[name].to_pylist())
        return [None] * len(self)

    def only(self, rows: Rows) -> Selection:
        """Narrow the selection to these ascending rows of it."""
        chosen = [
            mine[rows[slice(*np.searchsorted(rows, (start, start + len(mine))))] - start]
            for start, mine in zip(self._starts(), self.chosen, strict=True)
        ]
        held = None if self.held is None else self.held[rows]
        return replace(self, chosen=chosen, items=self.items.take(pa.array(rows)), held=held)

    def blocks(self) -> Iterator[Vectors]:
        """The vectors, one part after another; raises as `PartState.embeddings`."""
        if self.held is not None:
            yield from np.split(self.held, self._starts()[1:])
            return
        for place in range(len(self.chosen)):
            yield self._read(place)

    def sample(self, count: int, seed: int) -> Vectors:
        """`count` vectors drawn at random, or all if there are fewer; (n, D), in the order of rows."""
        chosen = np.arange(len(self))
        if count < len(self):
            chosen = np.sort(np.random.default_rng(seed).choice(len(self), count, replace=False))
        return self.take(chosen)

    def take(self, rows: Rows) -> Vectors:
        """The vectors of these ascending rows of the selection; (n, D)."""
        if self.held is not None:
            return self.held[rows]
        found = np.empty((len(rows), self.dim), np.float32)
        for place, start in enumerate(self._starts()):
            here = slice(*np.searchsorted(rows, (start, start + len(self.chosen[place]))))
            if here.start < here.stop:
                found[here] = self._read(place)[rows[here] - start]
        return found

    def cosines(self, rows: Rows) -> Vectors:
        """The cosines of these ascending rows with every item; (n, N)."""
        asked, found = self.take(rows), np.empty((len(rows), len(self)), np.float32)
        for start, block in zip(self._starts(), self.blocks(), strict=True):
            np.matmul(asked, block.T, out=found[:, start : start + len(block)])
        return found

    def room(self, limit: int | None, need: int, what: str) -> int | None:
        """The bytes of the limit left after this selection and `need` more; None without a limit.

        Raises `MemoryLimitError`, which names the smallest possible limit, if there is not enough.
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
        """The selection, with its vectors held if they fit, and how many rows to give to `cosines` at a time.

        `need` bytes are used by other things, and `row_bytes` by each of these rows.
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
        """The number, in the selection, of each part's first row."""
        return [0, *accumulate(len(rows) for rows in self.chosen)][: len(self.chosen)]

    def _read(self, place: int) -> Vectors:
        """The vectors of the selected rows of a part."""
        mine = self.chosen[place]
        vectors = (
            self.snapshot.parts[place].embeddings() if len(mine) else np.empty((0, self.dim), np.float32)
        )
        return vectors if len(mine) == len(vectors) else vectors[mine]
