"""Writes an index file larger than memory: codes are written to their places in the file as rows arrive.

In a faiss file, the codes of all rows are one block (a `Slot`) among what the index has learned, in row order
or list by list. We serialise an empty index that claims to have N rows, cut it at the slots, and fill
the slots here. Codes that belong in lists are set aside until all rows have arrived and then sorted by
list, as many lists at once as memory allows. Codes in an older file are copied, not computed again.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lookalike.index.faiss_library import emptied, faiss, levels, numbered
from lookalike.index.info import ROW_NUMBER_BYTES, Slot
from lookalike.storage.files import TEMPORARY_SUFFIX

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Old:
    """The old index file whose rows are copied: `moved` (N,) has each row's new number, or -1."""

    path: Path
    slots: list[Slot]
    moved: Rows


@dataclass(frozen=True)
class Encoded:
    """Codes of some rows, uint8 (n, B), and the lists (n,) that they belong to, or None."""

    codes: NDArray[np.uint8]
    lists: Rows | None = None


class Filling:
    """An index file of `count` rows being written; rows arrive in order, through `add` or `keep`.

    Besides one block of rows, it takes 16 bytes a row in memory, and at most `work_bytes` to sort by list.
    """

    def __init__(self, path: Path, empty: Any, count: int, work_bytes: int, old: Old | None = None) -> None:
        self._empty, self._old, self._work_bytes = empty, old, work_bytes
        self._done = 0
        self.slots, fixed = _layout(empty, count)
        self._added = _Added.beside(path)
        self._file = path.open("w+b")
        for offset, data in fixed:
            self._file.seek(offset)
            self._file.write(data)

    def __enter__(self) -> Filling:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._added.close()

    def encode(self, vectors: Vectors) -> list[Encoded]:
        """Encode these rows (n, D) for `add`, one for each slot; safe to call from several threads."""
        return [_encoded(level, vectors) for level in _slotted(self._empty)]

    def add(self, encoded: list[Encoded]) -> None:
        """Write the next rows."""
        for slot, one in zip(self.slots, encoded, strict=True):
            if one.lists is None:
                self._write(slot, one.codes)
            else:
                self._added.add(self._done, one.lists, one.codes)
        self._done += len(encoded[0].codes)

    def keep(self, old_start: int, count: int) -> None:
        """Copy the next `count` rows from the old file, from its row `old_start` on."""
        assert self._old is not None
        with self._old.path.open("rb") as file:
            for slot, old_slot in zip(self.slots, self._old.slots, strict=True):
                if not slot.lists:
                    file.seek(old_slot.offset + old_start * old_slot.code_bytes)
                    self._write(slot, np.fromfile(file, np.uint8, count * old_slot.code_bytes))
        self._done += count

    def finish(self) -> None:
        """Write the lists, after all rows have arrived."""
        for slot in self.slots:
            if slot.lists:
                self._write_lists(slot)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _write(self, slot: Slot, codes: NDArray[np.uint8]) -> None:
        self._file.seek(slot.offset + self._done * slot.code_bytes)
        self._file.write(codes.tobytes())

    def _write_lists(self, slot: Slot) -> None:
        kept = _Kept(self._old, slot.lists) if self._old else None
        sizes = self._added.sizes(slot.lists)
        if kept:
            sizes += kept.sizes()
        self._file.seek(slot.offset - sizes.nbytes)
        self._file.write(sizes.tobytes())
        row_bytes = slot.code_bytes + ROW_NUMBER_BYTES
        for first, last in _groups(sizes * row_bytes, self._work_bytes):
            ends = np.cumsum(sizes[first:last])
            places = np.concatenate([[0], ends[:-1]])
            codes = np.empty((ends[-1], slot.code_bytes), np.uint8)
            rows = np.empty(ends[-1], np.int64)
            if kept:
                kept.put(first, places, codes, rows)
            self._added.put(first, places, codes, rows)
            for end, size in zip(ends, sizes[first:last], strict=True):
                self._file.write(codes[end - size : end].tobytes())
                self._file.write(rows[end - size : end].tobytes())


