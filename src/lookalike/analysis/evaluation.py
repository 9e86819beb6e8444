"""Evaluates a collection by its labels: measures overall and per class, and the worst queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lookalike.analysis.bootstrap import estimates
from lookalike.analysis.judgement import Answer, Class, Confusion, Evaluation, Part, Split, Splits, Worst
from lookalike.analysis.retrieval import Ints, Judged, Mask, Progress, judge, others_alike
from lookalike.checking import checked
from lookalike.errors import LookalikeError, ModelError
from lookalike.search.where import condition_for, matching_rows
from lookalike.storage.columns import column_names
from lookalike.storage.joined import Joined
from lookalike.storage.label_values import label_values, no_labels
from lookalike.storage.selection import Selection
from lookalike.storage.snapshot import Snapshot

# The number of nearest items that a query may be shown with.
_SHOWN = 10
_MOST_SPLITS = 20


@dataclass(frozen=True, slots=True)
class _Labelled:
    """The N items that have a label: `classes` and `groups` are int64 (N,), `labels` the names of classes.

    Those `asked` may be queries, those of the `gallery` are ranked, bool (N,); a model has `learned` from
    some, if that is known.
    """

    snapshot: Snapshot
    selection: Selection | Joined
    ids: list[str]
    labels: list[str]
    classes: Ints
    groups: Ints
    unlabelled: int
    asked: Mask
    gallery: Mask
    learned: Mask | None = None

    def column(self, name: str) -> list[Any]:
        """The values of a column that was read, of the items of one collection."""
        return self.selection.column(name) if isinstance(self.selection, Selection) else []

    def meeting(self, condition: str | None) -> Mask:
        """Which of the items of one collection meet a condition; all without one."""
        if condition is None or not isinstance(self.selection, Selection):
            return np.ones(len(self.ids), bool)
        found = matching_rows(self.snapshot, condition_for(self.snapshot, condition))
        return np.asarray(found[self.selection.rows])


@checked
def evaluate(
    snapshot: Snapshot,
    label: str = "label",
    *,
    gallery: Snapshot | None = None,
    query_where: str | None = None,
    gallery_where: str | None = None,
    seen_where: str | None = None,
    rows: Ints | None = None,
    ks: Sequence[int] = (1, 5, 10),
    voters: int = 5,
    without_duplicates: bool = False,
    max_queries: int | None = None,
    worst: int = 20,
    seed: int = 0,
    max_memory_bytes: int | None = None,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Judge a collection by the labels in one of its columns, using each item as a query once.

    With a `gallery`, another collection of the same model, the items of that are ranked instead. Only items
    that meet the SQL condition `query_where` are queries, and only those that meet `gallery_where` are
    ranked; an item is never its own neighbour. `seen_where` tells from which items the model has learned:
    these are no queries, and queries of their classes and of others are also measured apart.
    `ks` are the numbers of results at which precision and recall are measured. The `voters` nearest vote for
    a class. `without_duplicates` leaves out items with the query's bytes. `max_queries` limits the queries to
    a sample, drawn with `seed`. Holds all vectors in memory, and about 0.5 GB; with `max_memory_bytes`, uses
    at most that beyond the program itself, by reading them repeatedly. Raises `LookalikeError` if labels are
    missing, all the same or all different, a k or the limit is impossible, a condition is invalid or met by
    no labelled item, or a vector has NaN.
    """
    key = "sha256" if without_duplicates else "uri"
    held = _read(snapshot, label, without_duplicates, rows, *([] if gallery is None else [key]))
    held = replace(held, asked=held.meeting(query_where), gallery=held.meeting(gallery_where))
    if seen_where is not None:
        held = replace(held, learned=held.meeting(seen_where))
    if gallery is not None:
        other = _read(gallery, label, without_duplicates, None, key)
        held = _joined(held, other, key, (gallery_where, seen_where))
    if held.learned is not None:
        held = replace(held, asked=held.asked & ~held.learned)
    wishes = _Wishes(
        label=label,
        ks=ks,
        voters=voters,
        without_duplicates=without_duplicates,
        max_queries=max_queries,
        worst=worst,
        seed=seed,
        max_memory_bytes=max_memory_bytes,
        on_progress=on_progress,
    )
    return _evaluated(held, wishes)


