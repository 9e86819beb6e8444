"""How long do k-means, all neighbours, duplicates and an evaluation take, compared with the alternatives?

    python benchmarks/analysis.py [--count 100000] [--dim 1280] [--max-memory 1GB] [--imagededup PYTHON]
                                  [--only kmeans neighbours evaluation duplicates]

The vectors are synthetic: unit vectors around 300 directions, with the direction as the label. Ours read them
from a collection; the others have them in memory. Inertia is that of the groups around their means. The
rival of the evaluation is a loop of one product and one sort for each query, timed on some queries and
extrapolated; both compute precision@10, R-precision and MAP@R of the same.

The pictures for duplicates are crops of drawn flowers at 160 px. A tenth of them has a copy, saved in another
quality. `--imagededup` is the Python of an environment with imagededup, whose PHash reads the same files.
Precision and recall count the pairs of a picture and its copy. Crops of one flower overlap, so neither side
is asked for crops: ours runs as `lookalike duplicates --tiers bytes,pixels,copy` does. Its time includes
building the collection, in its own process, because the other has to read the pictures too.

Each step runs in its own process, so that peaks of memory do not mix. `--max-memory` for ours does not
count the program itself, and neither do the figures printed for ours: the same work first runs on few
vectors, which shows what the program itself takes.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import lookalike
from lookalike.analysis.neighbours import Neighbours
from lookalike.analysis.tiers import DUPLICATES
from lookalike.cli.arguments import size
from lookalike.collection import open_collection
from lookalike.demo.flowers import SPECIES, draw_flower
from lookalike.storage.derived import read_derived

DIRECTIONS, GROUPS, NEIGHBOURS = 300, 100, 10
LOOPED, ASKED = 100, 1000  # timed queries of the rivals
SMALL = 1000  # vectors of the run that shows what the program itself takes
VIEWS, SIDE_PX, COPIED = 40, 160, 10  # crops of each flower, their size; one in so many has a copy

_PHASH = """
import json, sys
from imagededup.methods import PHash
hasher = PHash(verbose=False)
codes = hasher.encode_images(image_dir=sys.argv[1])
found = hasher.find_duplicates(encoding_map=codes, max_distance_threshold=4)
print(json.dumps([[a, b] for a, near in found.items() for b in near if a < b]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--max-memory", type=size, default=10**9, metavar="SIZE")
    parser.add_argument("--imagededup", help="the Python of an environment with imagededup")
    parser.add_argument("--only", nargs="+", choices=RIVALS, default=list(RIVALS))
    parser.add_argument("--step", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        name, folder = options.step
        print(json.dumps(STEPS[name](Path(folder), options)), flush=True)
        return
    print(f"{options.count:,} of {options.dim:,}, --max-memory {options.max_memory / 1e6:,.0f} MB")
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        if set(options.only) - {"duplicates"}:
            vectors, labels = made(options.count, options.dim)
            np.savez(folder / "made.npz", vectors=vectors, labels=labels)
            store(folder / "c.lookalike", vectors, labels)
            store(folder / "small.lookalike", vectors[:SMALL], labels[:SMALL])
            del vectors
        if "duplicates" in options.only:
            write_pictures(folder / "pictures", options.count)
        for name in options.only:
            ours = step(name, folder, options)
            report(name, ours, ours["memory_mb"] - ours["program_mb"])
            if RIVALS[name] != "phash":
                theirs = step(RIVALS[name], folder, options)
                report(f"  {RIVALS[name]}", theirs, theirs["memory_mb"], theirs["seconds"] / ours["seconds"])
            elif options.imagededup:
                theirs = phash(folder / "pictures", options.imagededup)
                report("  imagededup PHash", theirs, theirs["memory_mb"], theirs["seconds"] / ours["seconds"])


def made(count: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, DIRECTIONS, count)
    vectors = rng.normal(size=(DIRECTIONS, dim)).astype(np.float32)[labels]
    for start in range(0, count, 10_000):  # so that memory use stays constant
        block = vectors[start : start + 10_000]
        block += rng.normal(0, 1.5, block.shape).astype(np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return vectors, labels


def store(path: Path, vectors: np.ndarray, labels: np.ndarray) -> None:
    names = [f"{row:07d}" for row in range(len(vectors))]
    lookalike.from_vectors(path, vectors, names, columns={"label": [str(one) for one in labels]})


def write_pictures(folder: Path, count: int) -> None:
    """Write `count` pictures, N-a.jpg; an N-b.jpg is a copy of N-a.jpg."""
    folder.mkdir()
    rng, written, species = np.random.default_rng(0), 0, list(SPECIES)
    for flower in range(count):
        image = draw_flower(species[flower % len(species)], flower)
        for view in range(VIEWS):
            if written >= count:
                return
            side = rng.uniform(0.45, 0.75) * min(image.size)
            left, top = (rng.uniform(0, length - side) for length in image.size)
            cut = image.resize((SIDE_PX, SIDE_PX), box=(left, top, left + side, top + side))
            cut = cut.rotate(90 * int(rng.integers(4)))
            cut.save(folder / f"{flower}-{view}-a.jpg", quality=90)
            written += 1
            if view % COPIED == 0 and written < count:
                cut.save(folder / f"{flower}-{view}-b.jpg", quality=60)
                written += 1


def step(name: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run a step in its own process."""
    wishes = ["--count", options.count, "--dim", options.dim, "--max-memory", options.max_memory]
    command = [sys.executable, __file__, *map(str, wishes), "--step", name, str(folder)]
    asked = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(asked.stdout.splitlines()[-1])
    return found


def phash(pictures: Path, python: str) -> dict[str, Any]:
    """Run imagededup's PHash as a whole process; its peak is that of its largest process."""
    command = ["/usr/bin/env", "time", "-v", python, "-c", _PHASH, str(pictures)]
    started = time.perf_counter()
    asked = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    peak = re.search(r"Maximum resident set size \(kbytes\): (\d+)", asked.stderr)
    pairs = [(a, b) for a, b in json.loads(asked.stdout.splitlines()[-1])]
    return {
        "seconds": seconds,
        "quality": judged(pairs, pictures),
        "memory_mb": int(peak[1]) / 1e3 if peak else 0,
    }


def kmeans(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    open_collection(folder / "small.lookalike").cluster(10, max_memory_bytes=options.max_memory, write=True)
    program_mb, collection = peak_mb(), open_collection(folder / "c.lookalike")
    seconds, _ = timed(lambda: collection.cluster(GROUPS, max_memory_bytes=options.max_memory, write=True))
    memory_mb = peak_mb()
    groups = read_derived(collection.snapshot.state, "clusters")
    assert groups is not None
    quality = f"inertia {inertia(loaded(folder)[0], groups.rows['cluster'].to_numpy()):.5g}"
    return {"seconds": seconds, "quality": quality, "memory_mb": memory_mb, "program_mb": program_mb}


def sklearn_kmeans(folder: Path, _: argparse.Namespace) -> dict[str, Any]:
    from sklearn.cluster import KMeans

    vectors, _ = loaded(folder)
    seconds, fitted = timed(lambda: KMeans(GROUPS, n_init=1, random_state=0).fit(vectors))
    return {"seconds": seconds, "quality": f"inertia {fitted.inertia_:.5g}", "memory_mb": peak_mb()}


def neighbours(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    def near(name: str) -> Neighbours:
        return open_collection(folder / name).neighbors(NEIGHBOURS, max_memory_bytes=options.max_memory)

    near("small.lookalike")
    program_mb = peak_mb()
    seconds, found = timed(lambda: near("c.lookalike"))
    memory_mb = peak_mb()
    vectors, _ = loaded(folder)
    shares = []
    for query in sampled(len(vectors), ASKED):
        cosines = vectors @ vectors[query]
        cosines[query] = -1
        true = np.argpartition(-cosines, NEIGHBOURS)[:NEIGHBOURS]
        shares.append(np.isin(found.rows[query], true).mean())
    quality = f"recall {np.mean(shares):.3f}"
    return {"seconds": seconds, "quality": quality, "memory_mb": memory_mb, "program_mb": program_mb}


def sklearn_brute(folder: Path, _: argparse.Namespace) -> dict[str, Any]:
    from sklearn.neighbors import NearestNeighbors

    vectors, _ = loaded(folder)
    asked = sampled(len(vectors), ASKED)
    exact = NearestNeighbors(n_neighbors=NEIGHBOURS + 1, metric="cosine", algorithm="brute").fit(vectors)
    seconds, _ = timed(lambda: exact.kneighbors(vectors[asked], return_distance=False))
    quality = f"recall 1, from {len(asked):,} queries"
    return {"seconds": seconds * len(vectors) / len(asked), "quality": quality, "memory_mb": peak_mb()}


def evaluation(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    limit = options.max_memory
    open_collection(folder / "small.lookalike").evaluate(ks=(10,), max_memory_bytes=limit)
    program_mb, collection = peak_mb(), open_collection(folder / "c.lookalike")
    seconds, judged = timed(lambda: collection.evaluate(ks=(10,), max_memory_bytes=limit))
    names = ("precision@10", "r_precision", "map@r")
    quality = ", ".join(f"{name} {judged.overall[name].value:.3f}" for name in names)
    return {"seconds": seconds, "quality": quality, "memory_mb": peak_mb(), "program_mb": program_mb}


def numpy_loop(folder: Path, _: argparse.Namespace) -> dict[str, Any]:
    vectors, labels = loaded(folder)
    asked = sampled(len(vectors), LOOPED)
    seconds, values = timed(lambda: np.array([looped(vectors, labels, query) for query in asked]))
    means = values.mean(axis=0)
    quality = f"precision@10 {means[0]:.3f}, r_precision {means[1]:.3f}, map@r {means[2]:.3f}"
    return {"seconds": seconds * len(vectors) / len(asked), "quality": quality, "memory_mb": peak_mb()}


def looped(vectors: np.ndarray, labels: np.ndarray, query: int) -> tuple[float, float, float]:
    """Precision@10, R-precision and MAP@R of one query, written as anyone would."""
    scores = vectors @ vectors[query]
    scores[query] = -np.inf
    relevant = (labels[np.argsort(-scores)] == labels[query])[:-1]
    right = int(relevant.sum())
    precision = np.cumsum(relevant[:right]) / np.arange(1, right + 1)
    return relevant[:10].mean(), precision[-1], float((precision * relevant[:right]).sum() / right)


def duplicates(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    def copies(collection: lookalike.Collection) -> Any:
        return collection.duplicates(max_memory_bytes=options.max_memory)

    some = folder / "some"
    some.mkdir()
    for path in sorted((folder / "pictures").iterdir())[:100]:
        (some / path.name).write_bytes(path.read_bytes())
    copies(lookalike.build(some, folder / "some.lookalike"))
    program_mb = peak_mb()
    build = [sys.executable, "-m", "lookalike", "build", folder / "pictures", "-c", folder / "p.lookalike"]
    built_s, _ = timed(lambda: subprocess.run(build, check=True, capture_output=True))
    collection = open_collection(folder / "p.lookalike")
    found_s, found = timed(lambda: copies(collection))
    ids = [item["id"] for item in found.items]
    pairs = [(ids[a], ids[b]) for a, b in (one.rows for one in found.pairs if one.tier in DUPLICATES)]
    quality = f"{judged(pairs, folder / 'pictures')}; {built_s:.0f} s are the build"
    memory_mb = peak_mb()
    return {
        "seconds": built_s + found_s,
        "quality": quality,
        "memory_mb": memory_mb,
        "program_mb": program_mb,
    }


def judged(pairs: list[tuple[str, str]], pictures: Path) -> str:
    """Precision and recall of pairs of names."""
    right = sum(a[: -len("a.jpg")] == b[: -len("a.jpg")] for a, b in pairs)
    copies = sum(path.name.endswith("-b.jpg") for path in pictures.iterdir())
    return f"precision {right / max(1, len(pairs)):.3f}, recall {right / max(1, copies):.3f}"


def inertia(vectors: np.ndarray, groups: np.ndarray) -> float:
    """The sum of squared distances to the mean of each group; the vectors have unit length."""
    total = float(len(vectors))
    for group in np.unique(groups):
        mine = vectors[groups == group]
        total -= len(mine) * float((mine.mean(axis=0, dtype=np.float64) ** 2).sum())
    return total


def loaded(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(folder / "made.npz") as arrays:
        return arrays["vectors"], arrays["labels"]


def sampled(count: int, most: int) -> list[int]:
    chosen: list[int] = np.random.default_rng(1).choice(count, min(most, count), replace=False).tolist()
    return chosen


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def peak_mb() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024 / 1e6


def report(name: str, found: dict[str, Any], memory_mb: float, times: float | None = None) -> None:
    faster = f"{times:6.1f} times as long" if times else ""
    print(
        f"{name:20}{found['seconds']:9.1f} s  {found['quality']:60}{memory_mb:7,.0f} MB{faster}", flush=True
    )


STEPS = {
    step.__name__: step
    for step in (kmeans, sklearn_kmeans, neighbours, sklearn_brute, evaluation, numpy_loop, duplicates)
}
RIVALS = {
    "kmeans": "sklearn_kmeans",
    "neighbours": "sklearn_brute",
    "evaluation": "numpy_loop",
    "duplicates": "phash",
}


if __name__ == "__main__":
    main()
