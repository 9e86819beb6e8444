"""One system of benchmarks/index.py in its own process: builds, answers, and prints JSON.

    python benchmarks/index_systems.py SYSTEM FOLDER COUNT

FOLDER holds the files from benchmarks/index.py: vectors, queries, and their true neighbours, also filtered.
Each system imports only its own libraries, so that autofaiss can run under another Python.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

NEIGHBOURS, WANTED_RECALL, BLOCK = 10, 0.95, 10_000
SHARES = (0.5, 0.1, 0.01, 0.002)
Search = Callable[[np.ndarray, int], np.ndarray]


def main() -> None:
    system, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    print(json.dumps(SYSTEMS[system](folder, count, *sys.argv[4:])))


def numpy_exact(folder: Path, count: int) -> dict[str, Any]:
    vectors = np.load(folder / f"vectors-{count}.npy")
    search: Search = lambda q, k: best_of(vectors @ q[0], k)[None]  # noqa: E731
    return measured(search, folder, count) | {"build_s": 0, "bytes": vectors.nbytes, "peak_bytes": peak()}


def faiss_flat(folder: Path, count: int) -> dict[str, Any]:
    return plain_faiss(folder, count, "Flat")


def faiss_hnsw32(folder: Path, count: int) -> dict[str, Any]:
    return plain_faiss(folder, count, "HNSW32")


def plain_faiss(folder: Path, count: int, factory: str) -> dict[str, Any]:
    """An index from faiss's factory; HNSW with the lowest efSearch that reaches the recall."""
    import faiss

    index, started = None, time.perf_counter()
    for block in blocks(folder, count):
        if index is None:
            index = faiss.index_factory(block.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        index.add(block)
    assert index is not None
    cost = {"build_s": time.perf_counter() - started, "peak_bytes": peak()}

    def set_effort(effort: int) -> None:
        if hasattr(index, "hnsw"):
            index.hnsw.efSearch = effort

    search: Search = lambda q, k: index.search(q, k)[1]  # noqa: E731
    row_bytes = 4 * index.d + (272 if hasattr(index, "hnsw") else 0)
    return least_effort(search, set_effort, folder, count) | cost | {"bytes": row_bytes * count}


def usearch(folder: Path, count: int) -> dict[str, Any]:
    """usearch with its defaults, and the lowest expansion that reaches the recall."""
    from usearch.index import Index

    index, started, done = None, time.perf_counter(), 0
    for block in blocks(folder, count):
        if index is None:
            index = Index(ndim=block.shape[1], metric="ip")
        index.add(np.arange(done, done + len(block)), block)
        done += len(block)
    assert index is not None
    cost = {"build_s": time.perf_counter() - started, "peak_bytes": peak(), "bytes": index.serialized_length}

    def set_effort(effort: int) -> None:
        index.expansion_search = effort

    search: Search = lambda q, k: np.asarray(index.search(q[0], k).keys)[None]  # noqa: E731
    return least_effort(search, set_effort, folder, count) | cost


def autofaiss(folder: Path, count: int, memory: str = "8G") -> dict[str, Any]:
    """autofaiss with its defaults, except for the memory limit."""
    from autofaiss import build_index

    with tempfile.TemporaryDirectory(dir=folder) as work:
        (Path(work) / "in").mkdir()
        os.link(folder / f"vectors-{count}.npy", Path(work) / "in" / "vectors.npy")
        started = time.perf_counter()
        index, infos = build_index(
            f"{work}/in",
            index_path=f"{work}/knn.index",
            index_infos_path=f"{work}/infos.json",
            max_index_memory_usage=memory,
            current_memory_available=memory,
            verbose=40,
        )
        cost = {"build_s": time.perf_counter() - started, "peak_bytes": peak()}
        size = (Path(work) / "knn.index").stat().st_size
    assert index is not None and infos is not None
    note = f"{infos.get('index_key')}, {infos.get('index_param')}"
    search: Search = lambda q, k: index.search(q, k)[1]  # noqa: E731
    return measured(search, folder, count) | cost | {"bytes": size, "note": note}


def lookalike_build(folder: Path, count: int, kind: str = "auto", max_memory: str = "") -> dict[str, Any]:
    """Build our index of the collection; reports memory without the program, and in total."""
    import faiss  # noqa: F401  what the program itself takes, before anything is built

    from lookalike.index import build_index

    base = peak()
    info = build_index(
        folder / f"vectors-{count}.lookalike",
        kind,
        max_memory_bytes=int(max_memory) if max_memory else None,
        min_recall=WANTED_RECALL,
    )
    return {
        "build_s": info.build_s,
        "bytes": info.bytes,
        "peak_bytes": peak(),
        "base_bytes": base,
        "note": f"{info.kind} {dict(info.parameters)}",
    }


def lookalike_search(folder: Path, count: int) -> dict[str, Any]:
    """Query the existing index: the first query, timed with its imports, then all, then with filters."""
    started = time.perf_counter()
    import lookalike
    from lookalike.index import open_index

    queries = np.load(folder / "queries.npy")
    index = open_index(lookalike.open(folder / f"vectors-{count}.lookalike").snapshot.state)
    assert index is not None
    index.search(queries[:1], NEIGHBOURS)
    first_s = time.perf_counter() - started
    result = measured(lambda q, k: index.search(q, k)[1], folder, count) | {"first_s": first_s}
    result["filtered"] = []
    for share in SHARES:
        mask = matching(count, share)
        search: Search = lambda q, k, mask=mask: index.search(q, k, mask)[1]  # noqa: E731
        result["filtered"].append({"share": share, **measured(search, folder, count, f"-{share}")})
    started = time.perf_counter()
    index.search(queries[:1], 10_000)
    return result | {"k10000_ms": (time.perf_counter() - started) * 1e3, "peak_bytes": peak()}


def measured(search: Search, folder: Path, count: int, suffix: str = "") -> dict[str, float]:
    """The median milliseconds of a single query, and recall@10."""
    queries, true = np.load(folder / "queries.npy"), np.load(folder / f"truth-{count}{suffix}.npy")
    times, shares = [], []
    for query, best in zip(queries, true, strict=True):
        started = time.perf_counter()
        found = search(query[None], NEIGHBOURS)[0]
        times.append(time.perf_counter() - started)
        shares.append(np.isin(found, best).sum() / NEIGHBOURS)
    return {"ms": statistics.median(times) * 1e3, "recall": float(np.mean(shares))}


def least_effort(
    search: Search, set_effort: Callable[[int], None], folder: Path, count: int
) -> dict[str, float | str]:
    for effort in (16, 24, 32, 48, 64, 96, 128, 256, 512, 1024):
        set_effort(effort)
        result = measured(search, folder, count)
        if result["recall"] >= WANTED_RECALL:
            break
    return result | {"note": f"effort {effort}"}


def matching(count: int, share: float) -> np.ndarray:
    """The mask of a filter that about this share of the rows pass."""
    return np.random.default_rng(1).random(count) < share


def best_of(scores: np.ndarray, k: int) -> np.ndarray:
    best = np.argpartition(scores, -k)[-k:]
    return best[np.argsort(-scores[best])]


def blocks(folder: Path, count: int) -> Iterator[np.ndarray]:
    """The vectors in blocks, because a mapped file would count as memory."""
    with (folder / f"vectors-{count}.npy").open("rb") as file:
        np.lib.format.read_magic(file)
        (rows, dim), _, _ = np.lib.format.read_array_header_1_0(file)
        for start in range(0, rows, BLOCK):
            size = min(BLOCK, rows - start)
            yield np.fromfile(file, np.float32, size * dim).reshape(size, dim)


def peak() -> int:
    """The largest resident set so far, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


SYSTEMS: dict[str, Callable[..., dict[str, Any]]] = {
    "numpy": numpy_exact,
    "faiss-flat": faiss_flat,
    "faiss-hnsw32": faiss_hnsw32,
    "usearch": usearch,
    "autofaiss": autofaiss,
    "build": lookalike_build,
    "search": lookalike_search,
}

if __name__ == "__main__":
    main()
