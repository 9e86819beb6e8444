"""Which index to build: the kinds, their costs, and the first that fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from lookalike.errors import LookalikeError, MemoryLimitError
from lookalike.index.info import ROW_NUMBER_BYTES

KINDS = ("flat", "hnsw", "ivf", "ivf-pq", "rabitq", "ivf-rabitq")

# Up to this many, a plain product with every vector takes one or two milliseconds: 10,000 vectors of 1,280.
_EXACT_NUMBERS = 10_000 * 1280
# With fewer dimensions, one bit for each says too little (RaBitQ's error falls with their square root).
_ONE_BIT_DIM = 128

_HNSW_LINKS = 32
# The bytes each row takes besides its codes: 64 links of 4 bytes on the bottom layer, 32 on each of the 1/31
# layers above that an average row is in, an offset and a level.
_HNSW_ROW_BYTES = 4 * (2 * _HNSW_LINKS + _HNSW_LINKS / 31) + 8 + 4


@dataclass(frozen=True)
class Plan:
    """One index that could be built: its description for faiss, its size, and what it does.

    `lists` is the number of cells of the inverted file, or 0 without one; `refine_bits` is the bits per
    number of the codes that rank the candidates again, or 0 if none do.
    """

    kind: str
    factory: str
    bytes: int
    why: str
    lists: int = 0
    refine_bits: int = 0


def choose(count: int, dim: int, kind: str, max_memory_bytes: int | None) -> Plan:
    """Return the first plan that fits; raises `MemoryLimitError`, which names the smallest possible limit.

    `auto` takes exact search while that is fast, then RaBitQ in an inverted file (IVF with 8-bit codes
    if the vectors are short), with coarser codes as long as the limit requires it.
    """
    plans = list(_automatic(count, dim) if kind == "auto" else _PLANS[kind](count, dim))
    for plan in plans:
        if max_memory_bytes is None or plan.bytes <= max_memory_bytes:
            return plan
    least = min(plan.bytes for plan in plans)
    name = "an index" if kind == "auto" else f"an index of kind {kind}"
    assert max_memory_bytes is not None
    raise MemoryLimitError(
        f"{name} over {count:,} vectors of {dim:,}",
        least,
        max_memory_bytes,
        "" if kind == "auto" else ", or leave `kind` to auto",
    )


def check_wishes(kind: str, max_memory_bytes: int | None, min_recall: float) -> None:
    """Raise `LookalikeError` for an unknown kind, or an invalid memory limit or recall."""
    if kind not in (*KINDS, "auto"):
        raise LookalikeError(f"unknown kind of index {kind!r}", f"known are: auto, {', '.join(KINDS)}")
    if not 0 < min_recall <= 1:
        raise LookalikeError(f"the target recall is {min_recall}, it has to be above 0 and at most 1")
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
    # Rounded to 8 bits, near vectors swap places (recall 0.95 to 0.99), and nothing ranks them again here.
    for bits, codes in ((16, "SQfp16"), (8, "SQ8")):
        size = int(count * (_code_bytes(dim, bits) + _HNSW_ROW_BYTES)) + 8 * dim * (bits == 8)
        yield Plan("hnsw", f"HNSW{_HNSW_LINKS},{codes}", size, f"a graph over {bits}-bit vectors")


def _ivf(count: int, dim: int) -> Iterator[Plan]:
    lists = _list_count(count)
    for bits in (8, 4):
        size = count * (_code_bytes(dim, bits) + ROW_NUMBER_BYTES) + _lists_bytes(lists, dim) + 8 * dim
        why = f"the nearest of {lists:,} lists of {bits}-bit vectors are read"
        yield Plan("ivf", f"IVF{lists},SQ{bits}", size, why, lists)


def _ivf_pq(count: int, dim: int) -> Iterator[Plan]:
    """Jegou, Douze & Schmid 2011, doi:10.1109/TPAMI.2010.57; one bit a dimension, as in RaBitQ."""
    lists = _list_count(count)
    bits = 4  # a few hundred vectors suffice for 16 centroids a piece; 256 would need thousands
    if count < 2**bits:
        raise LookalikeError(
            f"ivf-pq needs at least {2**bits} vectors to learn from, the collection has {count}",
            "leave `kind` to auto",
        )
    pieces = max(pieces for pieces in range(1, max(1, dim // bits) + 1) if dim % pieces == 0)
    fixed = _lists_bytes(lists, dim) + 4 * 2**bits * dim
    codes = math.ceil(pieces * bits / 8) + ROW_NUMBER_BYTES
    why = f"product codes find candidates in {lists:,} lists"
    plain = Plan("ivf-pq", f"IVF{lists},PQ{pieces}x{bits}", fixed + count * codes, why, lists)
    yield from _refined(plain, count, dim)


def _rabitq(count: int, dim: int) -> Iterator[Plan]:
    """Gao & Long 2024, arXiv:2405.12497: one bit a dimension and two factors."""
    size = 4 * dim + count * (_code_bytes(dim, 1) + 8)
    yield from _refined(Plan("rabitq", "RaBitQ", size, "one bit a dimension finds candidates"), count, dim)


def _ivf_rabitq(count: int, dim: int) -> Iterator[Plan]:
    lists = _list_count(count)
    codes = _code_bytes(dim, 1) + 8 + ROW_NUMBER_BYTES
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
    """A coarse index with codes of 16, 8 or 4 bits that rank its candidates again, then without."""
    # Rounded to 8 bits, near duplicates swap places (recall 0.93 instead of 0.98 of a million).
    for bits, codes in ((16, "SQfp16"), (8, "SQ8"), (4, "SQ4")):
        yield replace(
            plain,
            factory=f"{plain.factory},Refine({codes})",
            bytes=plain.bytes + count * _code_bytes(dim, bits) + 8 * dim * (bits < 16),
            why=f"{plain.why}, {bits} bits a number rank them",
            refine_bits=bits,
        )
    yield replace(plain, why=f"{plain.why}, nothing ranks them again")


def _list_count(count: int) -> int:
    """As many lists as there are rows in one, so that choosing lists and reading them cost the same."""
    return max(1, round(math.sqrt(count)))


def _lists_bytes(lists: int, dim: int) -> int:
    """The size of one centroid and one length for each list."""
    return lists * (4 * dim + 8)


def _code_bytes(dim: int, bits: int) -> int:
    return math.ceil(dim * bits / 8)
