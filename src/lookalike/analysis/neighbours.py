"""Finds every item's nearest neighbours: exactly in small collections, through the index in large ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.checking import checked
from lookalike.errors import LockedError, LookalikeError, MemoryLimitError, StorageError, call
from lookalike.index import Index, build_index, open_index
from lookalike.storage.part_state import changed
from lookalike.storage.selection import Selection, Vectors

Rows = NDArray[np.int64]
Progress = Callable[[int, int], None]

# Up to here, comparing all pairs takes some seconds; beyond, the time would grow with the square.
_MOST_EXACT = 20_000
_BUILDING_BYTES = 64_000_000  # for parts that are read ahead while an index is built


@dataclass(frozen=True, slots=True)
class Neighbours:
    """For each of N items, the k nearest others, best first: `rows` (N, k), and cosines `scores` (N, k).

    Missing ones have row -1 and score -1. `recall` is the share of true neighbours among them.
    """

    rows: Rows
    scores: Vectors
    recall: float

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Neighbours({self.rows.shape[1]} of each of {len(self):,} images, recall {self.recall:.2f})"

    def pairs(self, least: float) -> tuple[Rows, Vectors]:
        """Each pair (P, 2) with a cosine of at least `least`, lower row first, ascending, and its cosine."""
        first, place = np.nonzero((self.scores >= least) & (self.rows >= 0))
        ends = np.sort(np.stack([first, self.rows[first, place]], axis=1), axis=1)
        _, at = np.unique(ends @ (len(self.rows), 1), return_index=True)
        return ends[at], self.scores[first, place][at]


@checked
def nearest_others(
    selection: Selection,
    k: int,
    *,
    max_memory_bytes: int | None = None,
    held_bytes: int = 0,
    on_progress: Progress | None = None,
) -> Neighbours:
    """The k nearest others of every item.

    Compares up to 20,000 items all with all. Beyond, it uses the collection's index, and first builds it
    if this state has none and it can be written; the index knows its recall. Together with the caller's
    `held_bytes`, uses at most `max_memory_bytes`, if given, beyond the program itself. Raises
    `MemoryLimitError` if that is not enough, `LookalikeError` for a k below 1.
    """
    if not isinstance(k, int | np.integer) or k < 1:
        raise LookalikeError(f"k is the number of neighbours, at least 1, not {k!r}")
    k = min(k, len(selection) - 1)
    held_bytes += len(selection) * k * 12
    rows, scores = np.empty((len(selection), k), np.int64), np.empty((len(selection), k), np.float32)
    found: Iterator[tuple[Rows, Vectors]]
    index = _index(selection, max_memory_bytes, held_bytes) if len(selection) > _MOST_EXACT else None
    if index is None:
        found, recall = _exact(selection, k, max_memory_bytes, held_bytes), 1.0
    else:
        found, recall = _asked(selection, index, k), index.info.recall
    start = 0
    for some_rows, some_scores in found:
        rows[start : start + len(some_rows)], scores[start : start + len(some_rows)] = some_rows, some_scores
        start += len(some_rows)
        if on_progress:
            on_progress(start, len(selection))
    return Neighbours(rows, scores, recall)


def _exact(selection: Selection, k: int, limit: int | None, need: int) -> Iterator[tuple[Rows, Vectors]]:
    # For each pair: a copy of the cosine to sort, and its row number.
    selection, at_once = selection.for_cosines(limit, need, 12 * len(selection), "the neighbours")
    for start in range(0, len(selection), at_once):
        yield _best(selection, np.arange(start, min(start + at_once, len(selection))), k)


def _best(selection: Selection, own: Rows, k: int) -> tuple[Rows, Vectors]:
    cosines = selection.cosines(own)
    cosines[own - own[0], own] = -np.inf
    best = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
    return _ordered(best, np.take_along_axis(cosines, best, axis=1))


def _index(selection: Selection, limit: int | None, held_bytes: int) -> Index | None:
    """The index of the collection, built if there is none; None if it cannot be built.

    Raises `MemoryLimitError` if it does not fit.
    """
    room = selection.room(limit, held_bytes + _BUILDING_BYTES, "the neighbours")
    taken = 0 if limit is None or room is None else limit - room
    state = selection.snapshot.state
    index = open_index(state)
    if index is None:
        try:
            build_index(state.root, max_memory_bytes=room if room is None else max(1, room))
        except MemoryLimitError as error:
            raise MemoryLimitError(error.what, error.need_bytes + taken, limit or 0) from None
        except (StorageError, LockedError):  # a read-only disk, or a build in progress
            return None
        index = open_index(state)
    if index is None:  # the collection has changed meanwhile
        raise changed(state.root)
    if limit is not None and taken + index.info.bytes > limit:
        raise MemoryLimitError(
            f"the work with the index of {state.root}",
            taken + index.info.bytes,
            limit,
            f", or make it smaller: {call(state.root, f'index(max_memory_bytes={limit - taken})')}",
        )
    return index


def _asked(selection: Selection, index: Index, k: int) -> Iterator[tuple[Rows, Vectors]]:
    """Ask for one more than wanted, then drop the item itself, or else the last."""
    start, numbers, mask = 0, selection.rows, None
    if not selection.is_whole:
        mask = np.zeros(len(selection.snapshot), np.bool_)
        mask[numbers] = True
    for block in selection.blocks():
        scores, rows = index.search(block, k + 1, mask)
        rows = np.where(rows < 0, -1, np.searchsorted(numbers, rows))
        own = np.arange(start, start + len(block))[:, None]
        scores = np.where(rows == own, -np.inf, scores)
        rows, scores = _ordered(rows, scores)
        yield rows[:, :k], scores[:, :k]
        start += len(block)


def _ordered(rows: Rows, scores: Vectors) -> tuple[Rows, Vectors]:
    """Sort each row by descending score; among equals the lower row first."""
    order = np.lexsort((rows, -scores))
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
