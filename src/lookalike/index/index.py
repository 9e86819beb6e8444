"""An open index: takes a query, a number of neighbours and a filter; returns cosines and rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import QueryError
from lookalike.index.faiss_library import (
    finest_codes,
    mapped,
    on_few_threads,
    parameters_for,
    rows_within,
    with_rows,
)
from lookalike.index.info import IndexInfo, is_whole, json_path, read_info, unusable
from lookalike.models.model import unit
from lookalike.storage.files import local_copy, remove
from lookalike.storage.state import State

Mask = NDArray[np.bool_]
Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]

# Up to so many matching rows are compared one by one: reading them takes less time than searching for them.
_FEW = 1000


class Index:
    """An open index; safe to search from several threads."""

    def __init__(self, info: IndexInfo, opened: Any) -> None:
        self.info = info
        self._opened = opened
        self._finest = finest_codes(opened)

    def search(self, queries: Vectors, k: int, mask: Mask | None = None) -> tuple[Vectors, Rows]:
        """Find the k nearest rows of each query, among those that `mask` (N,) allows.

        Queries are float32 (Q, D) of unit length. Returns cosines float32 (Q, k), descending, and rows int64
        (Q, k), numbered in the order of the parts; if fewer rows match, the rest is row -1 with score -1.
        Cosines are exact with `flat`, and off by a few thousandths if 8 bits rank.
        Raises `QueryError` for a wrong dimension, NaN, or an invalid k or mask.
        """
        queries = self._checked(queries, k, mask)
        matching = self.info.count if mask is None else int(np.count_nonzero(mask))
        scores = np.full((len(queries), k), -1, np.float32)
        rows = np.full((len(queries), k), -1, np.int64)
        wanted = min(k, matching)
        if not wanted or not len(queries):
            return scores, rows
        if mask is not None and matching <= _FEW and self._finest is not None:
            found = self._among(queries, wanted, np.flatnonzero(mask))
        else:
            bits = None if mask is None else np.packbits(mask, bitorder="little")
            found = self.ask(queries, wanted, widened(self.info, wanted, matching), bits)
            short = (found[1] < 0).any(axis=1)
            if short.any():
                found[0][short], found[1][short] = self._exhaustive(queries[short], wanted, bits)
        scores[:, :wanted] = np.where(found[1] < 0, -1, np.clip(found[0], -1, 1))
        rows[:, :wanted] = found[1]
        return scores, rows

    def ask(
        self, queries: Vectors, k: int, parameters: Mapping[str, int], bits: NDArray[np.uint8] | None = None
    ) -> tuple[Vectors, Rows]:
        """Search once with the given parameters; missing rows have the number -1."""
        wishes = parameters_for(self.info.kind, parameters, bits)
        scores, rows = on_few_threads(lambda: self._opened.search(queries, k, params=wishes), len(queries))
        return scores, rows

    def vectors(self, rows: Rows) -> Vectors | None:
        """Unit vectors float32 (n, D) of these rows, from codes of 8 bits or more; None without such codes.

        Their cosines to the stored vectors are at least 0.999.
        """
        if self._finest is None or self.info.refine_bits == 4:
            return None
        return unit(self._finest.reconstruct_batch(np.ascontiguousarray(rows, np.int64)))

    def _among(self, queries: Vectors, k: int, among: Rows) -> tuple[Vectors, Rows]:
        """Compare these rows (n,) by the finest codes there are, copied out for the purpose."""
        few = with_rows(self._finest, among)
        scores, found = on_few_threads(lambda: few.search(queries, k), len(queries))
        return scores, among[found]

    def _exhaustive(self, queries: Vectors, k: int, bits: NDArray[np.uint8] | None) -> tuple[Vectors, Rows]:
        """Compare every matching row by the finest codes there are."""
        if self._finest is None:
            every = {"nprobe": self.info.lists} if self.info.lists else {}
            return self.ask(queries, k, every, bits)
        wishes = parameters_for("flat", {}, bits)
        scores, rows = on_few_threads(lambda: self._finest.search(queries, k, params=wishes), len(queries))
        return scores, rows

    def _checked(self, queries: Vectors, k: int, mask: Mask | None) -> Vectors:
        queries = np.ascontiguousarray(queries, np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.info.dim:
            raise QueryError(f"the queries have shape {queries.shape}, the index takes (Q, {self.info.dim})")
        if not np.isfinite(queries).all():
            raise QueryError("a query has a number that is not finite")
        if k < 1:
            raise QueryError(f"k, the number of results, has to be at least 1, not {k}")
        if mask is not None and (mask.shape != (self.info.count,) or mask.dtype != np.bool_):
            raise QueryError(
                f"the mask is {mask.dtype} {mask.shape}, the index takes bool ({self.info.count},)"
            )
        return queries


def open_index(state: State) -> Index | None:
    """Map the index of exactly this state of the collection into memory; None if there is none.

    A stale index gives None too; `index_state` tells the two apart.
    Raises `CollectionError` if its file is truncated, damaged or a different one.
    """
    stored = read_info(state.root)
    if stored is None or stored[0].fingerprint != state.fingerprint:
        return None
    info, files = stored
    path = json_path(state.root).with_name(files.name)
    if not path.exists() and read_info(state.root) != stored:
        return open_index(state)  # another one has replaced it meanwhile
    try:
        here = local_copy(path, files.sha256)
        if not is_whole(here, info, files):
            if here != path:
                remove(here)
            raise unusable(state.root, path, "it is truncated, or not the file that index.json describes")
        index = mapped(here)
    except (OSError, RuntimeError) as error:
        raise unusable(state.root, path, str(error).splitlines()[0]) from None
    if not rows_within(index, info.count):
        raise unusable(state.root, path, "it is damaged: it names rows that are not there")
    return Index(info, index)


def index_state(state: State) -> Literal["none", "fresh", "stale"]:
    """Whether there is an index, and whether it belongs to this state of the collection."""
    stored = read_info(state.root)
    if stored is None:
        return "none"
    return "fresh" if stored[0].fingerprint == state.fingerprint else "stale"


def widened(info: IndexInfo, k: int, matching: int) -> dict[str, int]:
    """Widen the tuned parameters for more than ten results and for filters.

    The fewer rows match, the farther they are from the query: the number of lists read grows with the square
    root of that, and they hold at least four times the wanted rows. A walk through the graph passes rows
    that do not match too, so its effort grows with their number.
    """
    wider = dict(info.parameters)
    spread = (info.count / matching) ** 0.5
    if "nprobe" in wider:
        enough = max(wider["nprobe"] * spread, 4 * k * info.lists / matching)
        wider["nprobe"] = min(info.lists, round(enough) + 1) if enough > wider["nprobe"] else wider["nprobe"]
    if "ef_search" in wider:
        wider["ef_search"] = max(round(wider["ef_search"] * spread**2), 2 * k)
    if "refine" in wider and k > 100:  # with more results, a smaller share of them is near the border
        wider["refine"] = min(wider["refine"], max(2, 4000 // k))
    return wider
