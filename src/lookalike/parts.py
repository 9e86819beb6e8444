"""One part of a collection: its Parquet files and its tar of thumbnails, written and read back.

A part is committed by renaming its items file into place; the thumbnails and failures it needs are
there before. Every Parquet file carries its own checksum in its footer, so that one rename commits the
data and the means to verify it together.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lookalike.errors import CollectionError
from lookalike.files import write_bytes
from lookalike.samples import Failure

# The columns that every row of items has, before those that the source brought and the embedding.
ITEM_FIELDS = (
    pa.field("id", pa.string(), nullable=False),
    pa.field("uri", pa.string(), nullable=False),
    pa.field("size_bytes", pa.int64(), nullable=False),
    pa.field("mtime_ns", pa.int64(), nullable=False),
    pa.field("sha256", pa.string(), nullable=False),
    pa.field("width", pa.int32(), nullable=False),
    pa.field("height", pa.int32(), nullable=False),
    pa.field("label", pa.string()),
    pa.field("thumb_offset", pa.int64(), nullable=False),
    pa.field("thumb_size", pa.int64(), nullable=False),
)
RESERVED_COLUMNS = frozenset(field.name for field in ITEM_FIELDS) - {"label"} | {"embedding"}
FAILURE_SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "uri", "stage", "error")])

_PART_NAME = re.compile(r"part-(\d{6,})\.parquet")
_CHECKSUM_KEY, _THUMBNAILS_KEY = "lookalike.sha256", "lookalike.thumbnails"
_NO_CHECKSUM = b"0" * 64


@dataclass(frozen=True, slots=True)
class Part:
    """The files of part `number` of the collection at `root`; they need not exist."""

    root: Path
    number: int

    @property
    def items_path(self) -> Path:
        return self.root / "items" / f"part-{self.number:06d}.parquet"

    @property
    def failures_path(self) -> Path:
        return self.root / "failures" / f"part-{self.number:06d}.parquet"

    def items(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The committed rows, all columns by default."""
        return read_parquet(self.items_path, columns)

    def column_names(self) -> list[str]:
        """The columns of the items file, the embedding last."""
        with self.items_path.open("rb") as file:
            return list(pq.read_schema(file).names)

    def num_rows(self) -> int:
        """The number of rows, from the footer."""
        with self.items_path.open("rb") as file:
            return int(pq.read_metadata(file).num_rows)

    def embeddings(self) -> NDArray[np.float32]:
        """(n, D) float32, C-contiguous, in the order of the rows."""
        return matrix(self.items(["embedding"])["embedding"])

    def thumbnails_path(self) -> Path:
        """The tar that the rows' byte ranges refer to."""
        return self.root / "thumbnails" / self._thumbnails_entry()[0]

    def thumbnails(self, rows: pa.Table) -> list[bytes]:
        """The JPEGs of these rows of the part."""
        columns = (rows["thumb_offset"].to_pylist(), rows["thumb_size"].to_pylist())
        with self.thumbnails_path().open("rb") as file:
            return [_read_range(file, offset, size) for offset, size in zip(*columns, strict=True)]

    def checksum(self) -> str:
        """The checksum of the items file as its footer states it: what tells two states apart."""
        return _footer(self.items_path).get(_CHECKSUM_KEY.encode(), b"").decode()

    def problems(self) -> list[str]:
        """What is wrong with the files of this part, a line each; reads every byte of them."""
        found = [
            problem
            for path in (self.items_path, self.failures_path)
            if path.exists()
            for problem in _parquet_problems(path)
        ]
        if not found and self.items_path.exists():
            name, checksum = self._thumbnails_entry()
            path = self.root / "thumbnails" / name
            if not path.exists():
                found.append(f"{path}: missing")
            elif hashlib.sha256(path.read_bytes()).hexdigest() != checksum:
                found.append(f"{path}: the checksum does not match, the file is damaged")
        return found

    def write(self, rows: pa.Table, thumbnails: Sequence[bytes]) -> None:
        """Commit a new part; `rows` lacks the thumbnail columns, which follow from `thumbnails`."""
        self._write_items(*self._pack(rows, thumbnails, f"part-{self.number:06d}.tar"))

    def rewrite(self, rows: pa.Table, thumbnails: Sequence[bytes] | None = None) -> None:
        """Replace the rows of a committed part in one step, or remove the part when none are left.

        With `thumbnails`, a new tar with just these is written under a new name before, and the old one
        removed after; without, the rows keep their byte ranges in the tar that is there.
        """
        old_name, old_checksum = self._thumbnails_entry()
        old_tar = self.root / "thumbnails" / old_name
        if not rows.num_rows:
            self.items_path.unlink()
            old_tar.unlink(missing_ok=True)
        elif thumbnails is None:
            self._write_items(rows, old_name, old_checksum)
        else:
            generation = re.fullmatch(r"part-\d+(?:-(\d+))?\.tar", old_name)
            following = int(generation[1] or 1) + 1 if generation else 2
            name = f"part-{self.number:06d}-{following}.tar"
            self._write_items(*self._pack(rows, thumbnails, name))
            old_tar.unlink(missing_ok=True)

    def write_failures(self, table: pa.Table) -> None:
        """Replace the failures of this part in one step; an empty table removes the file."""
        if table.num_rows:
            _write_parquet(self.failures_path, table, {})
        else:
            self.failures_path.unlink(missing_ok=True)

    def _pack(self, rows: pa.Table, thumbnails: Sequence[bytes], name: str) -> tuple[pa.Table, str, str]:
        names = [f"{id_}.jpg" for id_ in rows["id"].to_pylist()]
        data, offsets = _tar(names, thumbnails)
        write_bytes(self.root / "thumbnails" / name, data)
        ranges = {"thumb_offset": offsets, "thumb_size": [len(jpeg) for jpeg in thumbnails]}
        for column, values in ranges.items():
            array = pa.array(values, pa.int64())
            field = pa.field(column, pa.int64(), nullable=False)
            if column in rows.column_names:
                rows = rows.set_column(rows.column_names.index(column), field, array)
            else:
                rows = rows.append_column(field, array)
        return rows, name, hashlib.sha256(data).hexdigest()

    def _write_items(self, rows: pa.Table, thumbnails_name: str, thumbnails_sha256: str) -> None:
        first = [field.name for field in ITEM_FIELDS]
        brought = [name for name in rows.column_names if name not in (*first, "embedding")]
        entry = {"file": thumbnails_name, "sha256": thumbnails_sha256}
        ordered = rows.select([*first, *brought, "embedding"]).combine_chunks()
        _write_parquet(self.items_path, ordered, {_THUMBNAILS_KEY: json.dumps(entry)})

    def _thumbnails_entry(self) -> tuple[str, str]:
        try:
            entry = json.loads(_footer(self.items_path)[_THUMBNAILS_KEY.encode()])
            name, checksum = str(entry["file"]), str(entry["sha256"])
        except (KeyError, TypeError, ValueError):
            raise _damaged(self.items_path, "its footer names no thumbnails") from None
        if Path(name).name != name:
            raise _damaged(self.items_path, f"its thumbnails lie outside the collection: {name}")
        return name, checksum


