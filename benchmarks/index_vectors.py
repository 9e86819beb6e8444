"""Vectors for benchmarks/index.py: embeddings of cropped, mirrored and recoloured pictures, cached in a file.

    python benchmarks/index_vectors.py --count 1000000 --images FOLDER --cache FOLDER

Each picture is embedded in several views; more vectors are interpolated between neighbours among them, with a
little noise. The queries are views of the same pictures that are not among the vectors.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

QUERIES, BLOCK = 200, 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--images", type=Path, help="a folder of JPEGs (default: 300 drawn flowers)")
    parser.add_argument(
        "--views", type=int, default=30_000, help="how many are really embedded, of all pictures"
    )
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "lookalike-bench")


def vector_files(options: argparse.Namespace) -> tuple[Path, Path]:
    """Paths of the vectors (N, D) and the queries (200, D), both float32 .npy; made if missing."""
    vectors_path = options.cache / f"vectors-{options.count}.npy"
    seeds = embedded_views(options.cache, options.images, options.views)
    if not vectors_path.exists():
        unfinished = vectors_path.with_suffix(".unfinished")
        grow(seeds, options.count, unfinished)
        unfinished.rename(vectors_path)
    return vectors_path, options.cache / "queries.npy"


def embedded_views(cache: Path, images: Path | None, views: int) -> np.ndarray:
    """Unit vectors (views, D) of views of the pictures; cached, together with the queries."""
    seeds_path = cache / f"views-{views}.npy"
    if not seeds_path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        vectors = embedded(images, views + QUERIES)
        np.save(cache / "queries.npy", vectors[:QUERIES])
        np.save(seeds_path, vectors[QUERIES:])
    return np.asarray(np.load(seeds_path))


def embedded(images: Path | None, count: int) -> np.ndarray:
    """Unit vectors (count, D) of views of the pictures, in random order."""
    # Imported here, so that a run with cached views does not need the library.
    from lookalike import load_model
    from lookalike.demo.flowers import write_flowers

    model, rng = load_model(), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as drawn:
        if images is None:
            write_flowers(Path(drawn), count=300)
        paths = sorted(
            path for path in (images or Path(drawn)).rglob("*") if path.suffix in (".jpg", ".jpeg")
        )
        shares = np.full(len(paths), count // len(paths)) + (np.arange(len(paths)) < count % len(paths))

        def embed(path: Path, share: int, seed: int) -> np.ndarray:
            picture, own = Image.open(path).convert("RGB"), np.random.default_rng(seed)
            views = [view(picture, model.size_px, own) for _ in range(share)]
            return np.concatenate(
                [model.embed_pixels(np.stack(views[i : i + 8])) for i in range(0, share, 8)]
            )

        with ThreadPoolExecutor(2) as pool:
            blocks = list(pool.map(embed, paths, shares, range(len(paths))))
    return rng.permutation(np.concatenate(blocks))


def view(picture: Image.Image, size_px: int, rng: np.random.Generator) -> np.ndarray:
    """A crop of the picture, sometimes mirrored, in another light."""
    side = rng.uniform(0.55, 1) * min(picture.size)
    left, top = (rng.uniform(0, length - side) for length in picture.size)
    box = (left, top, left + side, top + side)
    cut = picture.resize((size_px, size_px), Image.Resampling.BICUBIC, box=box)
    if rng.random() < 0.5:
        cut = ImageOps.mirror(cut)
    return np.clip(np.asarray(cut, np.float32) * rng.uniform(0.7, 1.3, 3), 0, 255).astype(np.uint8)


def grow(seeds: np.ndarray, count: int, path: Path) -> None:
    """Write (count, D) vectors that lie between the seeds."""
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (count, seeds.shape[1])}
        np.lib.format.write_array_header_1_0(file, header)
        for block in grown(seeds, count, np.random.default_rng(0)):
            file.write(block.tobytes())


def grown(seeds: np.ndarray, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Blocks (n, D): each row is up to halfway from a seed to one of its ten nearest, with some noise."""
    blocks = (seeds[start : start + 1000] @ seeds.T for start in range(0, len(seeds), 1000))
    near, dim = np.concatenate([largest(block, 11)[:, 1:] for block in blocks]), seeds.shape[1]
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        first = rng.integers(0, len(seeds), size)
        second = near[first, rng.integers(0, near.shape[1], size)]
        way = rng.uniform(0, 0.5, (size, 1)).astype(np.float32)
        block = seeds[first] * (1 - way) + seeds[second] * way
        block += rng.standard_normal(block.shape, np.float32) * np.float32(0.1 / dim**0.5)
        yield block / np.linalg.norm(block, axis=1, keepdims=True)


def largest(scores: np.ndarray, k: int) -> Any:
    """The positions (Q, k) of the largest scores in each row, descending."""
    best = np.argpartition(scores, -k, axis=1)[:, -k:]
    return np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1), axis=1)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(arguments)
    vector_files(arguments.parse_args())
