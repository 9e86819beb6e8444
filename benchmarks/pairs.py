"""What learning from pairs and triplets is worth: retrieval of kinds of which nothing was said.

    python benchmarks/pairs.py --clothing FOLDER --grocery FOLDER

A third of the kinds is held out. Of the others, `items` says of their pictures two by two that they are the
same, as a shop has two pictures of each item: pictures of a kind that are in two items look alike, and nobody
says that they are the same. `links` says of each picture and two others of its kind that they are the same,
`triplets` of each that one of its kind is more like it than one of another, four times. No kind is named.
Beside what `lookalike.train` chooses stand the raw vectors and single methods. Collections are kept in
--cache.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from machine import machine
from numpy.typing import NDArray

import lookalike
from lookalike.errors import LookalikeError, NoGainError
from lookalike.learning.judging import retrieval
from lookalike.learning.labels import folds_of_classes

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

METHODS = {
    "items": ("whitening", "contrastive", "triplet", "auto"),
    "links": ("whitening", "contrastive", "triplet", "auto"),
    "triplets": ("whitening", "auto"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("clothing", "grocery"):
        parser.add_argument(f"--{name}", metavar="FOLDER", help="pictures, in a folder for each kind")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/lookalike-learning"), metavar="FOLDER")
    options = parser.parse_args()
    print("\n".join(f"{name}: {fact}" for name, fact in machine().items()))
    for name in ("clothing", "grocery"):
        if folder := getattr(options, name):
            measure(lookalike.build(folder, options.cache / f"{name}-0.lookalike", label="folder"), name)


def measure(collection: lookalike.Collection, name: str) -> None:
    """Print a line for each table and method: how early held-out kinds are found among themselves."""
    vectors = collection.embeddings()
    _, classes = np.unique(collection.items(["label"])["label"].to_pylist(), return_inverse=True)
    held_out = folds_of_classes(classes, 3, 0) == 0
    ids, rng = np.array(collection.ids), np.random.default_rng(0)
    told = {
        "items": items(classes, ~held_out, rng),
        "links": others(classes, ~held_out, rng, 2),
        "triplets": triplets(classes, ~held_out, rng),
    }
    print(f"\n## {name}: {held_out.sum():,} pictures of kinds held out\n")
    print("| learned from | method | mAP | P@1 | seconds of a core |\n|---|---|---|---|---|")
    print(f"| | raw | {figures(vectors, classes, held_out)} | |")
    for what, rows in told.items():
        given = {"triplets" if what == "triplets" else "pairs": ids[rows].tolist()}
        for method in METHODS[what]:
            started_s = time.process_time()
            try:
                model = lookalike.train(collection, method=method, **given)
                made, said = model.from_base(vectors), f"{method}: {model.report.method}"
            except NoGainError:
                made, said = vectors, f"{method}: nothing kept"
            except LookalikeError as error:  # of ten kinds, too few are left to hold some out
                print(f"| {len(rows):,} {what} | {error.message} | | | |")
                break
            seconds = time.process_time() - started_s
            print(f"| {len(rows):,} {what} | {said} | {figures(made, classes, held_out)} | {seconds:.1f} |")


def items(classes: Ints, known: NDArray[np.bool_], rng: np.random.Generator) -> Ints:
    """The pictures of each kind two by two, (n, 2)."""
    found = []
    for one in np.unique(classes[known]):
        mine = rng.permutation(np.flatnonzero(classes == one))
        found.append(mine[: len(mine) // 2 * 2].reshape(-1, 2))
    return np.concatenate(found)


def others(classes: Ints, known: NDArray[np.bool_], rng: np.random.Generator, each: int) -> Ints:
    """Each picture `each` times, with another of its kind, (n, 2)."""
    rows = np.repeat(np.flatnonzero(known), each)
    alike = [rng.choice(np.setdiff1d(np.flatnonzero(classes == classes[row]), row)) for row in rows]
    return np.stack([rows, np.array(alike)], axis=1)


def triplets(classes: Ints, known: NDArray[np.bool_], rng: np.random.Generator) -> Ints:
    """Each picture four times, with one of its kind and one of another, (n, 3)."""
    pairs = others(classes, known, rng, 4)
    far = [rng.choice(np.flatnonzero(known & (classes != classes[row]))) for row in pairs[:, 0]]
    return np.concatenate([pairs, np.array(far)[:, None]], axis=1)


def figures(vectors: Floats, classes: Ints, asked: NDArray[np.bool_]) -> str:
    """mAP and precision at 1 of some rows among themselves."""
    rows = np.flatnonzero(asked)
    mean_ap, first = np.nanmean(retrieval(vectors, classes, rows, rows)[:, :2], axis=0)
    return f"{mean_ap:.3f} | {first:.3f}"


if __name__ == "__main__":
    main()
