"""How long do k-means, all neighbours and an evaluation take, beside what one would run else?

    python benchmarks/analysis.py [--count 100000] [--dim 1280] [--only kmeans neighbours evaluation]

The vectors are made: unit vectors around 300 directions, the label being the direction. Ours read them from a
collection; the others have them in memory. Inertia is that of the groups around their means. The rival of the
evaluation is a loop of one product and one sort a query, timed on some queries and multiplied; both compute
precision@10, R-precision and MAP@R of the same. Memory is the peak of the process so far.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors

import lookalike
from lookalike.analysis.clusters import cluster
from lookalike.analysis.neighbours import nearest_others
from lookalike.derived import read_derived
from lookalike.pile import Pile

DIRECTIONS, GROUPS, NEIGHBOURS = 300, 100, 10
LOOPED, ASKED = 100, 1000  # queries of the rivals that are timed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=1280)
    parts = {"kmeans": kmeans, "neighbours": neighbours, "evaluation": evaluation}
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    options = parser.parse_args()
    vectors, labels = made(options.count, options.dim)
    print(f"{options.count:,} vectors of {options.dim:,}")
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{row:07d}" for row in range(options.count)]
        columns = {"label": [str(one) for one in labels]}
        collection = lookalike.from_vectors(Path(folder) / "c.lookalike", vectors, names, columns=columns)
        for name in options.only:
            parts[name](collection, vectors, labels)


def made(count: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, DIRECTIONS, count)
    vectors = rng.normal(size=(DIRECTIONS, dim)).astype(np.float32)[labels]
    for start in range(0, count, 10_000):  # so that memory stays flat
        block = vectors[start : start + 10_000]
        block += rng.normal(0, 1.5, block.shape).astype(np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return vectors, labels


def kmeans(collection: lookalike.Collection, vectors: np.ndarray, _: np.ndarray) -> None:
    ours_s, _ = timed(lambda: cluster(collection, GROUPS))
    made_groups = read_derived(collection, "clusters")
    assert made_groups is not None
    ours = inertia(vectors, made_groups.rows["cluster"].to_numpy())
    theirs_s, fitted = timed(lambda: KMeans(GROUPS, n_init=1, random_state=0).fit(vectors))
    report(f"k-means into {GROUPS}", ours_s, f"inertia {ours:.5g}")
    report("  scikit-learn KMeans, n_init=1", theirs_s, f"inertia {fitted.inertia_:.5g}", theirs_s / ours_s)


def neighbours(collection: lookalike.Collection, vectors: np.ndarray, _: np.ndarray) -> None:
    ours_s, found = timed(lambda: nearest_others(Pile.of(collection), NEIGHBOURS))
    asked = np.random.default_rng(1).choice(len(vectors), min(ASKED, len(vectors)), replace=False)
    exact = NearestNeighbors(n_neighbors=NEIGHBOURS + 1, metric="cosine", algorithm="brute").fit(vectors)
    some_s, rows = timed(lambda: exact.kneighbors(vectors[asked], return_distance=False))
    theirs_s = some_s * len(vectors) / len(asked)
    true = [set(row.tolist()) - {query} for query, row in zip(asked.tolist(), rows, strict=True)]
    shares = [
        len(set(found.rows[q].tolist()) & t) / len(t) for q, t in zip(asked.tolist(), true, strict=True)
    ]
    report(f"the {NEIGHBOURS} nearest of all, with the index", ours_s, f"recall {np.mean(shares):.3f}")
    report(f"  scikit-learn brute, from {len(asked):,}", theirs_s, "recall 1", theirs_s / ours_s)


def evaluation(collection: lookalike.Collection, vectors: np.ndarray, labels: np.ndarray) -> None:
    ours_s, judged = timed(lambda: lookalike.evaluate(collection, ks=(10,)))
    asked = np.random.default_rng(1).choice(len(vectors), min(LOOPED, len(vectors)), replace=False)
    some_s, values = timed(lambda: np.array([looped(vectors, labels, query) for query in asked.tolist()]))
    theirs_s = some_s * judged.queries / len(asked)
    names = ("precision@10", "r_precision", "map@r")
    report(
        "evaluation, every item a query",
        ours_s,
        ", ".join(f"{name} {judged.overall[name].value:.3f}" for name in names),
    )
    means = ", ".join(f"{name} {value:.3f}" for name, value in zip(names, values.mean(axis=0), strict=True))
    report(f"  a numpy loop, from {len(asked)}", theirs_s, means, theirs_s / ours_s)


def looped(vectors: np.ndarray, labels: np.ndarray, query: int) -> tuple[float, float, float]:
    """Precision@10, R-precision and MAP@R of one query, as one would write them down."""
    scores = vectors @ vectors[query]
    scores[query] = -np.inf
    relevant = (labels[np.argsort(-scores)] == labels[query])[:-1]
    right = int(relevant.sum())
    precision = np.cumsum(relevant[:right]) / np.arange(1, right + 1)
    return relevant[:10].mean(), precision[-1], float((precision * relevant[:right]).sum() / right)


def inertia(vectors: np.ndarray, groups: np.ndarray) -> float:
    """The sum of squared distances to the mean of each group; the vectors have unit length."""
    total = float(len(vectors))
    for group in np.unique(groups):
        mine = vectors[groups == group]
        total -= len(mine) * float((mine.mean(axis=0, dtype=np.float64) ** 2).sum())
    return total


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def report(name: str, seconds: float, quality: str, times: float | None = None) -> None:
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    faster = f"{times:6.1f} times as long" if times else ""
    print(f"{name:40}{seconds:9.1f} s  {quality:60}{memory_mb:7,.0f} MB{faster}", flush=True)


if __name__ == "__main__":
    main()
