"""How fast is search, and what does an index cost? Exact search, plain faiss and our index side by side.

    python benchmarks/index.py [--count 100000] [--images FOLDER] [--kinds auto hnsw]

The vectors are embeddings of cropped, mirrored and recoloured pictures (drawn flowers, or those of a
folder), and between near ones of them as many more as it takes, with a little noise. They are kept in
a file. Queries are 200 more that are not in the collection; a time is the median of one query at a time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps

from lookalike.collection import Collection, Manifest, create_collection
from lookalike.drawing import write_flowers
from lookalike.index import KINDS, build_index, open_index
from lookalike.models import load_model
from lookalike.parts import Part, embedding_column

QUERIES, NEIGHBOURS, WANTED_RECALL = 200, 10, 0.95
PART_SIZE = 1024
Search = Callable[[np.ndarray, int], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--images", type=Path, help="a folder of JPEGs (default: 300 drawn flowers)")
    parser.add_argument("--variations", type=int, default=12, help="of each picture that are embedded")
    parser.add_argument(
        "--cache", type=Path, help="where the vectors are kept (default: the temporary folder)"
    )
    parser.add_argument("--kinds", nargs="+", choices=["auto", *KINDS], default=["auto"])
    options = parser.parse_args()
    cache = options.cache or Path(tempfile.gettempdir()) / f"lookalike-vectors-{options.count}.npy"
    if not cache.exists():
        np.save(cache, grown(embedded(options.images, options.variations), options.count + QUERIES))
    every = np.load(cache)
    vectors, queries = every[:-QUERIES], every[-QUERIES:]
    print(f"{len(vectors):,} vectors of {vectors.shape[1]:,}, one query at a time, k = {NEIGHBOURS}")
    print(f"{'':28}{'ms/query':>10}{'recall@10':>11}{'build s':>9}{'MB':>8}")
    truth = [set(row) for row in largest(queries @ vectors.T, NEIGHBOURS).tolist()]
    report("numpy exact", lambda q, k: largest(q @ vectors.T, k), queries, truth, (0, vectors.nbytes))
    plain_faiss(vectors, queries, truth)
    with tempfile.TemporaryDirectory() as folder:
        collection = stored(Path(folder) / "c.lookalike", vectors)
        for kind in options.kinds:
            ours(collection, kind, vectors, queries, truth)


def embedded(images: Path | None, variations: int) -> np.ndarray:
    """Unit vectors of `variations` views of each picture: a crop, perhaps mirrored, in another light."""
    model, rng = load_model(), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as drawn:
        if images is None:
            write_flowers(Path(drawn), count=300)
        paths = sorted(
            path for path in (images or Path(drawn)).rglob("*") if path.suffix in (".jpg", ".jpeg")
        )
        blocks = []
        for path in paths:
            picture = Image.open(path).convert("RGB")
            blocks.append(
                model.embed_pixels(np.stack([view(picture, model.size_px, rng) for _ in range(variations)]))
            )
    return np.concatenate(blocks)


def view(picture: Image.Image, size_px: int, rng: np.random.Generator) -> np.ndarray:
    side = rng.uniform(0.55, 1) * min(picture.size)
    left, top = (rng.uniform(0, length - side) for length in picture.size)
    box = (left, top, left + side, top + side)
    cut = picture.resize((size_px, size_px), Image.Resampling.BICUBIC, box=box)
    if rng.random() < 0.5:
        cut = ImageOps.mirror(cut)
    return np.clip(np.asarray(cut, np.float32) * rng.uniform(0.7, 1.3, 3), 0, 255).astype(np.uint8)


def grown(seeds: np.ndarray, count: int) -> np.ndarray:
    """(count, D): each up to half the way from a seed to one of its ten nearest, and a little beside it."""
    rng, dim = np.random.default_rng(0), seeds.shape[1]
    near = largest(seeds @ seeds.T, 11)[:, 1:]
    vectors = np.empty((count, dim), np.float32)
    for start in range(0, count, 10_000):
        size = min(10_000, count - start)
        first = rng.integers(0, len(seeds), size)
        second = near[first, rng.integers(0, near.shape[1], size)]
        way = rng.uniform(0, 0.5, (size, 1)).astype(np.float32)
        block = seeds[first] * (1 - way) + seeds[second] * way
        block += rng.normal(0, 0.1 / dim**0.5, block.shape).astype(np.float32)
        vectors[start : start + size] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return vectors


def plain_faiss(vectors: np.ndarray, queries: np.ndarray, truth: list[set[int]]) -> None:
    """Flat and HNSW32 as the factory makes them, HNSW with the least efSearch that reaches the recall."""
    for name in ("Flat", "HNSW32"):
        started = time.perf_counter()
        index = faiss.index_factory(vectors.shape[1], name, faiss.METRIC_INNER_PRODUCT)
        index.add(vectors)
        seconds, size = time.perf_counter() - started, len(faiss.serialize_index(index))
        search: Search = lambda q, k, index=index: index.search(q, k)[1]  # noqa: E731
        effort = 16
        while name == "HNSW32" and effort < 2048:
            index.hnsw.efSearch = effort
            if recall_of(search(queries, NEIGHBOURS), truth) >= WANTED_RECALL:
                break
            effort *= 2
        label = f"faiss {name}" + (f", efSearch {effort}" if name == "HNSW32" else "")
        report(label, search, queries, truth, (seconds, size))


def ours(
    collection: Collection, kind: str, vectors: np.ndarray, queries: np.ndarray, truth: list[set[int]]
) -> None:
    """One kind of ours: as it is, then with filters that leave 50, 10, 1 and 0.5 % of the rows."""
    info = build_index(collection, kind, min_recall=WANTED_RECALL)
    started = time.perf_counter()
    index = open_index(collection)
    assert index is not None
    index.search(queries[:1], NEIGHBOURS)
    first_s = time.perf_counter() - started
    name = f"lookalike {kind}" + (f": {info.kind}" if kind == "auto" else "")
    report(name, lambda q, k: index.search(q, k)[1], queries, truth, (info.build_s, info.bytes))
    for share in (0.5, 0.1, 0.01, 0.005):
        mask = np.random.default_rng(1).random(len(vectors)) < share
        rows = np.flatnonzero(mask)
        exact = [set(rows[best].tolist()) for best in largest(queries @ vectors[rows].T, NEIGHBOURS)]
        search: Search = lambda q, k, mask=mask: index.search(q, k, mask)[1]  # noqa: E731
        report(f"    where {share:.1%} match", search, queries, exact)
    print(
        f"    {info.reason}\n    {dict(info.parameters)}, opened and asked once in {first_s:.2f} s",
        flush=True,
    )


def report(
    name: str,
    search: Search,
    queries: np.ndarray,
    truth: list[set[int]],
    cost: tuple[float, int] | None = None,
) -> None:
    times, found = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(search(query[None], NEIGHBOURS)[0])
        times.append(time.perf_counter() - started)
    recall = recall_of(np.array(found), truth)
    text = f"{cost[0]:9.1f}{cost[1] / 1e6:8.0f}" if cost else ""
    print(f"{name:28}{statistics.median(times) * 1e3:10.2f}{recall:11.3f}{text}", flush=True)


def recall_of(found: np.ndarray, truth: list[set[int]]) -> float:
    return float(
        np.mean([len(set(row) & best) / len(best) for row, best in zip(found.tolist(), truth, strict=True)])
    )


def largest(scores: np.ndarray, k: int) -> Any:
    """(Q, k) places of the largest in each row, falling."""
    best = np.argpartition(-scores, k, axis=1)[:, :k]
    return np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1), axis=1)


def stored(root: Path, vectors: np.ndarray) -> Collection:
    """The vectors as a collection, with nothing but ids beside them."""
    root.mkdir()
    collection = create_collection(root, Manifest(load_model().spec))
    for number, start in enumerate(range(0, len(vectors), PART_SIZE)):
        block = vectors[start : start + PART_SIZE]
        ids = pa.array([str(start + row) for row in range(len(block))], pa.string())
        zeros = pa.array([0] * len(block), pa.int64())
        columns = {"id": ids, "uri": ids, "sha256": ids, "label": ids, "size_bytes": zeros, "mtime_ns": zeros}
        columns |= {"width": zeros.cast(pa.int32()), "height": zeros.cast(pa.int32())}
        rows = pa.table({**columns, "embedding": embedding_column(block, "float32")})
        Part(root, number).write(rows, [b""] * len(block))
    return collection


if __name__ == "__main__":
    main()