class _Added:
    """New rows that belong in lists: their codes in a file, their lists and numbers in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lists: list[Rows] = []
        self._rows: list[Rows] = []

    @staticmethod
    def beside(path: Path) -> _Added:
        return _Added(
            path.with_name(path.name.removesuffix(TEMPORARY_SUFFIX) + ".codes" + TEMPORARY_SUFFIX).open("w+b")
        )

    def close(self) -> None:
        self._file.close()
        Path(self._file.name).unlink(missing_ok=True)

    def add(self, start: int, lists: Rows, codes: NDArray[np.uint8]) -> None:
        self._file.write(codes.tobytes())
        self._lists.append(lists)
        self._rows.append(np.arange(start, start + len(lists)))

    def sizes(self, lists: int) -> Rows:
        return sum((np.bincount(some, minlength=lists) for some in self._lists), np.zeros(lists, np.int64))

    def put(self, first: int, places: Rows, codes: NDArray[np.uint8], rows: Rows) -> None:
        """Put the rows of the lists from `first` on in their places, and advance the places."""
        self._file.seek(0)
        for lists, numbers in zip(self._lists, self._rows, strict=True):
            block = np.fromfile(self._file, np.uint8, len(lists) * codes.shape[1]).reshape(len(lists), -1)
            wanted = np.flatnonzero((lists >= first) & (lists < first + len(places)))
            wanted = wanted[np.argsort(lists[wanted], kind="stable")]
            own = lists[wanted] - first
            runs = np.searchsorted(own, own)  # the start of each run of equal lists
            target = places[own] + np.arange(len(own)) - runs
            codes[target], rows[target] = block[wanted], numbers[wanted]
            places += np.bincount(own, minlength=len(places))


class _Kept:
    """The rows of an older file in its lists, without those that are gone."""

    def __init__(self, old: Old, lists: int) -> None:
        self._old, self._slot = old, next(slot for slot in old.slots if slot.lists)
        with old.path.open("rb") as file:
            file.seek(self._slot.offset - 8 * lists)
            self._sizes = np.fromfile(file, np.int64, lists)
        row_bytes = self._slot.code_bytes + ROW_NUMBER_BYTES
        self._offsets = self._slot.offset + row_bytes * (np.cumsum(self._sizes) - self._sizes)

    def sizes(self) -> Rows:
        """The number of rows that stay in each list."""
        with self._old.path.open("rb") as file:
            return np.array([(self._rows(file, one) >= 0).sum() for one in range(len(self._sizes))], np.int64)

    def put(self, first: int, places: Rows, codes: NDArray[np.uint8], rows: Rows) -> None:
        """Put the rows of the lists from `first` on in their places, and advance the places."""
        with self._old.path.open("rb") as file:
            for place in range(len(places)):
                size = self._sizes[first + place]
                file.seek(self._offsets[first + place])
                block = np.fromfile(file, np.uint8, size * codes.shape[1]).reshape(size, -1)
                numbers = self._rows(file, first + place)
                stays = numbers >= 0
                target = slice(places[place], places[place] + stays.sum())
                codes[target], rows[target] = block[stays], numbers[stays]
                places[place] = target.stop

    def _rows(self, file: BinaryIO, one: int) -> Rows:
        """The new numbers of the rows of a list, -1 for those that are gone."""
        file.seek(self._offsets[one] + self._sizes[one] * self._slot.code_bytes)
        return self._old.moved[np.fromfile(file, np.int64, self._sizes[one])]


def _encoded(level: Any, vectors: Vectors) -> Encoded:
    if not hasattr(level, "invlists"):
        return Encoded(level.sa_encode(vectors))
    lists = np.ascontiguousarray(level.quantizer.search(vectors, 1)[1][:, 0])
    codes = np.empty((len(vectors), level.code_size), np.uint8)
    level.encode_vectors(len(vectors), *map(faiss().swig_ptr, (vectors, lists, codes)))
    return Encoded(codes, lists)


def _slotted(index: Any) -> list[Any]:
    """The levels of an index that have a slot in its file, one each."""
    return [level for level in levels(index) if level is not None]


def _groups(sizes: Rows, limit: int) -> list[tuple[int, int]]:
    """Ranges of adjacent lists of at most `limit` bytes together, or a single larger list."""
    groups, first, total = [], 0, 0
    for one, size in enumerate(sizes.tolist()):
        if total and total + size > limit:
            groups.append((first, one))
            first, total = one, 0
        total += size
    return [*groups, (first, len(sizes))]


def _layout(empty: Any, count: int) -> tuple[list[Slot], list[tuple[int, bytes]]]:
    """The slots in the file of an index of `count` rows, and the bytes between them with their offsets."""
    rest, offset = _serialized(empty, count), 0
    slots: list[Slot] = []
    fixed: list[tuple[int, bytes]] = []
    for level in _slotted(empty):
        head, slot, rest = _cut(rest, level, count)
        fixed.append((offset, head))
        slots.append(Slot(offset + len(head), level.code_size, slot.lists))
        offset += len(head) + slots[-1].size(count)
    return slots, [*fixed, (offset, rest)]


def _cut(data: bytes, level: Any, count: int) -> tuple[bytes, Slot, bytes]:
    """The data before a level's slot, with the sizes of `count` rows; the slot; the data after it."""
    if hasattr(level, "invlists"):
        mark = b"ilar" + struct.pack("<QQ", level.nlist, level.code_size)
        head, rest = data.split(mark + b"sprs" + struct.pack("<Q", 0), 1)
        sizes = struct.pack("<Q", level.nlist) + bytes(8 * level.nlist)
        return head + mark + b"full" + sizes, Slot(0, level.code_size, level.nlist), rest
    # Exact vectors are counted in floats, codes in bytes.
    unit = 1 if hasattr(level, "sq") or hasattr(level, "rabitq") else 4
    mark = struct.pack("<Q", level.code_size // unit) + level.sa_encode(_any_row(level.d)).tobytes()
    head, rest = data.split(mark, 1)
    return head + struct.pack("<Q", count * level.code_size // unit), Slot(0, level.code_size), rest


def _serialized(empty: Any, count: int) -> bytes:
    """The file of an index of `count` rows without their codes; one row's codes mark where codes belong."""
    for level in _slotted(empty):
        if not hasattr(level, "invlists"):
            level.add(_any_row(level.d))
    data = faiss().serialize_index(numbered(empty, count)).tobytes()
    emptied(empty)
    return bytes(data)


def _any_row(dim: int) -> Vectors:
    return np.random.default_rng(0).normal(size=(1, dim)).astype(np.float32)
