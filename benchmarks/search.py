"""How long does a search take for a user, compared with NumPy and with the index alone? All in one run.

    python benchmarks/search.py [--count 20000] [--only indexed served] [--cache FOLDER] [--json FILE]

indexed    With an index: exact search by NumPy over a matrix in memory (on one thread and on all, the faster
           counts), `Index.search`, and `collection.search` including id, score and label of each hit.
unindexed  Without an index: NumPy and `collection.search`.
started    The first answer of a new process, of the command line and of the server, with memory.
served     The server over HTTP: searches by id at a fixed rate, k = 50.

k is 10 elsewhere. Queries are not in the collection. The systems take turns, some queries each, so that
noise affects all alike; files may be in the disk's cache. The largest default size takes 5 GB of disk and 5
more while its index is built, and about 9 GB of memory with the mapped index. `--cache` keeps the files.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from http_load import cpu_s, figures, get, load_at, load_of, memory_mb, post, serving, status_of
from machine import machine
from search_collections import QUERIES_KEPT, Made, Size, id_of, made, opened_index

import lookalike
from lookalike.parallel import cores

K, SERVED_K, TURN, WARM_UP_S = 10, 50, 20, 2
NUMPY, INDEX, SEARCH = "numpy exact", "Index.search", "collection.search"
SEARCHES_BEFORE_MEMORY = 200
# Opens, searches and reads, as a user's script would.
FIRST_ANSWER = """
import sys
import numpy as np
import lookalike
collection = lookalike.open(sys.argv[1])
print([(hit.id, hit.score, hit.label) for hit in collection.search(np.load(sys.argv[2]), k=10)])
"""


@dataclass(frozen=True)
class System:
    """A way to answer one query (D,): `ask` is timed, `rows` are the row numbers in its answer."""

    ask: Callable[[np.ndarray], Any]
    rows: Callable[[Any], Sequence[int]] = list
    around: Callable[[], AbstractContextManager[Any]] = nullcontext


@dataclass
class Asked:
    """A system's milliseconds and found rows for each query."""

    times_ms: list[float] = field(default_factory=list)
    rows: list[Sequence[int]] = field(default_factory=list)


def main() -> None:
    options = parsed()
    with tempfile.TemporaryDirectory() as temporary:
        options.cache = options.cache or Path(temporary)
        found: dict[str, Any] = {"machine": machine()}
        for name, value in found["machine"].items():
            print(f"{name:12}{value}")
        for name in options.only:
            found[name] = SECTIONS[name](options)
            if options.json:  # after each, so that a run that is stopped leaves what it has
                options.json.write_text(json.dumps(found, indent=2) + "\n")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes = [Size(100_000, 256), Size(100_000, 1280), Size(1_000_000, 1280)]
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--indexed", nargs="+", type=Size.parse, default=sizes, help="such as 100000x256")
    parser.add_argument("--unindexed", nargs="+", type=Size.parse, default=[Size(20_000, 1280)])
    parser.add_argument("--started", type=Size.parse, default=Size(1_000_000, 1280))
    parser.add_argument("--served", type=Size.parse, default=Size(100_000, 1280))
    parser.add_argument("--count", type=int, help="no collection has more items, for a trial")
    parser.add_argument("--columns", type=int, default=20, help="of each item, the label among them")
    parser.add_argument("--queries", type=int, default=200, help=f"at most {QUERIES_KEPT}")
    parser.add_argument("--runs", type=int, default=5, help="of each process just started, after a first")
    parser.add_argument("--seconds", type=float, default=8, help="of requests at the rate")
    parser.add_argument("--rate", type=float, default=50, help="searches by id a second")
    parser.add_argument("--images", type=Path, help="a folder of JPEGs (default: 300 drawn flowers)")
    parser.add_argument("--views", type=int, default=30_000, help="how many vectors are really embedded")
    parser.add_argument("--cache", type=Path, help="keep what is made here, or use what is there")
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args()
    if not 1 <= options.queries <= QUERIES_KEPT:
        parser.error(f"--queries goes from 1 to {QUERIES_KEPT}, not {options.queries}")
    return options


def limited(options: argparse.Namespace, sizes: Sequence[Size]) -> list[Size]:
    """The sizes of at most `--count` items, each once."""
    most = options.count or max(size.count for size in sizes)
    return list(dict.fromkeys(Size(min(size.count, most), size.dim) for size in sizes))


def indexed(options: argparse.Namespace) -> list[dict[str, Any]]:
    """NumPy, the index alone and the whole call, for each size."""
    return [compared(made(options, size, index=True)) for size in limited(options, options.indexed)]


