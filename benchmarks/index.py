"""How fast is search, and what does an index cost? Others and ours side by side, each in its own process.

    python benchmarks/index.py [--count 1000000] [--images FOLDER] [--systems numpy autofaiss auto hnsw]

The vectors are embeddings of cropped, mirrored and recoloured pictures (see index_vectors.py). Queries are
200 more views that are not in the collection; a time is the median of one query at a time; memory is the
largest resident set. `auto`, `ivf`, ... are ours, with filters that leave 50, 10, 1 and 0.2 % of the rows,
the first query of a new process (the file may be in the disk's cache), and 10,000 results.
autofaiss needs numpy below 2 and gets its own virtual environment, or `--autofaiss-python`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from index_systems import NEIGHBOURS, SHARES, blocks, matching
from index_vectors import add_arguments, vector_files

from lookalike.index import KINDS
from lookalike.models.registry import load_model
from lookalike.storage.manifest import Manifest, is_collection
from lookalike.storage.parts import Part, embedding_column
from lookalike.storage.writing import create

RIVALS = ("numpy", "faiss-flat", "faiss-hnsw32", "usearch", "autofaiss")
OURS = ("auto", *KINDS)
PART_SIZE = 1024
SCRIPT = Path(__file__).with_name("index_systems.py")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--systems", nargs="+", choices=[*RIVALS, *OURS], default=[*RIVALS, "auto"])
    parser.add_argument("--max-memory", default="", help="bytes, for ours")
    parser.add_argument("--autofaiss-python", help="of an environment with autofaiss (default: one is made)")
    parser.add_argument("--autofaiss-memory", default="8G", help="what autofaiss may take (else 16G)")
    parser.add_argument("--time-limit", type=float, default=7200, help="seconds, for each system")
    options = parser.parse_args()
    vector_files(options)
    write_truth(options.cache, options.count)
    write_collection(options.cache, options.count)
    print(f"{options.count:,} vectors, one query at a time, k = {NEIGHBOURS}")
    print(f"{'':28}{'ms/query':>10}{'recall@10':>11}{'build s':>9}{'MB':>8}{'peak MB':>9}")
    for system in options.systems:
        report(system, ours(options, system) if system in OURS else rival(options, system))


def rival(options: argparse.Namespace, system: str) -> dict[str, Any]:
    more = [options.autofaiss_memory] if system == "autofaiss" else []
    python = autofaiss_python(options) if system == "autofaiss" else sys.executable
    return process(options, python, system, *more)


def ours(options: argparse.Namespace, kind: str) -> dict[str, Any]:
    built = process(options, sys.executable, "build", kind, options.max_memory)
    if "error" in built:
        return built
    asked = process(options, sys.executable, "search")
    return {**asked, **built, "search_peak_bytes": asked.get("peak_bytes")}


def process(options: argparse.Namespace, python: str, system: str, *more: str) -> dict[str, Any]:
    """The output of a system; its process is stopped at the time limit."""
    command = [python, str(SCRIPT), system, str(options.cache), str(options.count), *more]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=options.time_limit, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"stopped after {options.time_limit:.0f} s"}
    if run.returncode:
        return {"error": (run.stderr.strip().splitlines() or [f"exit {run.returncode}"])[-1]}
    result = json.loads(run.stdout.splitlines()[-1])
    with (options.cache / "results.jsonl").open("a") as file:
        file.write(json.dumps({"system": system, "count": options.count, "more": more, **result}) + "\n")
    return dict(result)


def report(system: str, result: dict[str, Any]) -> None:
    if "error" in result:
        print(f"{system:28} {result['error']}", flush=True)
        return
    cost = f"{result['build_s']:9.1f}{result['bytes'] / 1e6:8.0f}{result['peak_bytes'] / 1e6:9.0f}"
    note = f"   {result['note']}" if "note" in result else ""
    print(f"{system:28}{result['ms']:10.3f}{result['recall']:11.3f}{cost}{note}")
    for one in result.get("filtered", ()):
        times = one["ms"] / result["ms"]
        print(f"    where {one['share']:.1%} match{one['ms']:20.3f}{one['recall']:11.3f}   {times:.1f} times")
    if "first_s" in result:
        print(
            f"    opened and asked from a new process in {result['first_s']:.2f} s; 10,000 results in "
            f"{result['k10000_ms']:.1f} ms; before the build {result['base_bytes'] / 1e6:.0f} MB; "
            f"peak of searching {result['search_peak_bytes'] / 1e6:.0f} MB"
        )
    sys.stdout.flush()


def write_truth(folder: Path, count: int) -> None:
    """Write the true neighbours of the queries, among all rows and among those that each filter leaves."""
    queries = np.load(folder / "queries.npy")
    wanted = {"": np.ones(count, bool), **{f"-{share}": matching(count, share) for share in SHARES}}
    if all((folder / f"truth-{count}{suffix}.npy").exists() for suffix in wanted):
        return
    best = {suffix: (np.empty((len(queries), 0)), np.empty((len(queries), 0), np.int64)) for suffix in wanted}
    done = 0
    for block in blocks(folder, count):
        scores = queries @ block.T
        for suffix, mask in wanted.items():
            numbers = done + np.flatnonzero(mask[done : done + len(block)])
            all_scores = np.concatenate([best[suffix][0], scores[:, numbers - done]], axis=1)
            rows = np.broadcast_to(numbers, (len(queries), len(numbers)))
            all_rows = np.concatenate([best[suffix][1], rows], axis=1)
            kept = np.argsort(-all_scores, axis=1)[:, :NEIGHBOURS]
            best[suffix] = (
                np.take_along_axis(all_scores, kept, axis=1),
                np.take_along_axis(all_rows, kept, axis=1),
            )
        done += len(block)
    for suffix, (_, rows) in best.items():
        np.save(folder / f"truth-{count}{suffix}.npy", rows)


def write_collection(folder: Path, count: int) -> None:
    """Write the vectors as a float16 collection with ids only."""
    root = folder / f"vectors-{count}.lookalike"
    if is_collection(root):
        return
    unfinished = root.with_suffix(".unfinished")
    unfinished.mkdir()
    create(unfinished, Manifest(load_model().spec, dtype="float16"))
    number = 0
    for thousands in blocks(folder, count):
        for start in range(0, len(thousands), PART_SIZE):
            write_part(Part(unfinished, number), thousands[start : start + PART_SIZE])
            number += 1
    unfinished.rename(root)


def write_part(part: Part, vectors: np.ndarray) -> None:
    ids = pa.array([f"{part.number}-{row}" for row in range(len(vectors))], pa.string())
    zeros = pa.array([0] * len(vectors), pa.int64())
    columns = {"id": ids, "uri": ids, "sha256": ids, "label": ids, "size_bytes": zeros, "mtime_ns": zeros}
    columns |= {"width": zeros.cast(pa.int32()), "height": zeros.cast(pa.int32())}
    rows = pa.table({**columns, "embedding": embedding_column(vectors, "float16")})
    part.write(rows, [b""] * len(vectors))


def autofaiss_python(options: argparse.Namespace) -> str:
    if options.autofaiss_python:
        return str(options.autofaiss_python)
    home = options.cache / "venv-autofaiss"
    if not home.exists():
        venv.create(home, with_pip=True)
        needs = ["autofaiss", "numpy<2", "pyarrow<18", "pandas<2.3"]
        subprocess.run([home / "bin" / "python", "-m", "pip", "install", "-q", *needs], check=True)
    return str(home / "bin" / "python")


if __name__ == "__main__":
    main()
