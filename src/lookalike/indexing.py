"""Which index to build, what its answers are measured against, and what is written down about it.

Nothing here knows the library that builds them: `index` does.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.collection import Collection
from lookalike.errors import CollectionError, LookalikeError
from lookalike.parts import Part

KINDS = ("flat", "hnsw", "ivf", "ivf-pq", "rabitq", "ivf-rabitq")
NEIGHBOURS = 10  # recall is that of the ten nearest

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]

# Up to here a plain product with every vector takes a few milliseconds: 20,000 vectors of 1,280.
_EXACT_NUMBERS = 20_000 * 1280
# With fewer dimensions one bit of each says too little (the error of RaBitQ falls with their square root).
_ONE_BIT_DIM = 128

FORMAT, FORMAT_VERSION = "lookalike-index", 1
_CHECKED_BYTES = 1 << 20
_HNSW_LINKS = 32
# What each row costs beside its codes: 64 links of 4 bytes on the ground floor, 32 on each of the 1/31
# floors above that a row has on average, an offset and a level.
_HNSW_ROW_BYTES = 4 * (2 * _HNSW_LINKS + _HNSW_LINKS / 31) + 8 + 4
_ROW_NUMBER_BYTES = 8

_SAMPLE_PER_LIST, _SAMPLE_MAX, _SAMPLE_PARTS = 64, 100_000, 128
_QUERIES = 200
_TIES = 64


@dataclass(frozen=True)
class Plan:
    """One index that could be built: its description for faiss, its size, and why it would be taken.

    `lists` is the number of cells of the inverted file, 0 without one; `refine_bits` those a number of
    the codes that rank the candidates again, 0 where none do.
    """

    kind: str
    factory: str
    bytes: int
    why: str
    lists: int = 0
    refine_bits: int = 0


def choose(count: int, dim: int, kind: str, max_memory_bytes: int | None) -> Plan:
    """The first plan that fits; raises `LookalikeError`, which says the least possible.

    `auto` takes exact search while that is fast, then RaBitQ in an inverted file (IVF with 8-bit codes
    where the vectors are short), with coarser codes for as long as the limit asks for it.
    """
    plans = list(_automatic(count, dim) if kind == "auto" else _PLANS[kind](count, dim))
    for plan in plans:
        if max_memory_bytes is None or plan.bytes <= max_memory_bytes:
            return plan
    least = min(plan.bytes for plan in plans)
    name = "an index" if kind == "auto" else f"an index of kind {kind}"
    raise LookalikeError(
        f"{name} over {count:,} vectors of {dim:,} needs at least {least:,} bytes, "
        f"the limit is {max_memory_bytes:,}",
        f"raise it with --max-memory {math.ceil(least / 1e6)}MB"
        + ("" if kind == "auto" else ", or leave the kind to auto"),
    )


def check_wishes(kind: str, max_memory_bytes: int | None, min_recall: float) -> None:
    """Raise `LookalikeError` for an unknown kind, a memory or a recall that cannot be."""
    if kind not in (*KINDS, "auto"):
        raise LookalikeError(f"unknown kind of index {kind!r}", f"known are: auto, {', '.join(KINDS)}")
    if not 0 < min_recall <= 1:
        raise LookalikeError(f"the wanted recall is {min_recall}, it has to be above 0 and at most 1")
    if max_memory_bytes is not None and max_memory_bytes < 1:
        raise LookalikeError(f"the memory limit is {max_memory_bytes} bytes, it has to be above 0")


def _automatic(count: int, dim: int) -> Iterator[Plan]:
    if count * dim <= _EXACT_NUMBERS:
        yield from _flat(count, dim)
    if dim < _ONE_BIT_DIM:
        yield from _ivf(count, dim)
    yield from _ivf_rabitq(count, dim)
    yield from _rabitq(count, dim)


def _flat(count: int, dim: int) -> Iterator[Plan]:
    yield Plan("flat", "Flat", 4 * count * dim, "exact search")


def _hnsw(count: int, dim: int) -> Iterator[Plan]:
    """Malkov & Yashunin 2018, arXiv:1603.09320, over scalar-quantised vectors."""
    # Rounded to 8 bits, near vectors change places (recall 0.95 to 0.99); nothing ranks them again here.
    for bits, codes in ((16, "SQfp16"), (8, "SQ8")):
        size = int(count * (_code_bytes(dim, bits) + _HNSW_ROW_BYTES)) + 8 * dim * (bits == 8)
        yield Plan("hnsw", f"HNSW{_HNSW_LINKS},{codes}", size, f"a graph over {bits}-bit vectors")


def _ivf(count: int, dim: int) -> Iterator[Plan]:
    lists = _list_count(count)
    for bits in (8, 4):
        size = count * (_code_bytes(dim, bits) + _ROW_NUMBER_BYTES) + _lists_bytes(lists, dim) + 8 * dim
        why = f"the nearest of {lists:,} lists of {bits}-bit vectors are read"
        yield Plan("ivf", f"IVF{lists},SQ{bits}", size, why, lists)


def _ivf_pq(count: int, dim: int) -> Iterator[Plan]:
    """Jegou, Douze & Schmid 2011, doi:10.1109/TPAMI.2010.57; one bit a dimension, as RaBitQ has."""
    lists = _list_count(count)
    bits = 4  # 16 centroids a piece are learnt from a few hundred vectors, 256 would want thousands
    if count < 2**bits:
        raise LookalikeError(
            f"ivf-pq needs at least {2**bits} vectors to learn from, the collection has {count}",
            "leave the kind to auto",
        )
    pieces = max(pieces for pieces in range(1, max(1, dim // bits) + 1) if dim % pieces == 0)
    fixed = _lists_bytes(lists, dim) + 4 * 2**bits * dim
    codes = math.ceil(pieces * bits / 8) + _ROW_NUMBER_BYTES
    why = f"product codes find candidates in {lists:,} lists"
    plain = Plan("ivf-pq", f"IVF{lists},PQ{pieces}x{bits}", fixed + count * codes, why, lists)
    yield from _refined(plain, count, dim)


def _rabitq(count: int, dim: int) -> Iterator[Plan]:
    """Gao & Long 2024, arXiv:2405.12497: one bit a dimension and two factors."""
    size = 4 * dim + count * (_code_bytes(dim, 1) + 8)
    yield from _refined(Plan("rabitq", "RaBitQ", size, "one bit a dimension finds candidates"), count, dim)


def _ivf_rabitq(count: int, dim: int) -> Iterator[Plan]:
    lists = _list_count(count)
    codes = _code_bytes(dim, 1) + 8 + _ROW_NUMBER_BYTES
    why = f"one bit a dimension finds candidates in {lists:,} lists"
    size = _lists_bytes(lists, dim) + count * codes
    yield from _refined(Plan("ivf-rabitq", f"IVF{lists},RaBitQ", size, why, lists), count, dim)


_PLANS: Mapping[str, Callable[[int, int], Iterator[Plan]]] = {
    "flat": _flat,
    "hnsw": _hnsw,
    "ivf": _ivf,
    "ivf-pq": _ivf_pq,
    "rabitq": _rabitq,
    "ivf-rabitq": _ivf_rabitq,
}


def _refined(plain: Plan, count: int, dim: int) -> Iterator[Plan]:
    """A coarse index with 8-bit codes that rank its candidates again, with 4-bit ones, and alone."""
    for bits in (8, 4):
        yield replace(
            plain,
            factory=f"{plain.factory},Refine(SQ{bits})",
            bytes=plain.bytes + count * _code_bytes(dim, bits) + 8 * dim,
            why=f"{plain.why}, {bits} bits a number rank them",
            refine_bits=bits,
        )
    yield replace(plain, why=f"{plain.why}, nothing ranks them again")


def _list_count(count: int) -> int:
    """Choosing lists and reading them cost the same when there are about as many lists as rows in one."""
    return max(1, round(math.sqrt(count)))


def _lists_bytes(lists: int, dim: int) -> int:
    """A centroid and a length each."""
    return lists * (4 * dim + 8)


def _code_bytes(dim: int, bits: int) -> int:
    return math.ceil(dim * bits / 8)


@dataclass(frozen=True)
class Sample:
    """Rows of a collection: `training` (n, D), and held-back `queries` (Q, D) that are its `rows` (Q,)."""

    training: Vectors
    queries: Vectors
    rows: Rows


def draw_sample(parts: Sequence[Part], sizes: Sequence[int], plan: Plan, max_bytes: int | None) -> Sample:
    """Rows from parts all over the collection, at most 64 a list; the queries are held back from training.

    Reads at most 128 parts, evenly spaced: neighbours in a folder look alike.
    """
    rng = np.random.default_rng(0)
    wanted = min(_SAMPLE_MAX, max(_SAMPLE_PER_LIST * plan.lists, 20_000)) + _QUERIES
    taken = np.unique(np.linspace(0, len(parts) - 1, min(len(parts), _SAMPLE_PARTS)).astype(int))
    starts, share = np.cumsum([0, *sizes]), wanted / sum(sizes[place] for place in taken)
    blocks, rows = [], []
    for place in taken:
        vectors = parts[place].embeddings()
        if max_bytes is not None:  # the sample counts as memory too
            share = min(share, max_bytes / 2 / (len(taken) * vectors.nbytes))
        size = min(len(vectors), max(1, math.ceil(share * len(vectors))))
        chosen = np.sort(rng.choice(len(vectors), size, replace=False))
        blocks.append(vectors[chosen])
        rows.append(starts[place] + chosen)
    sample, numbers = np.concatenate(blocks), np.concatenate(rows)
    asked = rng.choice(len(sample), min(_QUERIES, len(sample)), replace=False)
    # A tiny collection cannot spare any row.
    training = sample if len(sample) < 5 * _QUERIES else np.delete(sample, asked, axis=0)
    return Sample(training, sample[asked], numbers[asked])


@dataclass
class Truth:
    """The exact neighbours of held-back queries, gathered block by block while the index is filled.

    Keeps the 64 nearest of each query but itself, so that ties at the tenth place count as found.
    """

    sample: Sample
    scores: Vectors = field(init=False)
    rows: Rows = field(init=False)

    def __post_init__(self) -> None:
        self.scores = np.empty((len(self.sample.rows), 0), np.float32)
        self.rows = np.empty((len(self.sample.rows), 0), np.int64)

    def add(self, start: int, vectors: Vectors) -> None:
        """Take in the rows `start` and following, (n, D)."""
        scores = self.sample.queries @ vectors.T
        numbers = np.arange(start, start + len(vectors))
        scores[self.sample.rows[:, None] == numbers] = -np.inf
        scores = np.concatenate([self.scores, scores], axis=1)
        rows = np.concatenate([self.rows, np.broadcast_to(numbers, (len(scores), len(vectors)))], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :_TIES] if scores.shape[1] > 0 else rows
        self.scores = np.take_along_axis(scores, best, axis=1)
        self.rows = np.take_along_axis(rows, best, axis=1)

    def recall(self, found: Rows) -> float:
        """The share of the ten nearest that are in `found` (Q, 11), which may hold the query itself."""
        depth = min(NEIGHBOURS, int(np.isfinite(self.scores).sum(axis=1).min(initial=_TIES)))
        if depth == 0:
            return 1.0
        shares = []
        for own, answer, rows, scores in zip(self.sample.rows, found, self.rows, self.scores, strict=True):
            true = rows[scores >= scores[depth - 1] - 1e-6]
            others = answer[answer != own][:depth]
            shares.append(np.isin(others, true).sum() / depth)
        return float(np.mean(shares))


@dataclass(frozen=True)
class IndexInfo:
    """What `derived/index.json` says of an index.

    `recall` is the share of the true ten nearest that it finds, measured when it was built on held-back
    rows; `latency_ms` the median of one query at a time on one core; `bytes` the size of the file;
    `parts` the number, checksum and rows of each part in it. `wanted`, `min_recall` and
    `max_memory_bytes` are what was asked for, `trained_rows` how many rows there were then.
    """

    kind: str
    reason: str
    recall: float
    latency_ms: float
    build_s: float
    bytes: int
    parameters: Mapping[str, int]
    parts: list[list[Any]]
    fingerprint: str
    dim: int
    lists: int
    refine_bits: int
    wanted: str
    min_recall: float
    max_memory_bytes: int | None
    trained_rows: int

    @property
    def count(self) -> int:
        """The number of rows that are indexed."""
        return sum(int(rows) for _, _, rows in self.parts)


def steps(info: IndexInfo, refine: int) -> Iterator[dict[str, int]]:
    """The parameters to try, from the fastest to the most thorough: 1, 2, 3, 4, 6, 8, 12, 16, 24..."""
    candidates = {"refine": refine} if info.refine_bits else {}
    if info.kind in ("flat", "rabitq"):
        yield candidates
        return
    name, first, last = ("ef_search", 16, 1024) if info.kind == "hnsw" else ("nprobe", 1, info.lists)
    efforts = sorted({first * 2**power * share // 2 for power in range(32) for share in (2, 3)})
    for effort in [effort for effort in efforts if effort < last] + [last]:
        yield {**candidates, name: effort}


def reason(info: IndexInfo, plan: Plan) -> str:
    """One sentence: how many vectors, what is done with them, how fast, and what could not be had."""
    size = f"{info.count:,} vectors of {info.dim:,}"
    text = f"{size}: {plan.why}, {info.latency_ms:.2g} ms a query"
    if info.wanted == "auto" and info.kind == "flat":
        text = f"{size}: exact search takes {info.latency_ms:.2g} ms, nothing faster is needed"
    if info.recall < info.min_recall:
        limit = f" within {info.max_memory_bytes:,} bytes" if info.max_memory_bytes else ""
        text += f"; recall {info.recall:.2f} is the best it gives{limit}, {info.min_recall:.2f} was wanted"
    return text


def widened(info: IndexInfo, k: int, matching: int) -> dict[str, int]:
    """The tuned parameters, made wider for more results than ten and for filters.

    Rows that match lie further from the query the fewer they are: the lists read grow with the root of
    that, and hold at least four times the rows that are wanted. A walk through the graph passes the rows
    that do not match too, so its effort grows with their number.
    """
    wider = dict(info.parameters)
    spread = (info.count / matching) ** 0.5
    if "nprobe" in wider:
        enough = max(wider["nprobe"] * spread, 4 * k * info.lists / matching)
        wider["nprobe"] = min(info.lists, round(enough) + 1) if enough > wider["nprobe"] else wider["nprobe"]
    if "ef_search" in wider:
        wider["ef_search"] = max(round(wider["ef_search"] * spread**2), 2 * k)
    if "refine" in wider and k > 100:  # the more are wanted, the fewer of them are near the border
        wider["refine"] = min(wider["refine"], max(2, 4000 // k))
    return wider


def paths(collection: Collection) -> tuple[Path, Path]:
    folder = collection.path / "derived"
    return folder / "index.faiss", folder / "index.json"


def read_info(collection: Collection) -> tuple[IndexInfo, str] | None:
    """What the JSON says, and the check of the file that it vouches for."""
    _, json_path = paths(collection)
    if not json_path.exists():
        return None
    try:
        fields = json.loads(json_path.read_bytes())
        if (fields["format"], fields["version"]) != (FORMAT, FORMAT_VERSION):
            raise ValueError("it has another format or version")
        return IndexInfo(**fields["info"]), str(fields["file"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unusable(collection, json_path, str(error)) from None


def file_check(path: Path) -> str:
    """The size of a file, and a SHA-256 of the first and last megabyte: cheap, and it tells files apart."""
    size = path.stat().st_size
    state = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        state.update(file.read(_CHECKED_BYTES))
        file.seek(max(0, size - _CHECKED_BYTES), os.SEEK_SET)
        state.update(file.read(_CHECKED_BYTES))
    return f"{size} {state.hexdigest()}"


def unusable(collection: Collection, path: Path, why: str) -> CollectionError:
    return CollectionError(
        f"the index {path} cannot be used: {why}", f"build it again with: lookalike index {collection.path}"
    )