def list_parts(root: Path, kind: str = "items") -> list[Part]:
    """The parts of the collection at `root` that have a file of this kind, in the order of number."""
    folder = root / kind
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    matches = (_PART_NAME.fullmatch(name) for name in names)
    return [Part(root, number) for number in sorted(int(match[1]) for match in matches if match)]


def embedding_column(vectors: NDArray[np.floating], dtype: str) -> pa.FixedSizeListArray:
    """(n, D) vectors as a column of fixed-size lists of `float32` or `float16`, with no nulls."""
    value_type = {"float32": pa.float32(), "float16": pa.float16()}[dtype]
    dim = vectors.shape[1]
    values = pa.array(np.ascontiguousarray(vectors, dtype=dtype).reshape(-1), value_type)
    # Fields that cannot be null are read four times faster: there are no levels to decode.
    list_type = pa.list_(pa.field("element", value_type, nullable=False), dim)
    return pa.FixedSizeListArray.from_arrays(values, type=list_type)


def matrix(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """A column of fixed-size lists as float32 (n, D), C-contiguous."""
    dim = column.type.list_size
    chunks = [np.asarray(chunk.flatten()).reshape(-1, dim) for chunk in column.chunks]
    if not chunks:
        return np.empty((0, dim), np.float32)
    together = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
    return np.ascontiguousarray(together, dtype=np.float32)


def failure_table(failures: Sequence[Failure]) -> pa.Table:
    """Failures as rows: id, uri, stage, error."""
    columns = {name: [getattr(one, name) for one in failures] for name in FAILURE_SCHEMA.names}
    return pa.table(columns, FAILURE_SCHEMA)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of one Parquet file, with the checksums of its pages checked.

    Raises `CollectionError` where the file is damaged.
    """
    try:
        # Opened here, so that no path is taken for an address of another file system.
        with (
            path.open("rb") as file,
            pq.ParquetFile(file, page_checksum_verification=True) as parquet,
        ):
            # Without the notes of the footer, which belong to the file and not to its rows.
            return parquet.read(columns=columns).replace_schema_metadata(None)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, " ".join(str(error).split())) from None


def _write_parquet(path: Path, table: pa.Table, notes: dict[str, str]) -> None:
    """Write a table whose footer holds the sha256 of the file, taken with 64 zeros in its place."""
    buffer = io.BytesIO()
    plain = [field.name for field in table.schema if pa.types.is_string(field.type)]
    with pq.ParquetWriter(
        buffer,
        table.schema,
        compression=dict.fromkeys(plain, "zstd"),
        use_dictionary=plain,
        write_page_checksum=True,
    ) as writer:
        writer.write_table(table, row_group_size=max(1, table.num_rows))
        writer.add_key_value_metadata({_CHECKSUM_KEY: _NO_CHECKSUM.decode(), **notes})
    data = bytearray(buffer.getbuffer())
    place = _checksum_place(data)
    data[place] = hashlib.sha256(data).hexdigest().encode()
    write_bytes(path, bytes(data))


def _checksum_place(data: bytes | bytearray) -> slice:
    """Where the 64 digits of the checksum stand in a file."""
    key = data.rfind(_CHECKSUM_KEY.encode())
    digits = re.compile(rb"[0-9a-f]{64}").search(data, key) if key >= 0 else None
    if digits is None:
        raise ValueError("no checksum in the footer")
    return slice(*digits.span())


def _parquet_problems(path: Path) -> list[str]:
    data = bytearray(path.read_bytes())
    try:
        place = _checksum_place(data)
    except ValueError:
        return [f"{path}: the footer holds no checksum, the file is damaged"]
    stated, data[place] = bytes(data[place]), _NO_CHECKSUM
    if hashlib.sha256(data).hexdigest().encode() != stated:
        return [f"{path}: the checksum does not match, the file is damaged"]
    return []


def _footer(path: Path) -> dict[bytes, bytes]:
    try:
        with path.open("rb") as file:
            return pq.read_metadata(file).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, " ".join(str(error).split())) from None


def _damaged(path: Path, reason: str) -> CollectionError:
    return CollectionError(f"{path} is damaged: {reason}", "see: lookalike verify COLLECTION")


def _read_range(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _tar(names: Sequence[str], members: Sequence[bytes]) -> tuple[bytes, list[int]]:
    """A tar in memory with no clock or user in it, and the offset of each member's first byte."""
    buffer, offsets = io.BytesIO(), []
    for name, data in zip(names, members, strict=True):
        header = tarfile.TarInfo(name)
        header.size = len(data)
        buffer.write(header.tobuf(tarfile.PAX_FORMAT))
        offsets.append(buffer.tell())
        buffer.write(data + bytes(-len(data) % tarfile.BLOCKSIZE))
    buffer.write(bytes(2 * tarfile.BLOCKSIZE))
    return buffer.getvalue(), offsets