def unindexed(options: argparse.Namespace) -> list[dict[str, Any]]:
    """NumPy and the whole call, for each size."""
    return [compared(made(options, size, index=False)) for size in limited(options, options.unindexed)]


def compared(its: Made) -> dict[str, Any]:
    """Send the same queries to all systems, and print their table."""
    collection = lookalike.open(its.path)
    index = opened_index(collection)
    systems = numpy_systems(collection.embeddings())
    if index is not None:
        systems[INDEX] = System(lambda query: index.search(query[None], K)[1][0])
    systems[SEARCH] = System(
        lambda query: [(hit.id, hit.score, hit.label) for hit in collection.search(query, k=K)],
        lambda hits: [int(id_) for id_, _, _ in hits],
    )
    asked = in_turns(systems, its.queries)
    truth = asked[next(iter(systems))].rows
    result = {"size": str(its.size), "index": about(index), "queries": len(its.queries)}
    result |= summary({name: figures_of(one, truth) for name, one in asked.items()})
    print_compared(result)
    return result


def numpy_systems(matrix: np.ndarray) -> dict[str, System]:
    """Exact search on one thread and on all; only on all if nothing can limit the threads."""

    def ask(query: np.ndarray) -> np.ndarray:
        scores = matrix @ query
        best = np.argpartition(scores, -min(K, len(scores)))[-K:]
        return best[np.argsort(-scores[best])]

    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return {NUMPY: System(ask)}
    blas = ThreadpoolController().select(user_api="blas")
    return {
        f"{NUMPY}, threads: {threads}": System(ask, around=lambda threads=threads: blas.limit(limits=threads))
        for threads in sorted({1, cores()})
    }


def in_turns(systems: Mapping[str, System], queries: np.ndarray) -> dict[str, Asked]:
    """Send all queries to each system, one at a time, taking turns of `TURN` queries.

    Each turn begins with an uncounted query: the processor's caches hold what the last system read.
    """
    asked = {name: Asked() for name in systems}
    for start in range(0, len(queries), TURN):
        for name, system in systems.items():
            with system.around():
                system.ask(queries[start - 1])
                for query in queries[start : start + TURN]:
                    began = time.perf_counter()
                    answer = system.ask(query)
                    asked[name].times_ms.append(1000 * (time.perf_counter() - began))
                    asked[name].rows.append([int(row) for row in system.rows(answer)])
    return asked


def figures_of(asked: Asked, truth: Sequence[Sequence[int]]) -> dict[str, float]:
    """The median and 95th percentile in ms, and the mean share of the true rows that were found."""
    shares = [len(set(rows) & set(true)) / len(true) for rows, true in zip(asked.rows, truth, strict=True)]
    return {
        "median_ms": statistics.median(asked.times_ms),
        "p95_ms": float(np.percentile(asked.times_ms, 95)),
        "recall": statistics.fmean(shares),
    }


