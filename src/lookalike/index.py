"""Nearest neighbours without looking at every vector: builds, keeps, opens and asks an index.

The only module that knows faiss. An index is derived: `derived/index.faiss` and the JSON beside it, which
says from which state of the collection it was made, how well it does, and why it is the one.
docs/index.md explains the kinds.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lookalike.collection import Collection, writing
from lookalike.errors import ExtraError, LookalikeError, QueryError
from lookalike.files import local_copy, remove, replacing, write_bytes
from lookalike.indexing import (
    FORMAT,
    FORMAT_VERSION,
    KINDS,
    NEIGHBOURS,
    IndexInfo,
    Plan,
    Rows,
    Truth,
    Vectors,
    check_wishes,
    choose,
    draw_sample,
    file_check,
    paths,
    read_info,
    reason,
    steps,
    unusable,
    widened,
)
from lookalike.parts import Part
from lookalike.stores import each

__all__ = ["KINDS", "Index", "IndexInfo", "build_index", "index_state", "open_index", "refresh"]

Mask = NDArray[np.bool_]
Progress = Callable[[int, int], None]

# Below this share of matching rows it is faster to compare them all than to look for them.
_SELECTIVE = 0.01
# A walk through a graph has to pass all the rows that do not match.
_SELECTIVE_GRAPH = 0.15
_TIMED_QUERIES = 30
# An index that has grown to twice what it was trained on is trained again.
_GROWTH = 2
# Rotated queries are rounded to this many bits a number; 0 would mean floats, many times slower.
_QUERY_BITS = 8


class Index:
    """An open index; safe to ask from several threads."""

    def __init__(self, info: IndexInfo, opened: Any) -> None:
        self.info = info
        self._opened = opened

    def search(self, queries: Vectors, k: int, mask: Mask | None = None) -> tuple[Vectors, Rows]:
        """The k nearest rows of each query, of those that `mask` (N,) allows.

        Queries are float32 (Q, D) of unit length. Returns cosines float32 (Q, k), falling, and rows int64
        (Q, k), counted over the collection's rows in the order of parts; where fewer match the rest is
        row -1 with score -1. Cosines are exact with `flat`, and off by some thousandths where 8 bits rank.
        Raises `QueryError` for another dimension, NaN, or a k or mask that cannot be.
        """
        queries = self._checked(queries, k, mask)
        matching = self.info.count if mask is None else int(mask.sum())
        scores = np.full((len(queries), k), -1, np.float32)
        rows = np.full((len(queries), k), -1, np.int64)
        wanted = min(k, matching)
        if not wanted or not len(queries):
            return scores, rows
        bits = None if mask is None else np.packbits(mask, bitorder="little")
        selective = _SELECTIVE_GRAPH if self.info.kind == "hnsw" else _SELECTIVE
        if matching < selective * self.info.count:
            found = self._exhaustive(queries, wanted, bits)
        else:
            parameters = widened(self.info, wanted, matching)
            found = self._ask(queries, wanted, parameters, bits)
            short = (found[1] < 0).any(axis=1)
            if short.any():
                found[0][short], found[1][short] = self._exhaustive(queries[short], wanted, bits)
        scores[:, :wanted] = np.where(found[1] < 0, -1, np.clip(found[0], -1, 1))
        rows[:, :wanted] = found[1]
        return scores, rows

    def _ask(
        self, queries: Vectors, k: int, parameters: Mapping[str, int], bits: NDArray[np.uint8] | None = None
    ) -> tuple[Vectors, Rows]:
        """One search with given parameters; rows that are missing have the number -1."""
        wishes = _search_parameters(self.info, parameters, _selector(bits))
        return _on_few_threads(lambda: self._opened.search(queries, k, params=wishes), len(queries))

    def _exhaustive(self, queries: Vectors, k: int, bits: NDArray[np.uint8] | None) -> tuple[Vectors, Rows]:
        """Compare every row that matches, by the finest codes there are."""
        finest = None
        if self.info.refine_bits:
            finest = _faiss().downcast_index(self._opened.refine_index)
        elif self.info.kind == "hnsw":
            finest = _faiss().downcast_index(self._opened.storage)
        if finest is None:
            every = {name: self.info.lists for name in self.info.parameters if name == "nprobe"}
            return self._ask(queries, k, every, bits)
        wishes = _faiss().SearchParameters(sel=_selector(bits))
        return _on_few_threads(lambda: finest.search(queries, k, params=wishes), len(queries))

    def _checked(self, queries: Vectors, k: int, mask: Mask | None) -> Vectors:
        queries = np.ascontiguousarray(queries, np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.info.dim:
            raise QueryError(f"queries have the shape {queries.shape}, the index takes (Q, {self.info.dim})")
        if not np.isfinite(queries).all():
            raise QueryError("a query has a number that is not finite")
        if k < 1:
            raise QueryError(f"k is the number of results, at least 1, not {k}")
        if mask is not None and (mask.shape != (self.info.count,) or mask.dtype != np.bool_):
            raise QueryError(
                f"the mask is {mask.dtype} {mask.shape}, the index takes bool ({self.info.count},)"
            )
        return queries


def build_index(
    collection: Collection,
    kind: str = "auto",
    *,
    max_memory_bytes: int | None = None,
    min_recall: float = 0.95,
    on_progress: Progress | None = None,
) -> IndexInfo:
    """Build the index of a collection in place of the one that is there, and measure it.

    `kind` is one of `KINDS`, or `auto` for the one that suits number, dimension and memory. Trains on a
    sample and adds part by part: beside the index itself, a sample and one part are in memory. Where
    `min_recall` cannot be reached the best is built, and `reason` says so.
    Raises `LookalikeError` for wishes that cannot be met, `LockedError` while another process writes.
    """
    check_wishes(kind, max_memory_bytes, min_recall)
    with writing(collection.path):
        return _build(collection, kind, max_memory_bytes, min_recall, on_progress)


def open_index(collection: Collection) -> Index | None:
    """The index of exactly this state of the collection, mapped into memory; None where there is none.

    A stale index is None too; `index_state` tells them apart.
    Raises `CollectionError` where its file is truncated, damaged or another one.
    """
    stored = read_info(collection)
    if stored is None or stored[0].fingerprint != collection.fingerprint():
        return None
    return Index(stored[0], _read(collection, stored[1], mapped=True))


def index_state(collection: Collection) -> Literal["none", "fresh", "stale"]:
    """Whether there is an index, and whether it was made from this state of the collection."""
    stored = read_info(collection)
    if stored is None:
        return "none"
    return "fresh" if stored[0].fingerprint == collection.fingerprint() else "stale"


def refresh(collection: Collection, *, on_progress: Progress | None = None) -> IndexInfo | None:
    """Bring the index up to date; None where there is none.

    New parts are added to it as it is. Where a part was changed or removed, or the rows have doubled, or
    the memory limit would be broken, it is built again from the same wishes.
    """
    if index_state(collection) == "none":
        return None
    with writing(collection.path):
        stored = read_info(collection)
        if stored is None:  # removed meanwhile
            return None
        old, file = stored
        parts = _part_states(collection)
        fingerprint = collection.fingerprint()
        if old.fingerprint == fingerprint:
            return old
        total = sum(rows for _, _, rows in parts)
        growth = total / max(1, old.count)
        fits = old.max_memory_bytes is None or old.bytes * growth <= old.max_memory_bytes
        if parts[: len(old.parts)] != old.parts or total >= _GROWTH * old.trained_rows or not fits:
            return _build(collection, old.wanted, old.max_memory_bytes, old.min_recall, on_progress)
        index = _read(collection, file, mapped=False)
        new = collection.parts()[len(old.parts) :]
        for done, part in enumerate(new, 1):
            index.add(part.embeddings())
            if on_progress:
                on_progress(done, len(new))
        return _write(collection, index, replace(old, parts=parts, fingerprint=fingerprint))


def _build(
    collection: Collection,
    kind: str,
    max_memory_bytes: int | None,
    min_recall: float,
    on_progress: Progress | None,
) -> IndexInfo:
    started = time.perf_counter()
    parts, states = collection.parts(), _part_states(collection)
    sizes, dim = [rows for _, _, rows in states], collection.manifest.model.dim
    if not parts:
        raise LookalikeError(f"{collection.path} has no images to index", "build it first: lookalike build")
    plan = choose(sum(sizes), dim, kind, max_memory_bytes)
    sample = draw_sample(parts, sizes, plan, max_memory_bytes)
    index, truth, done = _trained(plan, sample.training), Truth(sample), 0
    for part in parts:
        vectors = part.embeddings()
        index.add(vectors)
        truth.add(done, vectors)
        done += len(vectors)
        if on_progress:
            on_progress(done, sum(sizes))
    info = IndexInfo(
        kind=plan.kind, reason="", recall=0, latency_ms=0, build_s=0, bytes=0, parameters={},
        parts=states, fingerprint=collection.fingerprint(), dim=dim, lists=plan.lists,
        refine_bits=plan.refine_bits, wanted=kind, min_recall=min_recall,
        max_memory_bytes=max_memory_bytes, trained_rows=sum(sizes),
    )  # fmt: skip
    info = _tuned(Index(info, index), truth, min_recall)
    info = replace(info, reason=reason(info, plan), build_s=time.perf_counter() - started)
    return _write(collection, index, info)


def _trained(plan: Plan, vectors: Vectors) -> Any:
    """An empty faiss index of inner products, trained on (n, D)."""
    faiss = _faiss()
    index = faiss.index_factory(vectors.shape[1], plan.factory, faiss.METRIC_INNER_PRODUCT)
    inner = faiss.downcast_index(index.base_index) if plan.refine_bits else index
    for trainable in (inner, getattr(inner, "pq", None)):
        if trainable is not None and hasattr(trainable, "cp"):
            trainable.cp.min_points_per_centroid = 1  # else it warns on the standard output
            trainable.cp.max_points_per_centroid = 64
    if hasattr(inner, "do_polysemous_training"):
        inner.do_polysemous_training = (
            False  # orders the codes for a search that is not used, in half a minute
        )
    index.train(vectors)
    return index


def _tuned(index: Index, truth: Truth, min_recall: float) -> IndexInfo:
    """The info with the parameters that reach the recall in the least time, or else the highest recall."""
    fastest: IndexInfo | None = None
    best = replace(index.info, recall=-1)
    for refine in (4, 16, 64) if index.info.refine_bits else (1,):
        for parameters in steps(index.info, refine):
            effort = parameters.get("nprobe", 0)
            if fastest and effort >= fastest.parameters.get("nprobe", 0):
                break  # more candidates from as many lists can only be slower
            _, rows = index._ask(truth.sample.queries, _asked(index.info), parameters)
            recall = truth.recall(rows)
            if recall < min_recall:
                if recall > best.recall:
                    best = replace(index.info, parameters=parameters, recall=recall)
                continue
            reached = replace(index.info, parameters=parameters, recall=recall)
            reached = replace(reached, latency_ms=_latency_ms(index, reached, truth.sample.queries))
            if fastest is None or reached.latency_ms < fastest.latency_ms:
                fastest = reached
            break
    return fastest or replace(best, latency_ms=_latency_ms(index, best, truth.sample.queries))


def _asked(info: IndexInfo) -> int:
    """Ten neighbours, and the query's own row, where there are as many."""
    return min(NEIGHBOURS + 1, info.count)


