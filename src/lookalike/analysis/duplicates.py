"""Finds duplicates, in tiers, each pair with the evidence for it.

Only pairs with similar vectors or perceptual hashes are compared, and only their pixels decide.
docs/analysis.md says what each tier means.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lookalike.analysis.candidates import Candidate, Hashes, candidates, hashes_of, of_one_size
from lookalike.analysis.comparing import Pair, copied, edited
from lookalike.analysis.neighbours import Neighbours, Rows, nearest_others
from lookalike.analysis.pictures import COLUMNS, POINTS_BYTES, Pictures
from lookalike.analysis.tiers import DUPLICATES, KEEP, NOT_DUPLICATE, check_tiers
from lookalike.checking import checked
from lookalike.errors import LookalikeError, counted
from lookalike.parallel import cores, in_order
from lookalike.storage.selection import Selection
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.state import State

Progress = Callable[[int, int], None]

_NEIGHBOURS = 10
_LEAST_COSINE_MOMENT, _MOMENT_S = 0.85, 10.0
# The cosine to the original of photographs of flowers cropped to 80% of their sides: all of 100 have this.
_LEAST_COSINE_EDIT = 0.65

# How many pictures' details are kept for later pairs. Measured: the memory for an item (its columns, its
# hash, its pairs) and for finding details in a thread.
_MOST_KEPT, _LEAST_KEPT = 4096, 64
_ITEM_BYTES, _THREAD_BYTES = 2000, 40_000_000
# The number of results that may wait for a slow one.
_AHEAD = 256


@dataclass(frozen=True, slots=True)
class Duplicates:
    """All pairs found; their rows are positions in `items`, which have the columns of `COLUMNS`.

    `apart` are the pairs of rows that people marked as not duplicates, the lower first, and `kept`
    the rows that they marked as staying. `compared` is the number of pairs compared, `recall` the
    share of true neighbours among them. `state` is the collection's.
    """

    state: State
    items: Sequence[dict[str, Any]]
    pairs: tuple[Pair, ...]
    compared: int
    recall: float
    apart: frozenset[tuple[int, int]] = frozenset()
    kept: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.pairs)

    def __repr__(self) -> str:
        return f"Duplicates({counted(len(self), 'pair')} among {counted(len(self.items), 'image')})"


@checked
def find_duplicates(
    snapshot: Snapshot,
    *,
    rows: Rows | None = None,
    tiers: Collection[str] = DUPLICATES,
    max_memory_bytes: int | None = None,
    on_progress: Progress | None = None,
) -> Duplicates:
    """Find the pairs of images that show the same, in these `tiers`.

    Compares thumbnails, then originals if they are local files. Only `edit` compares details and
    neighbours, which takes longer if many images are similar. Pairs that people have marked as
    `not_duplicate` are left out. Uses at most `max_memory_bytes`, if given, beyond the program itself and
    the originals being read, one a core. Raises `MemoryLimitError` if that is not enough, and
    `LookalikeError` for an unknown tier, or none.
    """
    check_tiers(tiers)
    selection = Selection.of(snapshot, COLUMNS, rows=rows)
    held_bytes = _THREAD_BYTES * cores() + _ITEM_BYTES * len(selection)
    pictures = _pictures(selection, held_bytes, max_memory_bytes)
    first_of, pairs = _identical_bytes(pictures)
    near, found = None, list[Candidate]()
    if set(tiers) - {"bytes"}:
        hashes = hashes_of(pictures, sorted(set(first_of)), "edit" in tiers)
        if {"edit", "moment"} & set(tiers):
            near = nearest_others(
                selection,
                _NEIGHBOURS + _most_copies(first_of),
                max_memory_bytes=max_memory_bytes,
                held_bytes=held_bytes,
            )
        found = _wanted(selection, hashes, near, first_of, tiers)
        if "pixels" in tiers:
            pairs += _identical_blanks(pictures, hashes)
    apart, staying = _marked(snapshot, selection)
    pairs += _related(pictures, found, tiers, on_progress)
    wanted = [pair for pair in pairs if pair.tier in tiers and pair.rows not in apart]
    return Duplicates(
        snapshot.state,
        pictures.rows,
        tuple(sorted(wanted, key=lambda pair: pair.rows)),
        len(found),
        1.0 if near is None else near.recall,
        apart,
        staying,
    )


def _marked(snapshot: Snapshot, selection: Selection) -> tuple[frozenset[tuple[int, int]], frozenset[int]]:
    """The pairs that people marked as not duplicates, and the rows that they marked as staying."""
    pictures = selection.ids, [sha256 or "" for sha256 in selection.column("sha256")]
    apart = {rows for rows, value in snapshot.marks.pairs(NOT_DUPLICATE, *pictures).items() if value}
    kept = {row for row, value in enumerate(snapshot.marks.column(KEEP, *pictures)) if value}
    return frozenset(apart), frozenset(kept)


def _pictures(selection: Selection, held_bytes: int, limit_bytes: int | None) -> Pictures:
    """The pictures to compare, which keep the details of as many as there is memory for.

    Raises `MemoryLimitError` if that is too few, and `LookalikeError` if there are no thumbnails.
    """
    room = selection.room(limit_bytes, held_bytes + _LEAST_KEPT * POINTS_BYTES, "finding duplicates")
    kept = _MOST_KEPT if room is None else min(_MOST_KEPT, _LEAST_KEPT + room // POINTS_BYTES)
    pictures = Pictures(selection, kept)
    if not any(pictures.has_thumbnail(row) for row in range(len(selection))):
        raise LookalikeError(
            f"{selection.snapshot.root} has vectors but no thumbnails to compare",
            "build a collection from the images, with their thumbnails",
        )
    return pictures


def _identical_bytes(pictures: Pictures) -> tuple[list[int], list[Pair]]:
    """For each row the first row with the same bytes, and the pairs of these with the later ones."""
    first, first_of, pairs = dict[str, int](), [], []
    for row, item in enumerate(pictures.rows):
        own = first.setdefault(item["sha256"] or f"row {row}", row)
        first_of.append(own)
        if own != row:
            pairs.append(Pair((own, row), "bytes", "the files have the same SHA-256", 1.0))
    return first_of, pairs


def _identical_blanks(pictures: Pictures, hashes: Hashes) -> Iterator[Pair]:
    """Yield pairs of pictures without contrast, whose hashes say nothing, that have the same pixels."""
    blank = [row for row, bits in hashes.items() if not bits.any()]
    for rows in of_one_size(pictures, blank):
        first = dict[str, int]()
        for row in rows:
            checksum = pictures.pixels_checksum(row)
            own = first.setdefault(checksum or f"row {row}", row)
            if own != row:
                yield Pair((own, row), "pixels", "all pixels are equal", 1.0)


def _most_copies(first_of: Sequence[int]) -> int:
    """How many of an item's nearest may be identical files, up to a limit."""
    return min(int(np.bincount(first_of).max()) - 1, 50)