def summary(systems: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """How many times as long NumPy takes as the whole call, and what the call adds to the index."""
    search_ms = systems[SEARCH]["median_ms"]
    numpy_ms = min(one["median_ms"] for name, one in systems.items() if name.startswith(NUMPY))
    result = {"systems": dict(systems), "numpy_ms": numpy_ms, "numpy_over_search": numpy_ms / search_ms}
    if INDEX in systems:
        result["search_minus_index_ms"] = search_ms - systems[INDEX]["median_ms"]
    return result


def print_compared(result: Mapping[str, Any]) -> None:
    print(f"\n{result['size']}, index: {result['index'] or 'none'}; {result['queries']} queries, k = {K}")
    print(f"{'':32}{'median ms':>11}{'p95 ms':>10}{'recall@10':>11}")
    for name, one in result["systems"].items():
        print(f"{name:32}{one['median_ms']:11.3f}{one['p95_ms']:10.3f}{one['recall']:11.3f}")
    print(f"numpy / search: {result['numpy_over_search']:.2f}", end="")
    if "search_minus_index_ms" in result:
        print(f"; search - index: {result['search_minus_index_ms']:.3f} ms", end="")
    print(flush=True)


def about(index: Any) -> str | None:
    """A line about an index; None without one."""
    info = getattr(index, "info", None)
    if info is None:
        return None if index is None else type(index).__name__
    return f"{info.kind} {dict(info.parameters)}, recall {info.recall:.3f}, built in {info.build_s:.1f} s"


def started(options: argparse.Namespace) -> dict[str, Any]:
    """Whole processes from start to end, and a server from its start to its first answers."""
    (size,) = limited(options, [options.started])
    its = made(options, size, index=True)
    with tempfile.TemporaryDirectory() as folder:
        query, asked_id = Path(folder) / "query.npy", id_of(size.count // 2)
        np.save(query, its.queries[0])
        command = [sys.executable, "-m", "lookalike", "search", str(its.path), f"id:{asked_id}", "--json"]
        commands = {
            "import numpy, lookalike": [sys.executable, "-c", "import numpy, lookalike"],
            "collection.search(vector)": [sys.executable, "-c", FIRST_ANSWER, str(its.path), str(query)],
            "lookalike search C id:…": command,
        }
        result: dict[str, Any] = {
            name: spread([process_s(words) for _ in range(options.runs + 1)][1:])
            for name, words in commands.items()
        }
    starts = [server_start(its) for _ in range(options.runs + 1)][1:]
    result["lookalike serve: collections"] = spread([one["collections_s"] for one in starts])
    result["lookalike serve: search by id"] = spread([one["search_s"] for one in starts])
    memory = {name: starts[-1][name] for name in ("RssAnon", "RssFile")}
    print(f"\n{size}, {options.columns} columns, with an index: first answers from {options.runs} starts")
    print(f"{'':32}{'median s':>11}{'least':>10}{'most':>11}")
    for name, one in result.items():
        print(f"{name:32}{one['median_s']:11.3f}{one['least_s']:10.3f}{one['most_s']:11.3f}")
    print(f"memory of the server after {SEARCHES_BEFORE_MEMORY} searches: ", end="")
    print(f"{memory['RssAnon']:,.0f} MB of its own, {memory['RssFile']:,.0f} MB of files", flush=True)
    return {"size": str(size), "columns": options.columns, "first": result, "memory_mb": memory}


def process_s(command: Sequence[str]) -> float:
    """The duration of a whole process."""
    began = time.perf_counter()
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{run.stderr}")
    return time.perf_counter() - began


def spread(times_s: Sequence[float]) -> dict[str, float]:
    return {"median_s": statistics.median(times_s), "least_s": min(times_s), "most_s": max(times_s)}


def server_start(its: Made) -> dict[str, float]:
    """Seconds from the start of a server to its first answers, and its memory after more searches."""
    by_id = searches_by_id(its)
    with serving(its.path) as server:

        def answered_s(request: bytes) -> float:
            status = asyncio.run(status_of(server.port, request))
            if status != 200:
                raise SystemExit(f"the server of {its.path} answers {status} to {request!r}")
            return time.perf_counter() - server.started_s

        result = {"collections_s": answered_s(get("/api/collections")), "search_s": answered_s(by_id(0))}
        for number in range(SEARCHES_BEFORE_MEMORY):
            answered_s(by_id(number))
        return result | {kind: memory_mb(server.process, kind) for kind in ("RssAnon", "RssFile")}


def searches_by_id(its: Made) -> Callable[[int], bytes]:
    """Requests by ids in random order."""
    rows = np.random.default_rng(0).permutation(its.size.count)
    address = f"/api/{its.path.name.removesuffix('.lookalike')}/search"

    def request(number: int) -> bytes:
        asked = {"id": id_of(int(rows[number % len(rows)])), "k": SERVED_K}
        return post(address, json.dumps(asked).encode())

    return request


def served(options: argparse.Namespace) -> dict[str, Any]:
    """Searches by id at a fixed rate."""
    (size,) = limited(options, [options.served])
    its = made(options, size, index=True)
    by_id = searches_by_id(its)
    with serving(its.path) as server:
        asyncio.run(load_of(server.port, by_id, min(WARM_UP_S, options.seconds), clients=1))
        cpu, began = cpu_s(server.process), time.perf_counter()
        answers = asyncio.run(load_at(server.port, by_id, options.seconds, options.rate))
        result = figures(answers, time.perf_counter() - began, cpu_s(server.process) - cpu)
    print(f"\n{size}, with an index: searches by id, {options.rate:g} a second, k = {SERVED_K}")
    print(f"{'':32}{'p50 ms':>11}{'p99 ms':>10}{'most':>11}{'errors':>8}{'CPU ms':>8}")
    latencies = f"{result['p50_ms']:11.2f}{result['p99_ms']:10.2f}{result['most_ms']:11.2f}"
    print(f"{'lookalike serve':32}{latencies}{result['errors']:8}{result['cpu_ms']:8.2f}", flush=True)
    return {"size": str(size), "columns": options.columns, "rate": options.rate, **result}


SECTIONS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "indexed": indexed,
    "unindexed": unindexed,
    "started": started,
    "served": served,
}

if __name__ == "__main__":
    main()
