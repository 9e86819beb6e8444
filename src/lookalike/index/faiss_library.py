"""faiss, and the few calls to it that we always make in the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Rotated queries are rounded to this many bits per number; 0 would mean floats, many times slower.
_QUERY_BITS = 8
_POINTS_PER_CENTRE = 32


def faiss() -> Any:
    """The library, imported when first needed; its type hints do not cover its Python additions."""
    import faiss

    return faiss


def trained(factory: str, vectors: NDArray[np.float32]) -> Any:
    """Create an empty inner-product index, trained on (n, D) vectors."""
    index = faiss().index_factory(vectors.shape[1], factory, faiss().METRIC_INNER_PRODUCT)
    inner, _ = levels(index)
    for trainable in (inner, getattr(inner, "pq", None)):
        if trainable is not None and hasattr(trainable, "cp"):
            trainable.cp.min_points_per_centroid = 1  # otherwise faiss prints a warning on standard output
            trainable.cp.max_points_per_centroid = _POINTS_PER_CENTRE
    if hasattr(inner, "do_polysemous_training"):
        # It would order the codes for a search that we do not use, for half a minute.
        inner.do_polysemous_training = False
    index.train(vectors)
    return index


def levels(index: Any) -> tuple[Any, Any]:
    """The level that finds candidates and the one that ranks them again (or None), each as its own class."""
    if not hasattr(index, "refine_index"):
        return index, None
    return faiss().downcast_index(index.base_index), faiss().downcast_index(index.refine_index)


def mapped(path: Path) -> Any:
    """Open the index in a file by mapping it; it stays on disk and is read where needed."""
    return faiss().read_index(str(path), faiss().IO_FLAG_MMAP_IFC)


def in_memory(path: Path) -> Any:
    """Read the whole index from a file into memory, so that it can grow."""
    return faiss().read_index(str(path))


def emptied(index: Any) -> Any:
    """The same index, still trained, without its rows."""
    for level in levels(index):
        if hasattr(level, "invlists"):
            lists = faiss().ArrayInvertedLists(level.nlist, level.code_size)
            level.replace_invlists(lists, True)
            lists.this.disown()
        elif level is not None:
            level.codes = type(level.codes)()
    return numbered(index, 0)


def numbered(index: Any, count: int) -> Any:
    """The same index, made to report `count` rows."""
    for level in (index, *levels(index)):
        if level is not None:
            level.ntotal = count
    return index


def parameters_for(kind: str, wanted: Mapping[str, int], bits: NDArray[np.uint8] | None) -> Any:
    """Search parameters in the class that faiss has for this kind; `bits` selects the rows to include."""
    library, selector = faiss(), None if bits is None else faiss().IDSelectorBitmap(bits)
    lists = {name: value for name, value in wanted.items() if name == "nprobe"}
    wishes: Any
    if kind == "hnsw":
        wishes = library.SearchParametersHNSW(efSearch=wanted["ef_search"], sel=selector)
    elif kind == "rabitq":
        wishes = library.RaBitQSearchParameters(qb=_QUERY_BITS, sel=selector)
    elif kind == "ivf-rabitq":
        wishes = library.IVFRaBitQSearchParameters(qb=_QUERY_BITS, sel=selector, **lists)
    elif kind == "ivf-pq":
        wishes = library.IVFPQSearchParameters(sel=selector, **lists)
    elif kind == "ivf":
        wishes = library.SearchParametersIVF(sel=selector, **lists)
    else:
        wishes = library.SearchParameters(sel=selector)
    if "refine" not in wanted:
        return wishes
    return library.IndexRefineSearchParameters(k_factor=float(wanted["refine"]), base_index_params=wishes)


def on_few_threads(ask: Callable[[], Any], query_count: int) -> Any:
    """Run a search on at most one thread for each query: waking others takes longer than searching."""
    threads = faiss().omp_get_max_threads()
    faiss().omp_set_num_threads(min(threads, query_count))
    try:
        return ask()
    finally:
        faiss().omp_set_num_threads(threads)


def finest_codes(index: Any) -> Any:
    """The finest level of an index that stores codes in row order, or None."""
    candidates, ranks = levels(index)
    if hasattr(candidates, "hnsw"):
        candidates = faiss().downcast_index(candidates.storage)
    finest = candidates if ranks is None else ranks
    return finest if hasattr(finest, "codes") and not hasattr(finest, "rabitq") else None


def with_rows(codes: Any, rows: NDArray[np.int64]) -> Any:
    """Copy some rows of an index that stores codes in row order, exact or quantised, into one in memory."""
    if hasattr(codes, "sq"):
        some = faiss().IndexScalarQuantizer(codes.d, codes.sq.qtype, codes.metric_type)
        some.sq, some.is_trained = codes.sq, True
    else:
        some = faiss().IndexFlat(codes.d, codes.metric_type)
    every = faiss().rev_swig_ptr(codes.codes.data(), codes.ntotal * codes.code_size)
    copied = every.reshape(codes.ntotal, -1)[rows]
    some.add_sa_codes_c(len(rows), faiss().swig_ptr(copied), None)
    return some


def rows_within(index: Any, count: int) -> bool:
    """Whether all row numbers in the lists are below `count`; larger ones would be read out of bounds."""
    candidates, _ = levels(index)
    lists: Any = getattr(candidates, "invlists", None)
    for one in range(candidates.nlist if lists else 0):
        if size := lists.list_size(one):
            rows = faiss().rev_swig_ptr(lists.get_ids(one), size).view(np.uint64)
            if rows.max() >= count:
                return False
    return True


def on_one_thread() -> None:
    """Make faiss use a single thread for calls from this thread."""
    faiss().omp_set_num_threads(1)