@checked
def evaluate_splits(
    snapshot: Snapshot,
    label: str,
    split_column: str,
    *,
    without_duplicates: bool = False,
    rows: Ints | None = None,
    **options: Any,
) -> Splits:
    """Judge a collection once for each value of a column: items with that value ask, all others answer.

    So with `train` and `test`, each asks the other. Items without a value are left out. The options are
    those of `evaluate` but the conditions. Raises `LookalikeError` as it does, and for fewer than 2 or more
    than 20 values.
    """
    held = _read(snapshot, label, without_duplicates, rows, split_column)
    given = held.column(split_column)
    values = np.array(["" if one is None else str(one) for one in given])
    names = [name for name in np.unique(values).tolist() if name]
    if not 2 <= len(names) <= _MOST_SPLITS:
        raise LookalikeError(
            f"the column {split_column} has {len(names):,} values, splits have 2 to {_MOST_SPLITS}",
            "name a column such as train and test, or use `query_where` and `gallery_where`",
        )
    wishes = _Wishes(label=label, without_duplicates=without_duplicates, **options)
    splits = []
    for name in names:
        mine = replace(held, asked=values == name, gallery=(values != name) & (values != ""))
        splits.append(Split(name, _evaluated(mine, wishes)))
    return Splits(snapshot.name, split_column, tuple(splits))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wishes:
    """The options of an evaluation; see `evaluate`."""

    label: str
    ks: Sequence[int] = (1, 5, 10)
    voters: int = 5
    without_duplicates: bool = False
    max_queries: int | None = None
    worst: int = 20
    seed: int = 0
    max_memory_bytes: int | None = None
    on_progress: Progress | None = None


def _evaluated(held: _Labelled, wishes: _Wishes) -> Evaluation:
    """Judge the items by the wishes; raises as `evaluate`."""
    _check(held, wishes.ks, wishes.voters)
    right = others_alike(held.classes, held.groups, held.gallery)
    askable = np.flatnonzero((right > 0) & held.asked)
    if not len(askable):
        raise LookalikeError(
            f"no query has a right answer: its class in the column {wishes.label} has no other item to find",
            "use broader labels, or conditions that more items meet",
        )
    queries = _sampled(askable, wishes.max_queries, wishes.seed)
    judged = judge(
        held.selection,
        held.classes,
        held.groups,
        queries,
        ks=wishes.ks,
        voters=wishes.voters,
        gallery=held.gallery,
        max_memory_bytes=wishes.max_memory_bytes,
        on_progress=wishes.on_progress,
    )
    classes = _per_class(judged, held, wishes.seed)
    seen = None if held.learned is None else np.isin(held.classes[queries], held.classes[held.learned])
    return Evaluation(
        name=held.snapshot.name,
        model=held.snapshot.manifest.model.name,
        dim=held.snapshot.manifest.model.dim,
        items=len(held.ids),
        queries=len(queries),
        unlabelled=held.unlabelled,
        singles=int(held.asked.sum()) - len(askable),
        voters=wishes.voters,
        without_duplicates=wishes.without_duplicates,
        overall=dict(zip(judged.names, estimates(judged.values, wishes.seed), strict=True)),
        per_class_mean={
            name: float(np.mean([one.measures[name].value for one in classes])) for name in judged.names
        },
        classes=classes,
        confusions=_confusions(judged, held),
        worst=_worst(judged, held, wishes.worst),
        gallery=int(held.gallery.sum()),
        seen=None if seen is None else _part(judged, held, seen, wishes.seed),
        unseen=None if seen is None else _part(judged, held, ~seen, wishes.seed),
    )


def _read(
    snapshot: Snapshot, label: str, without_duplicates: bool, rows: Ints | None, *more: str
) -> _Labelled:
    """The items that have a label, and `more` columns of them; their vectors are read later."""
    columns = ("id", label, *more, *(["sha256"] if without_duplicates else []))
    selection = Selection.of(snapshot, columns, rows=rows, least=0 if rows is None else 1)
    missing = [name for name in more if name not in selection.items.column_names]
    if len(snapshot) and missing:
        raise LookalikeError(
            f"{snapshot.root} has no column {missing[0]}", f"it has: {column_names(snapshot.schema)}"
        )
    values = label_values(snapshot, label, rows)
    kept = np.array([row for row, value in enumerate(values) if value is not None], np.int64)
    if not len(kept):
        raise no_labels(snapshot, label)
    labels, classes = np.unique(np.array([str(values[row]) for row in kept]), return_inverse=True)
    selection = selection.only(kept)
    groups = np.arange(len(selection))
    if without_duplicates:  # vectors made elsewhere have no checksum, and no known copies
        own = [sha256 or f"row {row}" for row, sha256 in enumerate(selection.column("sha256"))]
        groups = np.unique(np.array(own), return_inverse=True)[1]
    every = np.ones(len(kept), bool)
    unlabelled = len(values) - len(kept)
    return _Labelled(
        snapshot, selection, selection.ids, labels.tolist(), classes, groups, unlabelled, every, every
    )