def _wanted(
    selection: Selection,
    hashes: Hashes,
    near: Neighbours | None,
    first_of: Sequence[int],
    tiers: Collection[str],
) -> list[Candidate]:
    """The pairs to compare; one of several identical files represents them all."""
    found = candidates(selection, hashes, near, _LEAST_COSINE_EDIT, "edit" in tiers)
    return [one for one in found if all(first_of[row] == row and row in hashes for row in one.rows)]


def _related(
    pictures: Pictures, found: Sequence[Candidate], tiers: Collection[str], on_progress: Progress | None
) -> Iterator[Pair]:
    """Compare the candidates on all cores, and yield those that are related."""
    compare = partial(_compared, pictures, tiers)
    with closing(in_order(compare, found, cores(), ahead=_AHEAD)) as compared:
        for done, pair in enumerate(compared, 1):
            if pair is not None:
                yield pair
            if on_progress:
                on_progress(done, len(found))


def _compared(pictures: Pictures, tiers: Collection[str], candidate: Candidate) -> Pair | None:
    """How two candidates are related, as a pair; None if they are not."""
    pair = copied(pictures, candidate, tiers) if 0 in candidate.orientations else None
    if pair is None and "edit" in tiers:
        pair = edited(pictures, candidate, details=candidate.score >= _LEAST_COSINE_EDIT)
    if pair is not None and (pair.tier == "pixels" or not _apart_s(pictures, candidate.rows)):
        return pair
    if "moment" in tiers and candidate.score >= _LEAST_COSINE_MOMENT:
        return _burst(pictures, candidate)
    return None


def _burst(pictures: Pictures, candidate: Candidate) -> Pair | None:
    apart_s = _apart_s(pictures, candidate.rows)
    if apart_s is None or apart_s > _MOMENT_S:
        return None
    reason = f"taken {apart_s:.1f} s apart, the cosine is {candidate.score:.2f}"
    return Pair(candidate.rows, "moment", reason, candidate.score)


def _apart_s(pictures: Pictures, rows: tuple[int, int]) -> float | None:
    """The seconds between two pictures; None if unknown. A copy keeps the time."""
    one, other = (pictures.taken_at(row) for row in rows)
    return None if one is None or other is None else abs(one - other)
