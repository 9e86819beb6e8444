"""Parquet files that contain their own checksum, written and read back, on a disk or in a store.

The footer has the SHA-256 of the file, computed with 64 zeros in its place, so that one rename commits the
rows together with the means to verify them.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from lookalike.errors import CollectionError, LookalikeError, StoreError, call, one_line
from lookalike.storage.files import write_bytes
from lookalike.storage.stores import StorePath, is_remote

if TYPE_CHECKING:
    import pyarrow.parquet as pq

CHECKSUM_KEY = "lookalike.sha256"
_NO_CHECKSUM = b"0" * 64
# How much is read from the end of a file in a store: a footer takes some kB, more with hundreds of columns.
_TAIL_BYTES = 1 << 16
_ATTEMPTS = 3


def is_parquet(path: Path) -> bool:
    """Whether a file is named like one of Parquet."""
    return path.suffix.lower() in (".parquet", ".pq")


def read_with_notes(
    path: Path, columns: Sequence[str] | None = None, embedding: bool = True
) -> tuple[pa.Table, dict[str, str]]:
    """Read some columns (all by default) and the notes of the footer, opening the file once.

    Page checksums are verified; raises `CollectionError` if the file is damaged.
    """
    if is_remote(path):
        return _read_remote(path, columns, embedding)
    import pyarrow.parquet as pq  # not needed if the rows are mapped

    try:
        # Opened here, so that Arrow never takes a path for an address of another file system.
        with path.open("rb") as file, pq.ParquetFile(file, page_checksum_verification=True) as parquet:
            return _rows(parquet, columns, embedding), _notes(parquet.metadata)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def read_footer(path: Path) -> pq.FileMetaData:
    """Read the footer: rows, columns and notes; raises `CollectionError` if the file is damaged."""
    try:
        if is_remote(path):
            return _remote_footer(path)
        status = path.stat()
        return _local_footer(path, (status.st_ino, status.st_mtime_ns, status.st_size))
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def read_notes(path: Path) -> dict[str, str]:
    """The key-value pairs of the footer: `CHECKSUM_KEY` and the writer's notes."""
    return _notes(read_footer(path))


def write_parquet(path: Path, table: pa.Table, notes: Mapping[str, str]) -> None:
    """Write a table atomically, with its checksum and these notes in the footer."""
    write_bytes(path, parquet_bytes(table, notes))


def parquet_bytes(table: pa.Table, notes: Mapping[str, str]) -> bytes:
    """The file of a table, with its checksum and these notes in the footer."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    plain = [field.name for field in table.schema if pa.types.is_string(field.type)]
    single = [field.name for field in table.schema if not pa.types.is_nested(field.type)]
    with pq.ParquetWriter(
        buffer,
        table.schema,
        compression=dict.fromkeys(plain, "zstd"),
        use_dictionary=plain,
        write_statistics=single,  # the least and the greatest number of all vectors tell nothing
        write_page_checksum=True,
    ) as writer:
        writer.write_table(table, row_group_size=max(1, table.num_rows))
        writer.add_key_value_metadata({CHECKSUM_KEY: _NO_CHECKSUM.decode(), **notes})
    data = bytearray(buffer.getbuffer())
    place = _checksum_place(data)
    data[place] = hashlib.sha256(data).hexdigest().encode()
    return bytes(data)


def parquet_problems(path: Path) -> list[str]:
    """The problems of a file, one line each; reads every byte."""
    problem = checksum_problem(path.read_bytes())
    return [f"{path}: {problem}"] if problem else []


def checksum_problem(data: bytes) -> str:
    """The problem with the bytes of a whole file; empty if the checksum matches."""
    copy = bytearray(data)
    try:
        place = _checksum_place(copy)
    except ValueError:
        return "the footer has no checksum, the file is damaged"
    stated, copy[place] = bytes(copy[place]), _NO_CHECKSUM
    if hashlib.sha256(copy).hexdigest().encode() != stated:
        return "the checksum does not match, the file is damaged"
    return ""


def damaged(path: Path | StorePath, reason: str) -> CollectionError:
    """The error for a damaged file of a part, of whatever kind."""
    return CollectionError(
        f"{path} is damaged: {reason}", f"find out what else is: {call(path.parents[1], 'verify()')}"
    )


def _rows(parquet: pq.ParquetFile, columns: Sequence[str] | None, embedding: bool) -> pa.Table:
    if not embedding:
        columns = [name for name in parquet.schema_arrow.names if name != "embedding"]
    return parquet.read(columns=columns).replace_schema_metadata(None)


def _read_remote(
    path: StorePath, columns: Sequence[str] | None, embedding: bool
) -> tuple[pa.Table, dict[str, str]]:
    """Read from a store: the whole file in one request, or the footer and the wanted ranges.

    If the footer has the same checksum before and after, all ranges come from one version of the file.
    """
    import pyarrow.parquet as pq

    # Embeddings are nearly the whole file.
    whole = embedding and (columns is None or "embedding" in columns)
    try:
        for _ in range(_ATTEMPTS):
            file = io.BytesIO(path.read_bytes()) if whole else path.open(buffering=0)
            with pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=True) as parquet:
                rows, notes = _rows(parquet, columns, embedding), _notes(parquet.metadata)
            if whole or _notes(_remote_footer(path)) == notes:
                return rows, notes
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None
    raise CollectionError(f"{path} changes faster than it can be read", "wait until the build has finished")


@lru_cache(maxsize=4096)
def _local_footer(path: Path, state: tuple[int, int, int]) -> pq.FileMetaData:
    """The footer of a file in this state, cached: a search of a thousand parts needs each several times."""
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        return pq.read_metadata(file)


def _remote_footer(path: StorePath) -> pq.FileMetaData:
    """The footer, from one request for the end of the file, or two if it is large."""
    import pyarrow.parquet as pq

    tail = path.read_tail(_TAIL_BYTES)
    size = int.from_bytes(tail[-8:-4], "little") + 8  # the footer, its length, and the four letters PAR1
    if size > len(tail) == _TAIL_BYTES:
        tail = path.read_tail(size)
    return pq.read_metadata(io.BytesIO(tail))


def _notes(metadata: pq.FileMetaData) -> dict[str, str]:
    """The key-value pairs of a footer."""
    pairs = (metadata.metadata or {}).items()
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in pairs}


def _checksum_place(data: bytes | bytearray) -> slice:
    """The slice of a file that holds the 64 digits of the checksum."""
    key = data.rfind(CHECKSUM_KEY.encode())
    digits = re.compile(rb"[0-9a-f]{64}").search(data, key) if key >= 0 else None
    if digits is None:
        raise ValueError("no checksum in the footer")
    return slice(*digits.span())


def _unreadable(path: Path | StorePath, error: Exception) -> LookalikeError:
    """Turn a failed read into a clear error; a store that cannot be reached is not damage."""
    return error if isinstance(error, StoreError) else damaged(path, one_line(error))
