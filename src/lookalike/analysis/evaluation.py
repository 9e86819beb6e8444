"""Evaluates a collection by its labels: measures overall and per class, and the worst queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.analysis.bootstrap import Estimate, estimates
from lookalike.analysis.retrieval import Ints, Judged, Progress, judge, others_alike
from lookalike.checking import checked
from lookalike.errors import LookalikeError
from lookalike.storage.columns import column_names
from lookalike.storage.selection import Selection
from lookalike.storage.snapshot import Snapshot

Measures = Mapping[str, Estimate]
# The number of nearest items that a query may be shown with.
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Class:
    """One class: its label, its numbers of items and queries, and the measures of its queries."""

    label: str
    items: int
    queries: int
    measures: Measures


@dataclass(frozen=True, slots=True)
class Confusion:
    """`count` items of the class `label` whose nearest vote for the class `predicted`."""

    label: str
    predicted: str
    count: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One item that was found: its id, its label and its cosine."""

    id: str
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Worst:
    """A query that went wrong: its id, label and MAP@R, and the items found, the nearest first."""

    id: str
    label: str
    map_at_r: float
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of `evaluate`.

    `overall` is the mean over queries, `per_class_mean` the mean over classes, in which a small class counts
    as much as a large one. `unlabelled` items were left out; `singles` are alone in their class, so they were
    ranked but not used as queries.
    """

    name: str
    model: str
    dim: int
    items: int
    queries: int
    unlabelled: int
    singles: int
    voters: int
    without_duplicates: bool
    overall: Measures
    per_class_mean: Mapping[str, float]
    classes: tuple[Class, ...]
    confusions: tuple[Confusion, ...]
    worst: tuple[Worst, ...]

    def __repr__(self) -> str:
        measures = ", ".join(f"{name} {one.value:.3f}" for name, one in self.overall.items())
        return f"Evaluation({self.name!r}, {self.queries:,} queries: {measures})"


@dataclass(frozen=True, slots=True)
class _Labelled:
    """The N items that have a label: `classes` and `groups` are int64 (N,), `labels` the names of classes."""

    selection: Selection
    ids: list[str]
    labels: list[str]
    classes: Ints
    groups: Ints
    unlabelled: int


@checked
def evaluate(
    snapshot: Snapshot,
    label: str = "label",
    *,
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

    `ks` are the numbers of results at which precision and recall are measured. The `voters` nearest vote for
    a class. `without_duplicates` leaves out items with the query's bytes. `max_queries` limits the queries to
    a sample, drawn with `seed`. Holds all vectors in memory, and about 0.5 GB; with `max_memory_bytes`, uses
    at most that beyond the program itself, by reading them repeatedly. Raises `LookalikeError` if labels are
    missing, all the same or all different, a k or the limit is impossible, or a vector has NaN.
    """
    held = _read(snapshot, label, without_duplicates, rows)
    _check(held, ks, voters)
    right = others_alike(held.classes, held.groups)
    askable = np.flatnonzero(right > 0)
    if not len(askable):
        raise LookalikeError(
            f"no class of the column {label} has two items, so no query has a right answer",
            "use broader labels",
        )
    queries = _sampled(askable, max_queries, seed)
    judged = judge(
        held.selection,
        held.classes,
        held.groups,
        queries,
        ks=ks,
        voters=voters,
        max_memory_bytes=max_memory_bytes,
        on_progress=on_progress,
    )
    classes = _per_class(judged, held, seed)
    return Evaluation(
        name=snapshot.name,
        model=snapshot.manifest.model.name,
        dim=snapshot.manifest.model.dim,
        items=len(held.ids),
        queries=len(queries),
        unlabelled=held.unlabelled,
        singles=len(held.ids) - len(askable),
        voters=voters,
        without_duplicates=without_duplicates,
        overall=dict(zip(judged.names, estimates(judged.values, seed), strict=True)),
        per_class_mean={
            name: float(np.mean([one.measures[name].value for one in classes])) for name in judged.names
        },
        classes=classes,
        confusions=_confusions(judged, held),
        worst=_worst(judged, held, worst),
    )


def _read(snapshot: Snapshot, label: str, without_duplicates: bool, rows: Ints | None) -> _Labelled:
    """The items that have a label; their vectors are read later."""
    columns = ("id", label, *(["sha256"] if without_duplicates else []))
    selection = Selection.of(snapshot, columns, rows=rows, least=0 if rows is None else 1)
    if len(snapshot) and label not in selection.items.column_names:
        raise LookalikeError(
            f"{snapshot.root} has no column {label}", f"it has: {column_names(snapshot.schema)}"
        )
    values = selection.column(label)
    kept = np.array([row for row, value in enumerate(values) if value not in (None, "")], np.int64)
    if not len(kept):
        raise LookalikeError(
            f"no item of {snapshot.root} has a value in the column {label}",
            "add labels when you build: `lookalike.build(source, collection=path, label='folder')`",
        )
    labels, classes = np.unique(np.array([str(values[row]) for row in kept]), return_inverse=True)
    selection = selection.only(kept)
    groups = np.arange(len(selection))
    if without_duplicates:  # vectors made elsewhere have no checksum, and no known copies
        own = [sha256 or f"row {row}" for row, sha256 in enumerate(selection.column("sha256"))]
        groups = np.unique(np.array(own), return_inverse=True)[1]
    return _Labelled(selection, selection.ids, labels.tolist(), classes, groups, len(values) - len(kept))


def _check(held: _Labelled, ks: Sequence[int], voters: int) -> None:
    if len(held.labels) == 1:
        raise LookalikeError(
            f"all {len(held.ids):,} items have the label {held.labels[0]!r}, so every answer would be right",
            "evaluation needs at least two classes",
        )
    for k in (*ks, voters):
        if not 1 <= k < len(held.ids):
            raise LookalikeError(
                f"k is {k}, but each of {len(held.ids):,} labelled items has {len(held.ids) - 1:,} others",
                "use smaller `ks` and `voters`",
            )


def _sampled(rows: Ints, most: int | None, seed: int) -> Ints:
    if most is None or most >= len(rows):
        return rows
    if most < 1:
        raise LookalikeError(f"the number of queries is {most}, but must be at least 1")
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


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
