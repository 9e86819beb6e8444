"""The status tables of a download: a row for every URL of the list, a file for every shard.

The rename of a shard's status table commits the shard. Its footer says which rows of the list it has and
has a checksum of their URLs, so that a later run knows what is done and whether the list is the same.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lookalike.acquire.seen import Seen
from lookalike.errors import LookalikeError
from lookalike.sources.url_lists import Row
from lookalike.storage.files import replacing

SUCCESS, FAILED, DUPLICATE = "success", "failed", "duplicate"

# img2dataset's names if it has one, for the tools that read its tables.
FIELDS = [
    pa.field("key", pa.string(), nullable=False),
    pa.field("url", pa.string(), nullable=False),
    pa.field("status", pa.string(), nullable=False),
    pa.field("error", pa.string()),
    pa.field("error_message", pa.string()),
    pa.field("http_status", pa.int32()),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("original_width", pa.int32()),
    pa.field("original_height", pa.int32()),
    pa.field("sha256", pa.string()),
    pa.field("bytes", pa.int64()),
]
_NAMES = frozenset(field.name for field in FIELDS)
_NAME = re.compile(r"(\d{5,})\.parquet")
_FIRST_ROW, _URLS = b"lookalike.first_row", b"lookalike.urls_sha256"


@dataclass(frozen=True, slots=True)
class Chunk:
    """The rows of a shard; `first_row` is their start in the list, None for a retry."""

    number: int
    rows: list[Row]
    first_row: int | None


@dataclass(frozen=True, slots=True)
class Finished:
    """The part of the list that a committed shard covers: its number of rows, and their URLs' checksum."""

    rows: int
    urls_sha256: str


def column_name(name: str) -> str:
    """Return the name of a list's column in the table, changed if the status uses it."""
    return f"{name}_" if name in _NAMES else name


def write_status(
    path: Path, chunk: Chunk, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, pa.DataType]
) -> None:
    """Commit a shard: its rows in the order of the list, whole or not at all."""
    schema = pa.schema([*FIELDS, *(pa.field(column_name(name), type_) for name, type_ in columns.items())])
    footer = {_URLS: _checksum(chunk.rows)}
    if chunk.first_row is not None:
        footer[_FIRST_ROW] = str(chunk.first_row)
    table = pa.Table.from_pylist(list(rows), schema.with_metadata(footer))
    with replacing(path) as file:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)


def status_files(folder: Path) -> dict[int, Path]:
    """Return the status table of each committed shard by number."""
    found = {
        int(match[1]): path for path in folder.glob("*.parquet") if (match := _NAME.fullmatch(path.name))
    }
    return dict(sorted(found.items()))


def chunks_left(
    rows: Iterator[Row], folder: Path, shard_size: int, seen: Seen, is_free: Callable[[int], bool]
) -> Iterator[tuple[Chunk, Sequence[bool]]]:
    """Yield the chunks of a list that no shard has, and which of their URLs are repeats.

    They get the next free numbers.

    Raises `LookalikeError` if a shard was made from other URLs than the list now has there.
    """
    files = status_files(folder)
    finished = _finished(files)
    starts = sorted(finished)
    numbers, first_row = filter(is_free, count(max(files, default=-1) + 1)), 0
    while True:
        known = finished.get(first_row)
        at = bisect(starts, first_row)
        size = (
            known.rows if known else min([shard_size, *(start - first_row for start in starts[at : at + 1])])
        )
        taken = _take(rows, size)
        chunk = Chunk(next(numbers) if taken and not known else -1, taken, first_row)
        if known and _checksum(chunk.rows) != known.urls_sha256:
            raise LookalikeError(
                f"{folder} was made from another list: the URLs differ from row {first_row + 1:,} onwards",
                "give another folder, or the original list; you may add rows at its end",
            )
        if not chunk.rows:
            return
        duplicate = seen.add([url for url, _ in chunk.rows])
        if not known:
            yield chunk, duplicate.tolist()
        first_row += len(chunk.rows)


def failed_chunks(
    folder: Path, columns: Mapping[str, pa.DataType], shard_size: int, is_free: Callable[[int], bool]
) -> Iterator[tuple[Chunk, Sequence[bool]]]:
    """Yield every URL that failed and never succeeded, in chunks for new shards."""
    files = status_files(folder)
    done = Seen()
    for path in files.values():
        table = pq.read_table(path, columns=["url", "status"])
        done.add(table.filter(pc.equal(table["status"], SUCCESS))["url"].to_pylist())
    rows = _failed_rows(files.values(), columns, done)
    numbers = filter(is_free, count(max(files, default=-1) + 1))
    while taken := _take(rows, shard_size):
        yield Chunk(next(numbers), taken, None), [False] * len(taken)


def _failed_rows(paths: Iterable[Path], columns: Mapping[str, pa.DataType], done: Seen) -> Iterator[Row]:
    for path in paths:
        table = pq.read_table(path)
        failed = table.filter(pc.equal(table["status"], FAILED)).to_pylist()
        again = ~np.asarray(done.add([row["url"] for row in failed]), bool)
        for row, wanted in zip(failed, again, strict=True):
            if wanted:
                yield row["url"], {name: row.get(column_name(name)) for name in columns}


def _finished(files: Mapping[int, Path]) -> dict[int, Finished]:
    """Return the committed shards by the first row that they cover."""
    found = {}
    for path in files.values():
        metadata = pq.read_metadata(path)
        footer = metadata.metadata or {}
        if _URLS not in footer:
            raise LookalikeError(f"{path} was not made by a download", "give another folder")
        if _FIRST_ROW in footer:
            found[int(footer[_FIRST_ROW])] = Finished(metadata.num_rows, footer[_URLS].decode())
    return found


def _take(rows: Iterator[Row], count: int) -> list[Row]:
    return list(islice(rows, count))


def _checksum(rows: Sequence[Row]) -> str:
    return hashlib.sha256("\n".join(url for url, _ in rows).encode("utf-8", "surrogatepass")).hexdigest()