def _latency_ms(index: Index, info: IndexInfo, queries: Vectors) -> float:
    times = []
    for query in queries[:_TIMED_QUERIES]:
        started = time.perf_counter()
        index._ask(query[None], _asked(info), info.parameters)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


def _search_parameters(info: IndexInfo, parameters: Mapping[str, int], selector: Any) -> Any:
    """The parameters as the class that faiss has for this kind."""
    faiss, lists = _faiss(), {name: value for name, value in parameters.items() if name == "nprobe"}
    wishes: Any
    if info.kind == "hnsw":
        wishes = faiss.SearchParametersHNSW(efSearch=parameters["ef_search"], sel=selector)
    elif info.kind == "rabitq":
        wishes = faiss.RaBitQSearchParameters(qb=_QUERY_BITS, sel=selector)
    elif info.kind == "ivf-rabitq":
        wishes = faiss.IVFRaBitQSearchParameters(qb=_QUERY_BITS, sel=selector, **lists)
    elif info.kind == "ivf-pq":
        wishes = faiss.IVFPQSearchParameters(sel=selector, **lists)
    elif info.kind == "ivf":
        wishes = faiss.SearchParametersIVF(sel=selector, **lists)
    else:
        wishes = faiss.SearchParameters(sel=selector)
    if not info.refine_bits:
        return wishes
    return faiss.IndexRefineSearchParameters(k_factor=float(parameters["refine"]), base_index_params=wishes)


