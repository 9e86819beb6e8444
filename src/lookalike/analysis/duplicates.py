"""What is there twice, in tiers, each with what it was checked by.

Only pairs that are near in vectors or in perceptual hash are looked at, so the work grows with the number of
images and not with its square. docs/analysis.md says what each tier means.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.analysis.geometry import match
from lookalike.analysis.hashing import perceptual_hash
from lookalike.analysis.neighbours import Neighbours, Rows, nearest_others
from lookalike.analysis.pictures import COLUMNS, POINTS_BYTES, Pictures
from lookalike.errors import LookalikeError
from lookalike.parallel import in_order
from lookalike.storage.selection import Selection
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.state import State

Progress = Callable[[int, int], None]

# From the surest to the loosest. The last is no duplicate, but one picture of a burst.
TIERS = {
    "bytes": "identical bytes",
    "pixels": "identical pixels",
    "copy": "re-encoded or resized",
    "edit": "cropped, mirrored or rotated",
    "moment": "the same moment",
}
DUPLICATES = ("bytes", "pixels", "copy", "edit")

_NEIGHBOURS = 10
# A hash of 64 bits: unrelated photographs differ in 32 on average, re-encoded ones in 0 to 4, and 8 is the
# most that the tables of `_near_hashes` find for sure. A hash says little of pictures without contrast, so
# the vectors have to agree; those of a picture enlarged from half its size may be no nearer than this.
_MOST_BITS, _LEAST_COSINE_COPY, _MOST_STRETCH = 8, 0.6, 0.05
# Of pictures cropped to 80% of their sides, 95% have a cosine of at least 0.8 to the original
# (docs/analysis.md).
_LEAST_COSINE_EDIT, _LEAST_CORRELATION = 0.75, 0.8
_LEAST_COSINE_MOMENT, _MOMENT_S = 0.85, 10.0

# Pictures whose details are kept for the next pair with them. Measured: what an item takes (its columns, its
# hash, its pairs) and what finding details takes in a thread.
_MOST_KEPT, _LEAST_KEPT = 4096, 64
_ITEM_BYTES, _THREAD_BYTES = 2000, 40_000_000
_VECTORS_BYTES = 1 << 26
# So many results may wait for one that takes long.
_AHEAD = 256


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows that show the same: the `tier`, what it was checked by (`reason`), and their cosine."""

    rows: tuple[int, int]
    tier: str
    reason: str
    score: float


@dataclass(frozen=True, slots=True)
class Duplicates:
    """All pairs that were found; their rows count over `items`, which have the columns of `COLUMNS`.

    `compared` is how many pairs were looked at, `recall` the share of true neighbours among them.
    `state` is that of the collection.
    """

    state: State
    items: Sequence[dict[str, Any]]
    pairs: tuple[Pair, ...]
    compared: int
    recall: float

    def __len__(self) -> int:
        return len(self.pairs)

    def __repr__(self) -> str:
        return f"Duplicates({len(self):,} pairs among {len(self.items):,} images)"


