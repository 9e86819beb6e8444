"""Finds pairs of pictures that may be duplicates: with similar perceptual hashes or vectors.

These are only candidates: each pair is compared afterwards. The work grows with the number of pictures,
not with its square.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.analysis.hashing import ORIENTATIONS, perceptual_hash, perceptual_hashes
from lookalike.analysis.neighbours import Neighbours, Rows
from lookalike.analysis.pictures import Pictures
from lookalike.parallel import cores, in_order
from lookalike.storage.selection import Selection

# Of the 64 bits of a hash, unrelated photographs differ in 32 on average, re-encoded ones in 0 to 4; the
# tables of `_near` are sure to find up to 8.
_MOST_BITS = 8
_VECTORS_BYTES = 1 << 26
# Each row is compared with at most so many earlier rows, those with the most similar hashes: all frames of a
# film are near each other, and the number of their pairs would be the square of theirs.
_MOST_NEAR = 64
# So many pairs of near hashes, about 20 bytes each, are held before these are chosen.
_MOST_HELD = 1 << 22
# The number of hashes that may wait for a slow one.
_AHEAD = 256

Hashes = dict[int, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two rows, the lower first, and their cosine; the second, laid in `orientations`, has a hash like the
    first.
    """

    rows: tuple[int, int]
    score: float
    orientations: tuple[int, ...]


def hashes_of(pictures: Pictures, rows: Iterable[int], turned: bool) -> Hashes:
    """The hashes of these rows, if they have thumbnails: bool (8, 64) if `turned`, else (1, 64)."""
    shown = [row for row in rows if pictures.has_thumbnail(row)]
    threads = cores()
    laid = perceptual_hashes if turned else lambda grey: perceptual_hash(grey)[None]
    hashes = in_order(lambda row: laid(pictures.small_grey(row)), shown, threads, ahead=_AHEAD)
    return dict(zip(shown, hashes, strict=True))


def candidates(
    selection: Selection, hashes: Hashes, near: Neighbours | None, least_cosine: float, turned: bool
) -> list[Candidate]:
    """The pairs with similar hashes, also if `turned`, and the pairs of `near`, sorted by row."""
    alike = _near(hashes, turned)
    rows = np.array(list(alike), np.int64).reshape(-1, 2)
    cosines = _cosines(selection, rows)
    if near is not None:
        by_vector, its_cosines = near.pairs(least_cosine)
        new = ~np.isin(by_vector @ (len(selection), 1), rows @ (len(selection), 1))
        rows = np.concatenate([rows, by_vector[new]])
        cosines = np.concatenate([cosines, its_cosines[new]])
    pairs = [(int(one), int(other)) for one, other in rows]
    return [
        Candidate(pairs[at], float(cosines[at]), tuple(alike.get(pairs[at], ())))
        for at in np.lexsort((rows[:, 1], rows[:, 0]))
    ]


def _near(hashes: Hashes, turned: bool) -> dict[tuple[int, int], list[int]]:
    """The pairs of rows, lower first, whose hashes differ in at most 8 bits, and the second's orientations.

    Each row is paired with at most the 64 nearest of the rows before it, in each orientation.

    Uses four tables of 16 bits each: if at most 8 of 64 bits differ, one quarter differs in at most two, and
    is found by flipping any two of its bits (multi-index hashing: Norouzi, Punjani & Fleet 2012).
    Pictures without contrast are left out, because they would all be near each other.
    """
    import faiss  # takes a tenth of a second

    rows = np.array([row for row, bits in hashes.items() if bits.any()], np.int64)
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    if not len(rows):
        return found
    codes = np.packbits(np.stack([hashes[row] for row in rows.tolist()]), axis=2)
    index = faiss.IndexBinaryMultiHash(64, 4, 16)
    index.nflip = 2
    index.add(np.ascontiguousarray(codes[:, 0]))
    step = max(1, _MOST_HELD // len(codes))
    for orientation in range(len(ORIENTATIONS) if turned else 1):
        for start in range(0, len(codes), step):
            asked = np.ascontiguousarray(codes[start : start + step, orientation])
            for one, other in _nearest_before(index, asked, start).tolist():
                found[int(rows[one]), int(rows[other])].append(orientation)
    return found


def _nearest_before(index: Any, asked: NDArray[np.uint8], start: int) -> Rows:
    """Pairs (P, 2) of places in an index whose hashes are near; the second are asked for, from `start` on."""
    limits, bits, places = index.range_search(asked, _MOST_BITS + 1)
    later = start + np.repeat(np.arange(len(asked)), np.diff(limits.astype(np.int64)))
    before = places < later
    bits, places, later = bits[before], places[before], later[before]
    order = np.lexsort((places, bits, later))
    pairs = np.stack([places[order], later[order]], axis=1)
    rank = np.arange(len(pairs)) - np.searchsorted(pairs[:, 1], pairs[:, 1])
    return np.asarray(pairs[rank < _MOST_NEAR])


def _cosines(selection: Selection, pairs: Rows) -> NDArray[np.float32]:
    """The cosine (P,) of each pair (P, 2), computed in blocks whose vectors take 64 MiB."""
    step = max(1, _VECTORS_BYTES // (8 * selection.dim))
    found = [np.empty(0, np.float32)]
    for start in range(0, len(pairs), step):
        rows, places = np.unique(pairs[start : start + step], return_inverse=True)
        one, other = selection.take(rows)[places.reshape(-1, 2)].transpose(1, 0, 2)
        found.append(np.einsum("nd,nd->n", one, other))
    return np.concatenate(found)


def of_one_size(pictures: Pictures, rows: Sequence[int]) -> list[list[int]]:
    """The rows grouped by their size in pixels; groups of one are left out."""
    sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in rows:
        sizes[pictures.size(row)].append(row)
    return [alike for alike in sizes.values() if len(alike) > 1]