def _faiss() -> Any:
    """The library, loaded when it is first needed; its own type hints do not know its Python additions."""
    try:
        import faiss
    except ImportError:
        raise ExtraError("an index needs faiss", "search") from None
    return faiss


def _selector(bits: NDArray[np.uint8] | None) -> Any:
    if bits is None:
        return None
    return _faiss().IDSelectorBitmap(bits)


def _on_few_threads(ask: Callable[[], Any], query_count: int) -> tuple[Vectors, Rows]:
    """Ask on one thread for one query: waking others takes longer than the search itself."""
    faiss = _faiss()
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(min(threads, query_count))
    try:
        scores, rows = ask()
    finally:
        faiss.omp_set_num_threads(threads)
    return scores, rows


def _part_states(collection: Collection) -> list[list[Any]]:
    """Number, checksum and rows of each part, from the footers."""

    def state(part: Part) -> list[Any]:
        return [part.number, part.checksum(), part.num_rows()]

    return list(each(collection.parts(), state, collection.path))


def _write(collection: Collection, index: Any, info: IndexInfo) -> IndexInfo:
    """Write the file, then the JSON that vouches for it; returns the info with the file's size."""
    faiss = _faiss()
    path, json_path = paths(collection)
    with replacing(path) as file:
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))
    info = replace(info, bytes=path.stat().st_size)
    fields = {"format": FORMAT, "version": FORMAT_VERSION, "file": file_check(path), "info": asdict(info)}
    write_bytes(json_path, (json.dumps(fields, indent=2) + "\n").encode())
    return info


def _read(collection: Collection, check: str, *, mapped: bool) -> Any:
    faiss = _faiss()
    path, _ = paths(collection)
    try:
        here = local_copy(path, check)
        if file_check(here) != check:
            if here != path:
                remove(here)
            raise unusable(collection, path, "it is truncated, or not the file that index.json describes")
        return faiss.read_index(str(here), faiss.IO_FLAG_MMAP_IFC if mapped else 0)
    except (OSError, RuntimeError) as error:
        raise unusable(collection, path, str(error).splitlines()[0]) from None
