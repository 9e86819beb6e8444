"""Learns a head on stored vectors from pairs or triplets of items, and keeps it only if it finds more."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError, NoGainError
from lookalike.learning import judging, sums
from lookalike.learning.choice import CLOSED, FOLDS, OF_CLASSES, POWERS, choose, is_better
from lookalike.learning.discriminant import Recipe, branches
from lookalike.learning.pair_folds import HeldPairs, HeldTriplets, held_pairs, held_triplets
from lookalike.learning.pair_report import PairReport
from lookalike.learning.pairs import Told, among, components, read_pairs, read_triplets
from lookalike.learning.report import Change
from lookalike.learning.trained import Trained
from lookalike.models.head_model import Floats, apply
from lookalike.storage.selection import Selection
from lookalike.storage.snapshot import Snapshot

Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]

_MOST_ITEMS, _LEAST_ITEMS, _MOST_OTHERS = 8192, 512, 1024
_COPIES = 10  # of the vectors at a time, while a layer is trained


def train_on_pairs(
    snapshot: Snapshot,
    *,
    pairs: Any = None,
    triplets: Any = None,
    method: str = "auto",
    seed: int = 0,
    max_memory_bytes: int | None = None,
    on_progress: Progress | None = None,
) -> Trained:
    """Learn a head from `pairs` of the same thing, or from `triplets`: see `pairs` for what they mean.

    Either is the path of a Parquet or CSV file of ids, or a table. `method` is `auto`, or one of
    `choice.METHODS` that needs no classes. A quarter of the groups in which items hang together is held out
    to judge it; another model with the same method learns from all, or from a sample of 8,192 items.
    Raises `NoGainError` if held-out items are not found better, `LookalikeError` for tables that teach
    nothing and `MemoryLimitError` for a limit that is too low.
    """
    started_s = time.monotonic()
    known = ("auto", *(one for one in CLOSED if one not in OF_CLASSES), "triplet")
    known = known if pairs is None else (*known, "contrastive")
    if method not in known:
        raise LookalikeError(
            f"unknown method {method!r} of pairs and triplets", f"known are: {', '.join(known)}"
        )
    told = read_triplets(snapshot, triplets) if pairs is None else read_pairs(snapshot, pairs)
    learned, others = _chosen(snapshot, told, max_memory_bytes, seed)
    items = Selection.of(snapshot, ("id",), rows=learned.rows, least=0)
    vectors = items.take(np.arange(len(items)))
    if on_progress:
        on_progress(len(items), len(items))
    held: HeldPairs | HeldTriplets
    if pairs is None:
        held, others = held_triplets(learned, vectors, seed), others[:0]
    else:
        held = held_pairs(learned, np.concatenate([vectors, snapshot.vectors(others)]), seed)
    recipe, tried = choose(held, method)
    report = _report(told, learned, held, recipe, tried=tried, started_s=started_s)
    if recipe is None or not report.kept:
        raise _no_gain(report)
    made = branches(recipe, held.basis(recipe.power, ()))
    return Trained(snapshot.manifest.model, made, report, snapshot.manifest.model_path)


def _chosen(snapshot: Snapshot, told: Told, limit: int | None, seed: int) -> tuple[Told, Ints]:
    """What there is memory for: all that was told, or some groups of it; and the rows of other items."""
    dim = snapshot.dim
    # The vectors, and the sums of their groups, two items in each at least.
    item_bytes = 4 * dim * _COPIES + 4 * dim * FOLDS * len(POWERS)
    others = np.setdiff1d(np.arange(len(snapshot)), told.rows)
    random = np.random.default_rng(seed)
    if len(others) > _MOST_OTHERS:
        others = np.sort(random.choice(others, _MOST_OTHERS, replace=False))
    need = sums.need_bytes(dim, 1, FOLDS, len(POWERS)) + judging.need_bytes(
        _MOST_OTHERS + len(told.rows) // FOLDS
    )
    least = min(_LEAST_ITEMS, len(told.rows))
    selection = Selection.of(snapshot, ("id",), rows=told.rows, least=0)
    room = selection.room(limit, need + (least + len(others)) * item_bytes, "learning")
    count = _MOST_ITEMS if room is None else min(_MOST_ITEMS, least + room // item_bytes)
    if count >= len(told.rows):
        return told, others
    links = np.concatenate([told.same, told.triplets[:, :2]])
    groups = components(len(told.rows), links)
    if np.bincount(groups).max() > count:
        groups = np.arange(len(groups))
    order = random.permutation(int(groups.max()) + 1)
    kept = order[np.bincount(groups)[order].cumsum() <= count]
    places = np.flatnonzero(np.isin(groups, kept))
    return _only(told, places), others


def _only(told: Told, places: Ints) -> Told:
    """What was told of some of the items alone."""
    return replace(
        told,
        rows=told.rows[places],
        same=among(places, told.same),
        apart=among(places, told.apart),
        triplets=among(places, told.triplets),
    )


def _report(
    told: Told,
    learned: Told,
    held: HeldPairs | HeldTriplets,
    recipe: Recipe | None,
    *,
    tried: list[tuple[str, float]],
    started_s: float,
) -> PairReport:
    """What a recipe is worth on the groups of the last fold, which it has not learned from."""
    last = FOLDS - 1
    judged: Floats = held.vectors
    if recipe is not None:
        judged = apply(branches(recipe, held.basis(recipe.power, (last,))), held.vectors)
    before, after = held.judge(held.vectors, last), held.judge(judged, last)
    main, first = (Change.between(before[:, column], after[:, column]) for column in (0, 1))
    is_pairs = isinstance(held, HeldPairs)
    return PairReport(
        what=told.what,
        method=str(recipe) if recipe else "",
        kept=recipe is not None and is_better(before, after),
        lines=told.lines,
        unknown=told.unknown,
        invalid=told.invalid,
        contradictory=told.contradictory,
        learned=len(learned.same) + len(learned.apart) if is_pairs else len(learned.triplets),
        items=len(learned.rows),
        groups=len(np.unique(held.classes[: len(learned.rows)])),
        others=len(held.vectors) - len(learned.rows),
        queries=int((~np.isnan(before[:, 0])).sum()),
        average_precision=main if is_pairs else None,
        precision_at_1=first if is_pairs else None,
        in_order=None if is_pairs else main,
        tried=tuple(tried),
        seconds=round(time.monotonic() - started_s, 2),
    )


def _no_gain(report: PairReport) -> NoGainError:
    """The error that nothing was kept, with the best that was tried."""
    what = "the share of triplets in order" if report.in_order else "the mAP of their partners"
    change = report.main
    said = (
        f"the best of {len(report.tried)} methods, {report.method}, changes {what} by {change.gain:+.3f}, "
        f"with a standard error of {change.error:.3f}"
        if report.method
        else f"none of {len(report.tried)} methods raises {what}, {change.before:.3f}, by more than its error"
    )
    return NoGainError(
        f"nothing was kept: of items held out, {said}",
        f"keep the old model; more {report.what}, or others, may teach more",
        report,
    )
