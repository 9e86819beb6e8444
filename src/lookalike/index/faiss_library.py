"""faiss, and the few things that it is asked in one way only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Rotated queries are rounded to this many bits a number; 0 would mean floats, many times slower.
_QUERY_BITS = 8
_POINTS_PER_CENTRE = 32


def faiss() -> Any:
    """The library, loaded when it is first needed; its own type hints do not know its Python additions."""
    import faiss

    return faiss


def trained(factory: str, vectors: NDArray[np.float32]) -> Any:
    """An index of inner products without rows, trained on (n, D)."""
    index = faiss().index_factory(vectors.shape[1], factory, faiss().METRIC_INNER_PRODUCT)
    inner, _ = levels(index)
    for trainable in (inner, getattr(inner, "pq", None)):
        if trainable is not None and hasattr(trainable, "cp"):
            trainable.cp.min_points_per_centroid = 1  # else it warns on the standard output
            trainable.cp.max_points_per_centroid = _POINTS_PER_CENTRE
    if hasattr(inner, "do_polysemous_training"):
        # It orders the codes for a search that is not used, in half a minute.
        inner.do_polysemous_training = False
    index.train(vectors)
    return index


def levels(index: Any) -> tuple[Any, Any]:
    """What finds candidates, and what ranks them again or None, each as its own class."""
    if not hasattr(index, "refine_index"):
        return index, None
    return faiss().downcast_index(index.base_index), faiss().downcast_index(index.refine_index)


def mapped(path: Path) -> Any:
    """The index in a file, which stays on the disk and is read where it is looked at."""
    return faiss().read_index(str(path), faiss().IO_FLAG_MMAP_IFC)


def in_memory(path: Path) -> Any:
    """The index in a file, read as a whole, so that it can grow."""
    return faiss().read_index(str(path))


def emptied(index: Any) -> Any:
    """The same index, trained as it is, without its rows."""
    for level in levels(index):
        if hasattr(level, "invlists"):
            lists = faiss().ArrayInvertedLists(level.nlist, level.code_size)
            level.replace_invlists(lists, True)
            lists.this.disown()
        elif level is not None:
            level.codes = type(level.codes)()
    return numbered(index, 0)


def numbered(index: Any, count: int) -> Any:
    """The same index, which now says that it has `count` rows."""
    for level in (index, *levels(index)):
        if level is not None:
            level.ntotal = count
    return index


def parameters_for(kind: str, wanted: Mapping[str, int], bits: NDArray[np.uint8] | None) -> Any:
    """Search parameters as the class that faiss has for this kind; `bits` has one for each row to look at."""
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
    """Ask on one thread for one query: waking others takes longer than the search itself."""
    threads = faiss().omp_get_max_threads()
    faiss().omp_set_num_threads(min(threads, query_count))
    try:
        return ask()
    finally:
        faiss().omp_set_num_threads(threads)


def finest_codes(index: Any) -> Any:
    """The part of an index that holds codes in the order of rows, the finest if there are two; or None."""
    candidates, ranks = levels(index)
    if hasattr(candidates, "hnsw"):
        candidates = faiss().downcast_index(candidates.storage)
    finest = candidates if ranks is None else ranks
    return finest if hasattr(finest, "codes") and not hasattr(finest, "rabitq") else None


def with_rows(codes: Any, rows: NDArray[np.int64]) -> Any:
    """An index in memory of some rows of one that holds codes in the order of rows, exact or quantised."""
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
    """Whether all row numbers in the lists are below `count`; others would be read out of bounds."""
    candidates, _ = levels(index)
    lists: Any = getattr(candidates, "invlists", None)
    for one in range(candidates.nlist if lists else 0):
        if size := lists.list_size(one):
            rows = faiss().rev_swig_ptr(lists.get_ids(one), size).view(np.uint64)
            if rows.max() >= count:
                return False
    return True


def on_one_thread() -> None:
    """Have faiss use one thread only for what this thread asks of it."""
    faiss().omp_set_num_threads(1)