def find_duplicates(
    snapshot: Snapshot,
    *,
    rows: Rows | None = None,
    edits: bool = True,
    max_memory_bytes: int | None = None,
    on_progress: Progress | None = None,
) -> Duplicates:
    """Find the pairs of images that show the same.

    Thumbnails are compared; originals are read only for identical pixels and the time when they were taken,
    where they are local files. Without `edits` no details are compared, which is much faster where many
    images are alike. Takes `max_memory_bytes` at most, if given, beside the program itself and the originals
    that are read, one a core. Raises `MemoryLimitError` where that is not enough.
    """
    selection = Selection.of(snapshot, COLUMNS, rows=rows)
    held_bytes = _THREAD_BYTES * (os.cpu_count() or 1) + _ITEM_BYTES * len(selection)
    room = selection.room(max_memory_bytes, held_bytes + _LEAST_KEPT * POINTS_BYTES, "finding duplicates")
    kept = _MOST_KEPT if room is None else min(_MOST_KEPT, _LEAST_KEPT + room // POINTS_BYTES)
    pictures = Pictures(selection, kept)
    if not any(pictures.has_thumbnail(row) for row in range(len(selection))):
        raise LookalikeError(
            f"{snapshot.root} has vectors without pictures, which cannot be compared",
            "build a collection of the images",
        )
    first_of, pairs = _identical_bytes(pictures)
    hashes = _hashes(pictures, sorted(set(first_of)))
    near = nearest_others(
        selection,
        _NEIGHBOURS + _most_copies(first_of),
        max_memory_bytes=max_memory_bytes,
        held_bytes=held_bytes,
    )
    ends, cosines = _candidates(selection, near, hashes)
    # Of identical files one stands for all.
    wanted = np.flatnonzero((np.array(first_of)[ends] == ends).all(axis=1))

    def compare(at: int) -> Pair | None:
        one, other = ends[at].tolist()
        return _compared(pictures, hashes, (one, other), float(cosines[at]), edits)

    with closing(in_order(compare, wanted.tolist(), os.cpu_count() or 1, ahead=_AHEAD)) as compared:
        for done, found in enumerate(compared, 1):
            if found is not None:
                pairs.append(found)
            if on_progress:
                on_progress(done, len(wanted))
    ordered = tuple(sorted(pairs, key=lambda pair: pair.rows))
    return Duplicates(snapshot.state, pictures.rows, ordered, len(wanted), near.recall)


def _identical_bytes(pictures: Pictures) -> tuple[list[int], list[Pair]]:
    """The first row with the bytes of each row, and a pair of each other with it."""
    first, first_of, pairs = dict[str, int](), [], []
    for row, item in enumerate(pictures.rows):
        own = first.setdefault(item["sha256"] or f"row {row}", row)
        first_of.append(own)
        if own != row:
            pairs.append(Pair((own, row), "bytes", "the files have the same SHA-256", 1.0))
    return first_of, pairs


def _most_copies(first_of: Sequence[int]) -> int:
    """How many of the nearest an item's identical files may take, up to a limit."""
    return min(int(np.bincount(first_of).max()) - 1, 50)


def _hashes(pictures: Pictures, rows: Iterable[int]) -> dict[int, NDArray[np.bool_]]:
    """The perceptual hash of each of these rows that has a thumbnail."""
    shown = [row for row in rows if pictures.has_thumbnail(row)]
    threads = os.cpu_count() or 1
    hashes = in_order(lambda row: perceptual_hash(pictures.grey(row)), shown, threads, ahead=_AHEAD)
    return dict(zip(shown, hashes, strict=True))


def _candidates(
    selection: Selection, near: Neighbours, hashes: dict[int, NDArray[np.bool_]]
) -> tuple[Rows, NDArray[np.float32]]:
    """The pairs (P, 2) near in vectors or in hash, the lower row first, rising; and their cosines (P,)."""
    rows, cosines = near.pairs(_LEAST_COSINE_COPY)
    by_hash = _near_hashes(hashes)
    by_hash = by_hash[~np.isin(by_hash @ (len(selection), 1), rows @ (len(selection), 1))]
    rows = np.concatenate([rows, by_hash])
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    return rows[order], np.concatenate([cosines, _cosines(selection, by_hash)])[order]


def _near_hashes(hashes: dict[int, NDArray[np.bool_]]) -> Rows:
    """All pairs of rows (P, 2) whose hashes differ in at most 8 bits, the lower row first.

    Four tables of 16 bits each: where at most 8 of 64 bits differ, one quarter differs in at most two, and
    is found by turning each two of its bits (multi-index hashing: Norouzi, Punjani & Fleet 2012).
    Pictures without contrast are left out: all would be near each other.
    """
    import faiss  # a tenth of a second, and only here

    hashes = {row: bits for row, bits in hashes.items() if bits.any()}
    if not hashes:
        return np.empty((0, 2), np.int64)
    rows = np.array(list(hashes))
    codes = np.packbits(np.stack(list(hashes.values())), axis=1)
    index = faiss.IndexBinaryMultiHash(64, 4, 16)
    index.nflip = 2
    index.add(codes)
    limits, _, found = index.range_search(codes, _MOST_BITS + 1)
    first = np.repeat(np.arange(len(codes)), np.diff(limits.astype(np.int64)))
    later = first < found
    return np.unique(np.stack([rows[first[later]], rows[found[later]]], axis=1), axis=0)


def _cosines(selection: Selection, pairs: Rows) -> NDArray[np.float32]:
    """The cosine (P,) of each pair (P, 2), so many at once that their vectors take 64 MiB."""
    step = max(1, _VECTORS_BYTES // (8 * selection.dim))
    found = [np.empty(0, np.float32)]
    for start in range(0, len(pairs), step):
        rows, places = np.unique(pairs[start : start + step], return_inverse=True)
        one, other = selection.take(rows)[places.reshape(-1, 2)].transpose(1, 0, 2)
        found.append(np.einsum("nd,nd->n", one, other))
    return np.concatenate(found)


def _compared(
    pictures: Pictures,
    hashes: dict[int, NDArray[np.bool_]],
    rows: tuple[int, int],
    score: float,
    edits: bool,
) -> Pair | None:
    """The tier of two pictures that may show the same; None where they do not."""
    one, other = rows
    if one not in hashes or other not in hashes:
        return None
    bits = int((hashes[one] != hashes[other]).sum())
    if bits <= _MOST_BITS and score >= _LEAST_COSINE_COPY and _same_shape(pictures, rows):
        if _same_pixels(pictures, rows):
            return Pair(rows, "pixels", "all pixels are equal", score)
        if not hashes[one].any():
            return None  # two pictures without contrast
        return Pair(rows, "copy", f"the hashes differ in {bits} of 64 bits, the cosine is {score:.2f}", score)
    if edits and score >= _LEAST_COSINE_EDIT:
        found = _edited(pictures, rows, score)
        if found is not None:
            return found
    return _burst(pictures, rows, score)


def _same_shape(pictures: Pictures, rows: tuple[int, int]) -> bool:
    one, other = (pictures.rows[row]["width"] / max(1, pictures.rows[row]["height"]) for row in rows)
    return bool(abs(np.log(one / other)) < _MOST_STRETCH)


def _same_pixels(pictures: Pictures, rows: tuple[int, int]) -> bool:
    sizes = {(pictures.rows[row]["width"], pictures.rows[row]["height"]) for row in rows}
    if len(sizes) > 1:
        return False
    checksum = pictures.pixels_checksum(rows[0])
    return checksum is not None and checksum == pictures.pixels_checksum(rows[1])


def _edited(pictures: Pictures, rows: tuple[int, int], score: float) -> Pair | None:
    """A pair whose details lie in the same arrangement, as they are or mirrored, and whose pixels agree."""
    one, other = rows
    for mirrored in (False, True):
        found = match(pictures.points(one, mirrored), pictures.points(other, False))
        if found is not None and found.correlation >= _LEAST_CORRELATION:
            what = "mirrored, " if mirrored else ""
            return Pair(
                rows,
                "edit",
                f"{what}{found.inliers} details agree, the pixels that are in both correlate with "
                f"{found.correlation:.2f}",
                score,
            )
    return None


def _burst(pictures: Pictures, rows: tuple[int, int], score: float) -> Pair | None:
    if score < _LEAST_COSINE_MOMENT:
        return None
    one, other = pictures.taken_at(rows[0]), pictures.taken_at(rows[1])
    if one is None or other is None or abs(one - other) > _MOMENT_S:
        return None
    return Pair(rows, "moment", f"taken {abs(one - other):.1f} s apart, the cosine is {score:.2f}", score)
