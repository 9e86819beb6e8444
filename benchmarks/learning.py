"""What learning from labels on stored vectors is worth: retrieval by pictures that nothing was learned from.

    python benchmarks/learning.py --flowers FOLDER --clothing FOLDER [TEST] --grocery FOLDER [TEST]

A folder alone is divided: of each class, a run of neighbouring pictures (a fifth, or half) is held out and
asks. With a second folder, of the same classes, all is learned from the first, and the second asks. The table
says where the answers were looked for. One division is luck: with `--divisions 10` the figures are means, and
the standard deviation over the divisions stands beside mAP. Beside what `lookalike.train` chooses stand the
raw vectors and the plain closed forms, each with one shrinkage for all data sets. Collections are kept in
--cache.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import machine
from numpy.typing import NDArray

import lookalike
from lookalike.errors import NoGainError
from lookalike.learning.discriminant import Basis, Recipe, branches
from lookalike.learning.labels import folds_of_classes, folds_of_items
from lookalike.learning.prototypes import sums_of_classes
from lookalike.learning.sums import Sums
from lookalike.models.head_model import apply
from lookalike.models.model import unit

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

LABELS = {"flowers": r"regex:^image_([a-z]+)_", "clothing": "folder", "grocery": "folder"}
CLOSED = {
    "LDA": Recipe((("discriminant", 1.0),), shrinkage=0.3),
    "ridge beside the vector": Recipe((("ridge", 1.0), ("vector", 1.0)), shrinkage=0.3),
    "WCCN": Recipe((("whitening", 1.0),), shrinkage=0.3),
}


@dataclass(frozen=True)
class Task:
    """Rows of a collection: those to `learn` from, those that `ask`, and the `gallery` of answers."""

    name: str
    learn: Ints
    ask: Ints
    gallery: Ints
    where: str
    question: str = "same"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in LABELS:
        parser.add_argument(f"--{name}", nargs="+", metavar="FOLDER", help="pictures, and others that ask")
    parser.add_argument("--divisions", type=int, default=1, metavar="N", help="how often to divide a folder")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/lookalike-learning"), metavar="FOLDER")
    options = parser.parse_args()
    print("\n".join(f"{name}: {fact}" for name, fact in machine().items()))
    for name, rule in LABELS.items():
        folders = getattr(options, name)
        if folders:
            parts = [
                lookalike.build(folder, options.cache / f"{name}-{at}.lookalike", label=rule)
                for at, folder in enumerate(folders)
            ]
            whole = _together(parts, options.cache / f"{name}.lookalike")
            given = len(parts[0]) if len(parts) > 1 else None
            _measure(name, whole, given, options.divisions)


def _together(parts: list[lookalike.Collection], path: Path) -> lookalike.Collection:
    """The vectors and labels of one or two collections as one, the first ones first."""
    if path.exists():
        return lookalike.open(path)
    vectors = np.concatenate([one.embeddings() for one in parts])
    labels = [label for one in parts for label in one.items(["label"])["label"].to_pylist()]
    ids = [f"{at}/{id_}" for at, one in enumerate(parts) for id_ in one.ids]
    return lookalike.from_vectors(path, vectors, ids, columns={"label": labels})


def _measure(name: str, collection: lookalike.Collection, given: int | None, divisions: int) -> None:
    vectors = collection.embeddings()
    labels = collection.items(["label"])["label"].to_pylist()
    names, classes = np.unique(labels, return_inverse=True)
    print(f"\n## {name}: {len(vectors):,} pictures, {len(names)} kinds, {divisions} divisions\n")
    print("| | learned from | gallery | mAP | P@1 | mAP@R | P@5 | of a core |\n" + "|---" * 8 + "|")
    for tasks in zip(*(_tasks(classes, given, seed) for seed in range(divisions)), strict=True):
        _run(tasks, collection, vectors, classes)
    half = folds_of_items(classes, 2, 0)
    _words(collection, vectors, classes, names.tolist(), half == 0)


def _tasks(classes: Ints, given: int | None, seed: int) -> list[Task]:
    """What is asked of one division; `given` rows, if any, are the part to learn from."""
    rows = np.arange(len(classes))
    fifth, half = folds_of_items(classes, 5, seed) == 0, folds_of_items(classes, 2, seed) == 0
    learn, ask = (rows[~fifth], rows[fifth]) if given is None else (rows[:given], rows[given:])
    found = [
        Task(
            "a held-out fifth" if given is None else "the given test part", learn, ask, learn, "learned from"
        ),
        Task("a held-out half", rows[half], rows[~half], rows[~half], "the held-out half"),
    ]
    if classes.max() >= 16:
        unseen = folds_of_classes(classes, 3, seed) == 0
        asked = rows[unseen]
        found.append(Task("unseen kinds", rows[~unseen], asked, asked, "the unseen kinds", "new"))
    return found


def _run(tasks: tuple[Task, ...], collection: lookalike.Collection, vectors: Floats, classes: Ints) -> None:
    """Print what each method finds, on the mean of some divisions of the same task."""
    found: dict[str, list[list[float]]] = {}
    for task in tasks:
        for name, (some, seconds) in _spaces(task, collection, vectors, classes).items():
            found.setdefault(name, []).append([*_figures(some, classes, task), seconds])
    first = tasks[0]
    for name, rows in found.items():
        mean = np.mean(rows, axis=0)
        cells = [f"{one:.3f}" for one in mean[:4]]
        if len(rows) > 1:
            cells[0] += f" ± {np.std(rows, axis=0, ddof=1)[0]:.3f}"
        print(
            f"| {first.name}: {name} | {len(first.learn):,} | {first.where} | {' | '.join(cells)} "
            f"| {mean[4]:.1f} s |",
            flush=True,
        )


def _spaces(
    task: Task, collection: lookalike.Collection, vectors: Floats, classes: Ints
) -> dict[str, tuple[Floats, float]]:
    """All vectors as each method makes them, with the seconds of one core that it takes to learn."""
    made = {"raw": (vectors, 0.0)}
    sums = _sums(vectors[task.learn], classes[task.learn])
    for name, recipe in CLOSED.items():
        started_s = time.process_time()
        made[name] = apply(branches(recipe, Basis.of(sums)), vectors), time.process_time() - started_s
    started_s = time.process_time()
    try:
        model = lookalike.train(collection, label="label", rows=task.learn, for_=task.question)
        some, said = model.from_base(vectors), model.report.method
    except NoGainError as error:
        some, said = vectors, error.message
    print(f"    {task.name}: {said}", file=sys.stderr)
    return {**made, "**train**": (some, time.process_time() - started_s)}


def _sums(vectors: Floats, classes: Ints) -> Sums:
    count = int(classes.max()) + 1
    sums = sums_of_classes(vectors, classes, count).astype(np.float64)
    return Sums(
        np.bincount(classes, minlength=count).astype(np.float64), sums, (vectors.T @ vectors).astype(float)
    )


def _figures(vectors: Floats, classes: Ints, task: Task) -> list[float]:
    """mAP, P@1, mAP@R and P@5, by a plain loop over the queries."""
    found = []
    for query in task.ask.tolist():
        others = task.gallery[task.gallery != query]
        right = (classes[others] == classes[query])[
            np.argsort(-(vectors[others] @ vectors[query]), kind="stable")
        ]
        total = int(right.sum())
        if total:
            precision = right.cumsum() / np.arange(1, len(right) + 1) * right
            found.append(
                (precision.sum() / total, right[0], precision[:total].sum() / total, right[:5].mean())
            )
    return [float(one) for one in np.mean(found, axis=0)]


def _words(
    collection: lookalike.Collection,
    vectors: Floats,
    classes: Ints,
    names: list[str],
    learned: NDArray[np.bool_],
) -> None:
    """P@10 of each label as a word, learned from half of its pictures, among the other half."""
    others, rows = np.flatnonzero(~learned), np.flatnonzero(learned)
    means = unit(sums_of_classes(vectors[rows], classes[rows], len(names)))
    known = {"raw, the mean of a label": (vectors, means)}
    try:
        model = lookalike.train(collection, label="label", rows=rows)
        known["**train, its own words**"] = model.from_base(vectors), model.words.vectors
    except NoGainError as error:
        print(error.message)
    for name, (some, words) in known.items():
        best = others[np.argsort(-(words @ some[others].T), axis=1, kind="stable")[:, :10]]
        of = np.bincount(classes[others], minlength=len(names))
        kept = of > 0
        right = (classes[best] == np.arange(len(names))[:, None]).sum(axis=1)
        share = (right / 10)[kept].mean()
        possible = (right[kept] / np.minimum(of[kept], 10)).mean()
        print(f"\nwords, {name}: P@10 {share:.3f}; of as many as there are, {possible:.3f}", flush=True)


if __name__ == "__main__":
    main()
