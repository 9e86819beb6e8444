"""What thumbs are worth: each query is refined in three rounds by marks on the ten best pictures.

    python benchmarks/thumbs.py --clothing FOLDER --grocery FOLDER

A picture searches for others of its kind. In each round the ten best that have no mark yet get one, right or
wrong, and the query is refined by all marks so far. Average precision over all pictures but the query, in the
order of the refined direction alone; and over those that nobody marked.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import lookalike
from lookalike.search.spread import Spread
from lookalike.search.thumbs import WAYS, average_precision, refined

ROUNDS, MARKED, QUERIES = 3, 10, 200


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clothing", type=Path)
    parser.add_argument("--grocery", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("clothing", "grocery"):
            if getattr(options, name) is not None:
                made = lookalike.build(getattr(options, name), f"{folder}/{name}.lookalike")
                _report(name, made)


def _report(name: str, collection: lookalike.Collection) -> None:
    vectors = collection.embeddings()
    _, kinds = np.unique([id_.split("/")[-2] for id_ in collection.ids], return_inverse=True)
    spread = Spread.of(len(vectors), lambda rows: vectors[rows])
    queries = np.random.default_rng(0).permutation(len(vectors))[:QUERIES]
    print(f"{name}: {len(vectors):,} pictures, {kinds.max() + 1} kinds, {len(queries)} queries")
    for way in ("query", "rocchio", "lda", "svm", "chosen"):
        every, rest = zip(*(_one(vectors, kinds, spread, query, way) for query in queries), strict=True)
        unmarked = np.nanmean(rest)
        print(f"  {way:8} average precision {np.mean(every):.3f}, of the unmarked {unmarked:.3f}")


def _one(vectors, kinds, spread, query, way) -> tuple[float, float]:
    """The average precision after all rounds, of all and of the unmarked."""
    right = kinds == kinds[query]
    unmarked = np.arange(len(vectors)) != query
    vector = vectors[query]
    marked = np.empty(0, np.int64)
    for _ in range(ROUNDS):
        scores = np.where(unmarked, vectors @ vector, -2)
        best = np.argsort(-scores, kind="stable")[:MARKED]
        unmarked[best] = False
        marked = np.concatenate([marked, best])
        liked, unliked = vectors[marked[right[marked]]], vectors[marked[~right[marked]]]
        if way == "chosen":
            vector = refined(vectors[query], liked, unliked, spread).vector
        else:
            vector = WAYS[way](vectors[query], liked, unliked, spread)
    scores = vectors @ vector
    others = np.arange(len(vectors)) != query
    every = average_precision(scores[right & others], scores[~right & others])
    left = right & unmarked
    return every, average_precision(scores[left], scores[~right & unmarked]) if left.any() else np.nan


if __name__ == "__main__":
    main()
