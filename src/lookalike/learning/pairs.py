"""What somebody has said of items two or three at a time: which are the same, and which is more like which.

Pairs of the same thing hang together: with A and B, and B and C, A and C are the same too. Triplets compare:
the anchor is more like the second than like the third, which may be like it as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.errors import LookalikeError, counted
from lookalike.learning.pair_tables import Texts, named, read_table
from lookalike.storage.snapshot import Snapshot

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_SAME = {"1": 1, "1.0": 1, "true": 1, "same": 1, "0": 0, "0.0": 0, "false": 0, "different": 0}
_TRIPLET = ("anchor", "positive", "negative")


@dataclass(frozen=True)
class Told:
    """What was said of N items: their `rows` (N,) in the snapshot, ascending, and places among these.

    `same` (S, 2) are the same, `apart` (A, 2) are different; `triplets` (T, 3) are an anchor, what is like
    it, and what is less. Of the lines of the table, those of `unknown` items are left out, `invalid` ones, in
    which a value is missing, and `contradictory` ones; each line counts once, however often it is there.
    """

    what: str
    rows: Ints
    same: Ints
    apart: Ints
    triplets: Ints
    lines: int
    unknown: int
    invalid: int
    contradictory: int

    def __str__(self) -> str:
        out = left_out(self.unknown, self.contradictory, self.invalid)
        return f"{self.lines:,} {self.what}" + (f", of which {out} were left out" if out else "")


def read_pairs(snapshot: Snapshot, given: Any) -> Told:
    """Read pairs of ids that are the same, or, where a third column has 0, different.

    A line of an item with itself, and lines of a pair that is both the same and different, also by way of
    others, are contradictory. Raises `LookalikeError` if no pair of the same thing is left.
    """
    names, columns = read_table(given, "pairs", _is_id(snapshot))
    if len(columns) not in (2, 3):
        raise LookalikeError(
            f"{named(given, 'pairs')} has {_listed(names)}",
            "pairs are two columns of ids, and perhaps a third: 1 for the same thing, 0 for different ones",
        )
    same = np.ones(len(columns[0]), np.int64)
    if len(columns) == 3:
        same = np.array([_SAME.get((one or "").lower(), -1) for one in columns[2]])
        if (same < 0).all():
            raise LookalikeError(
                f"the third column of {named(given, 'pairs')}, {names[2]}, has neither 1 nor 0",
                "1 says that a pair is the same thing, 0 that it is not",
            )
    found, valid, known = _rows(snapshot, columns[:2], same >= 0)
    ends = np.sort(found[known], axis=1)
    is_same = same[known] == 1
    itself = ends[:, 0] == ends[:, 1]
    contradictory = itself | _also_in(ends, is_same, ends, ~is_same)
    links = np.unique(ends[is_same & ~contradictory], axis=0)
    rows = np.unique(ends)
    groups = components(len(rows), np.searchsorted(rows, links))
    together = groups[np.searchsorted(rows, ends)]
    contradictory |= ~is_same & (together[:, 0] == together[:, 1])
    apart = np.unique(ends[~is_same & ~contradictory], axis=0)
    return _told("pairs", given, snapshot, (links, apart, None), (valid, known, contradictory))


def read_triplets(snapshot: Snapshot, given: Any) -> Told:
    """Read triplets of ids: an anchor, what is like it, and what is less.

    A triplet that has an item twice, or that is there both ways round, is contradictory. Raises
    `LookalikeError` if no triplet is left.
    """
    names, columns = read_table(given, "triplets", _is_id(snapshot))
    lower = [name.lower() for name in names]
    if set(_TRIPLET) <= set(lower):
        columns = [columns[lower.index(name)] for name in _TRIPLET]
    if len(columns) != 3:
        raise LookalikeError(
            f"{named(given, 'triplets')} has {_listed(names)}",
            "triplets are three columns of ids: anchor, positive, negative",
        )
    found, valid, known = _rows(snapshot, columns, np.ones(len(columns[0]), bool))
    triplets = found[known]
    twice = (triplets == triplets[:, [1, 2, 0]]).any(axis=1)
    every = np.ones(len(triplets), bool)
    contradictory = twice | _also_in(triplets, every, triplets[:, [0, 2, 1]], every)
    kept = np.unique(triplets[~contradictory], axis=0)
    links = np.unique(kept[:, :2], axis=0)
    return _told("triplets", given, snapshot, (links, None, kept), (valid, known, contradictory))


def groups_of(told: Told, least: int) -> Ints:
    """The number of the group of each of the N items, (N,), by what is the same.

    Raises `LookalikeError` if fewer than `least` have two items or more, or one has more than half of these.
    """
    groups = components(len(told.rows), told.same)
    sizes = np.bincount(groups)
    many, items = int((sizes > 1).sum()), int(sizes[sizes > 1].sum())
    if many < least or sizes.max() > items / 2:
        raise LookalikeError(
            f"the pairs hang together in {counted(many, 'group')}, the largest of {sizes.max():,} "
            f"of {items:,} items; holding out whole ones needs {least}, none with more than half",
            "give more pairs of other things",
        )
    return groups


def components(count: int, links: Ints) -> Ints:
    """The number of the group of each of `count` things, (count,), by links (L, 2) between two of them."""
    found = np.arange(count)
    while True:
        ends = found[links]
        if (ends[:, 0] == ends[:, 1]).all():
            return np.asarray(np.unique(found, return_inverse=True)[1], np.int64)
        least = ends.min(axis=1)
        np.minimum.at(found, ends[:, 0], least)
        np.minimum.at(found, ends[:, 1], least)
        while (found != found[found]).any():
            found = found[found]


def among(places: Ints, tuples: Ints) -> Ints:
    """The tuples (L, n) whose places are all among some ascending ones (M,), numbered by these."""
    return np.asarray(np.searchsorted(places, tuples[np.isin(tuples, places).all(axis=1)]))


def left_out(unknown: int, contradictory: int, invalid: int) -> str:
    """How many lines are left out, and why; empty if none are."""
    counts = {"of unknown items": unknown, "contradictory": contradictory, "without a value": invalid}
    return ", ".join(f"{count:,} {why}" for why, count in counts.items() if count)


def _told(
    what: str,
    given: Any,
    snapshot: Snapshot,
    rows_of: tuple[Ints, Ints | None, Ints | None],
    masks: tuple[Mask, Mask, Mask],
) -> Told:
    """Number the items from 0, and count the lines; raises `LookalikeError` if none is left to learn from."""
    valid, known, contradictory = masks
    same, apart, triplets = (np.empty((0, 2), np.int64) if one is None else one for one in rows_of)
    rows = np.unique(np.concatenate([same.ravel(), apart.ravel(), triplets.ravel()]))
    told = Told(
        what,
        rows,
        same=np.searchsorted(rows, same),
        apart=np.searchsorted(rows, apart),
        triplets=np.searchsorted(rows, triplets),
        lines=len(valid),
        unknown=int((valid & ~known).sum()),
        invalid=int((~valid).sum()),
        contradictory=int(contradictory.sum()),
    )
    if len(same):
        return told
    if not known.any() and valid.any():
        raise LookalikeError(
            f"none of the {told.lines:,} {what} in {named(given, what)} is of items of {snapshot.name}",
            "the columns have to have the ids of its items",
        )
    kind = "pair of the same thing" if what == "pairs" else "triplet"
    raise LookalikeError(f"{named(given, what)} leaves no {kind}: it has {told}")


def _rows(snapshot: Snapshot, columns: Sequence[Texts], usable: Mask) -> tuple[Ints, Mask, Mask]:
    """The rows (L, n) of ids, -1 for unknown ones; which lines have all values, and know all their items."""
    ids = snapshot.table(["id"])["id"]
    found = [
        np.asarray(pc.fill_null(pc.index_in(pa.array(one, pa.string()), ids), -1), np.int64)
        for one in columns
    ]
    there = [np.array([value is not None for value in one], bool) for one in columns]
    valid = np.asarray(np.logical_and.reduce([usable, *there]), bool)
    rows = np.stack(found, axis=1)
    return rows, valid, np.asarray(valid & (rows >= 0).all(axis=1), bool)


def _also_in(some: Ints, of_some: Mask, others: Ints, of_others: Mask) -> Mask:
    """Which lines of `some` are there among both: those of `of_some`, and `others` of `of_others`."""
    both = {*map(tuple, some[of_some].tolist())} & {*map(tuple, others[of_others].tolist())}
    return np.array([tuple(one) in both for one in some.tolist()], bool)


def _is_id(snapshot: Snapshot) -> Any:
    return lambda name: snapshot.find(name) is not None


def _listed(names: Sequence[str]) -> str:
    return f"{counted(len(names), 'column')}: {', '.join(names)}"