def _joined(
    queries: _Labelled, gallery: _Labelled, key: str, conditions: tuple[str | None, str | None]
) -> _Labelled:
    """The items of two collections as one: the first asks, the second is ranked.

    Items with an equal `key`, a column, are copies.
    """
    one, other = queries.snapshot, gallery.snapshot
    if one.manifest.model != other.manifest.model:
        raise ModelError(
            f"{one.root} and {other.root} have vectors of different models, "
            f"{one.manifest.model.name} and {other.manifest.model.name}",
            "build both with one model",
        )
    assert isinstance(queries.selection, Selection) and isinstance(gallery.selection, Selection)
    # The same file in both is itself; vectors made elsewhere have no address, only a name.
    numbers: dict[str, int] = {}
    keys = enumerate([*queries.column(key), *gallery.column(key)])
    own = (f"row {row}" if one is None or one.startswith("vectors:") else one for row, one in keys)
    groups = np.array([numbers.setdefault(one, len(numbers)) for one in own])
    names = [*(queries.labels[at] for at in queries.classes), *(gallery.labels[at] for at in gallery.classes)]
    labels, classes = np.unique(np.array(names), return_inverse=True)
    none, every = np.zeros(len(queries.ids), bool), np.ones(len(gallery.ids), bool)
    learned = queries.learned
    return _Labelled(
        one,
        Joined(queries.selection, gallery.selection),
        [*queries.ids, *gallery.ids],
        labels.tolist(),
        classes,
        groups,
        queries.unlabelled + gallery.unlabelled,
        np.concatenate([queries.asked, ~every]),
        np.concatenate([none, gallery.meeting(conditions[0])]),
        None if learned is None else np.concatenate([learned, gallery.meeting(conditions[1])]),
    )


def _check(held: _Labelled, ks: Sequence[int], voters: int) -> None:
    """Raise `LookalikeError` if nothing can be measured: one class, nobody to ask, or too few to find."""
    if len(held.labels) == 1:
        raise LookalikeError(
            f"all {len(held.ids):,} items have the label {held.labels[0]!r}, so every answer would be right",
            "evaluation needs at least two classes",
        )
    for what, met in (("queries", held.asked), ("gallery", held.gallery)):
        if not met.any():
            raise LookalikeError(
                f"no labelled item can be in the {what}", "use conditions that more items meet"
            )
    copies = np.bincount(held.groups, weights=held.gallery)[held.groups[held.asked]]
    least = int(held.gallery.sum() - copies.max())
    for k in (*ks, voters):
        if not 1 <= k <= least:
            raise LookalikeError(
                f"k is {k}, but a query has only {least:,} other labelled items to find",
                "use smaller `ks` and `voters`",
            )


def _sampled(rows: Ints, most: int | None, seed: int) -> Ints:
    if most is None or most >= len(rows):
        return rows
    if most < 1:
        raise LookalikeError(f"the number of queries is {most}, but must be at least 1")
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _part(judged: Judged, held: _Labelled, chosen: Mask, seed: int) -> Part | None:
    if not chosen.any():
        return None
    measured = dict(zip(judged.names, estimates(judged.values[chosen], seed), strict=True))
    return Part(int(chosen.sum()), len(np.unique(held.classes[judged.rows[chosen]])), measured)


def _per_class(judged: Judged, held: _Labelled, seed: int) -> tuple[Class, ...]:
    """Each class that has a query, sorted by label."""
    asked, sizes = held.classes[judged.rows], np.bincount(held.classes)
    found = []
    for number in np.unique(asked).tolist():
        values = judged.values[asked == number]
        measured = dict(zip(judged.names, estimates(values, seed), strict=True))
        found.append(Class(held.labels[number], int(sizes[number]), len(values), measured))
    return tuple(found)


def _confusions(judged: Judged, held: _Labelled) -> tuple[Confusion, ...]:
    """How often each class is taken for each, itself included, the commonest first."""
    pairs = Counter(zip(held.classes[judged.rows].tolist(), judged.predicted.tolist(), strict=True))
    return tuple(
        Confusion(held.labels[true], held.labels[taken], count)
        for (true, taken), count in sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    )


def _worst(judged: Judged, held: _Labelled, most: int) -> tuple[Worst, ...]:
    """The queries with the lowest MAP@R; among equals, those most similar to their nearest come first."""
    quality = judged.values[:, judged.names.index("map@r")]
    order = np.lexsort((-judged.scores[:, 0], quality))[:most]
    return tuple(
        Worst(
            held.ids[judged.rows[at]],
            held.labels[held.classes[judged.rows[at]]],
            float(quality[at]),
            tuple(
                Answer(held.ids[row], held.labels[held.classes[row]], float(score))
                for row, score in zip(judged.neighbours[at, :_SHOWN], judged.scores[at, :_SHOWN], strict=True)
            ),
        )
        for at in order.tolist()
    )
