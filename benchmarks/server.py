"""How fast does the server answer? Search by id and by picture, thumbnails, and eight clients for a minute.

    python benchmarks/server.py [--count 100000] [--seconds 20] [--keep FOLDER]

The collection has the vectors of benchmarks/index.py, an index, and for each item the thumbnail of a drawn
flower. The server runs in its own process (`lookalike serve`), the clients in this one; they share the
machine's cores, because on a user's own machine they do too. Requests are HTTP/1.1 over persistent
connections. Latency is from the first byte sent to the last byte read; at a given rate it counts from when
the request was due, so that a stall delays all that follow.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from http_load import CLIENTS, cpu_s, figures, get, load_at, load_of, memory_mb, post, serving
from index import PART_SIZE
from index_vectors import vector_files
from PIL import Image

from lookalike.collection import Collection, open_collection
from lookalike.demo.flowers import write_flowers
from lookalike.images.decoding import load
from lookalike.images.thumbnail import thumbnail
from lookalike.index import build_index
from lookalike.models.registry import load_model
from lookalike.storage.manifest import Manifest
from lookalike.storage.parts import Part, embedding_column
from lookalike.storage.writing import create

VIEWS = 3000  # pictures that are really embedded; the other vectors lie between theirs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement (the last: thrice)")
    parser.add_argument("--rate", type=float, default=50, help="searches by id a second")
    parser.add_argument("--keep", type=Path, help="make the collection here, or use the one that is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        collection = prepared(folder / f"server-{options.count}.lookalike", options.count)
        with serving(collection.path) as server:
            print(f"started in {time.perf_counter() - server.started_s:.1f} s")
            asyncio.run(measure(collection, server.port, server.process, options))


async def measure(
    collection: Collection, port: int, process: subprocess.Popen[str], options: argparse.Namespace
) -> None:
    name, count = collection.name, options.count
    picture = encoded_picture()
    ids = np.random.default_rng(0).permutation(count)
    picked = lambda i: int(ids[i % count])  # noqa: E731
    by_id = lambda i: post(f"/api/{name}/search", json.dumps({"id": str(picked(i)), "k": 50}).encode())  # noqa: E731
    by_picture = lambda i: post(f"/api/{name}/search?k=50", picture, "image/jpeg")  # noqa: E731
    pictures = lambda i: get(f"/api/{name}/thumbnails/{picked(i)}")  # noqa: E731
    page = lambda i: get(f"/api/{name}/items?offset={picked(i)}&limit=100")  # noqa: E731
    mixed = lambda i: (by_id, by_picture, pictures, pictures, page)[i % 5](i)  # noqa: E731
    print(f"{count:,} items, k = 50; {CLIENTS} clients, or one; a picture of {len(picture):,} bytes")
    print(f"{'':34}{'requests/s':>11}{'p50 ms':>8}{'p99 ms':>8}{'most':>8}{'errors':>8}{'CPU ms':>8}")
    await load_of(port, by_id, 2)
    print(f"    memory of the server: {memory_mb(process):,.0f} MB")
    short = options.seconds / 2
    measured = [
        (f"search by id, {options.rate:g}/s", lambda: load_at(port, by_id, options.seconds, options.rate)),
        ("search by id, one client", lambda: load_of(port, by_id, short, 1)),
        ("search by id", lambda: load_of(port, by_id, short)),
        ("search by picture, one client", lambda: load_of(port, by_picture, short, 1)),
        ("search by picture", lambda: load_of(port, by_picture, options.seconds)),
        ("thumbnails", lambda: load_of(port, pictures, options.seconds)),
        ("all of these", lambda: load_of(port, mixed, 3 * options.seconds)),
    ]
    for title, run in measured:
        before, cpu, started = memory_mb(process), cpu_s(process), time.perf_counter()
        answers = await run()
        report(title, figures(answers, time.perf_counter() - started, cpu_s(process) - cpu))
    print(f"    memory of the server: {before:,.0f} MB before the last, {memory_mb(process):,.0f} MB after")


def report(name: str, found: dict[str, float]) -> None:
    latencies = "".join(f"{found[key]:8.1f}" for key in ("p50_ms", "p99_ms", "most_ms"))
    print(f"{name:34}{found['rate']:11,.0f}{latencies}{found['errors']:8}{found['cpu_ms']:8.2f}", flush=True)


def encoded_picture() -> bytes:
    """A picture with a photograph's size and detail: a drawn flower of 500 x 375 with grain, as JPEG."""
    with tempfile.TemporaryDirectory() as drawn:
        write_flowers(Path(drawn), count=1)
        (path, *_) = sorted(Path(drawn).rglob("*.jpg"))
        pixels = np.asarray(Image.open(path).convert("RGB").resize((500, 375)), np.int16)
    grain = np.random.default_rng(0).normal(0, 8, pixels.shape)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def prepared(root: Path, count: int) -> Collection:
    """The collection with its index; made if it does not exist yet."""
    if not (root / "collection.json").exists():
        wanted = argparse.Namespace(cache=root.parent, count=count, images=None, views=VIEWS)
        stored(root, np.load(vector_files(wanted)[0], mmap_mode="r"))
        build_index(root, "auto")
    return open_collection(root)


def stored(root: Path, vectors: np.ndarray) -> None:
    root.mkdir(parents=True)
    create(root, Manifest(load_model().spec))
    with tempfile.TemporaryDirectory() as drawn:
        write_flowers(Path(drawn), count=300)
        jpegs = [thumbnail(load(path, 256)) for path in sorted(Path(drawn).rglob("*.jpg"))]
    for number, start in enumerate(range(0, len(vectors), PART_SIZE)):
        block = vectors[start : start + PART_SIZE]
        rows = range(start, start + len(block))
        zeros = pa.array([0] * len(block), pa.int64())
        size = pa.array([224] * len(block), pa.int32())
        columns = {
            "id": pa.array([str(row) for row in rows]),
            "uri": pa.array([f"file:///pictures/{row}.jpg" for row in rows]),
            "sha256": pa.array([hashlib.sha256(str(row).encode()).hexdigest() for row in rows]),
            "label": pa.array([f"flower {row % 5}" for row in rows]),
            "size_bytes": zeros, "mtime_ns": zeros, "width": size, "height": size,
            "tags": pa.array([["daisy", "flower"]] * len(block)),
            "tag_probabilities": pa.array([[0.9, 0.8]] * len(block), pa.list_(pa.float32())),
        }  # fmt: skip
        table = pa.table({**columns, "embedding": embedding_column(block, "float32")})
        Part(root, number).write(table, [jpegs[row % len(jpegs)] for row in rows])


if __name__ == "__main__":
    main()
