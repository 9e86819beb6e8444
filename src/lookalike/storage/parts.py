"""One part of a collection: its Parquet files and its tar of thumbnails, written and read back.

Renaming the items file into place commits a part; the thumbnails and failures that belong to it are written
before.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.errors import CollectionError, StoreError
from lookalike.storage.files import remove, write_bytes
from lookalike.storage.parquet import (
    CHECKSUM_KEY,
    damaged,
    parquet_bytes,
    parquet_problems,
    read_footer,
    read_notes,
    read_with_notes,
    write_parquet,
)
from lookalike.storage.stores import is_remote

# The columns that every row of items has; those from the source and the embedding follow.
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
# The model's tags for each image; these columns exist if the model has tags.
TAG_FIELDS = (
    pa.field("tags", pa.list_(pa.string())),
    pa.field("tag_probabilities", pa.list_(pa.float32())),
)
# What EXIF says about each image. The metadata tells these columns from others of the same name in a source.
_FROM_EXIF = {b"lookalike.from": b"exif"}
EXIF_FIELDS = (
    pa.field("taken_at", pa.timestamp("us"), metadata=_FROM_EXIF),
    pa.field("latitude", pa.float64(), metadata=_FROM_EXIF),
    pa.field("longitude", pa.float64(), metadata=_FROM_EXIF),
    pa.field("camera", pa.string(), metadata=_FROM_EXIF),
)
RESERVED_COLUMNS = frozenset(field.name for field in (*ITEM_FIELDS, *TAG_FIELDS) if field.name != "label") | {
    "embedding"
}
FAILURE_SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "uri", "stage", "error")])

_PART_NAME = re.compile(r"part-(\d{6,})\.parquet")
TAR_NAME = re.compile(r"part-\d{6,}-([0-9a-f]{16})\.tar")
# A ustar header: the name, then from byte 124 the size, and from 148 the sum of all bytes, itself as blanks.
_NAME_BYTES, _EMPTY = 100, tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT)
_BEFORE_SIZE, _AFTER_SIZE, _AFTER_SUM = _EMPTY[_NAME_BYTES:124], _EMPTY[136:148], _EMPTY[156:]
_CONSTANT_SUM = sum(_BEFORE_SIZE + _AFTER_SIZE + b"        " + _AFTER_SUM)
THUMBNAILS_KEY, MADE_BY_KEY = "lookalike.thumbnails", "lookalike.made_by"


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that could not be embedded, and why.

    `stage` is where it stopped: `list` (finding it), `read` (its bytes), `decode` (its pixels) or
    `write` (its file in a packed folder).
    """

    id: str
    uri: str
    stage: str
    error: str


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
        """The committed rows, with all columns by default."""
        return read_with_notes(self.items_path, columns)[0]

    def failures(self) -> pa.Table:
        """The rows of images that could not be read."""
        return read_with_notes(self.failures_path)[0]

    def described(self) -> pa.Table:
        """The committed rows without the embedding."""
        return read_with_notes(self.items_path, embedding=False)[0]

    def column_names(self) -> list[str]:
        """The columns of the items file, the embedding last."""
        return list(self.schema().names)

    def schema(self) -> pa.Schema:
        """The columns of the items file and their types, from the footer."""
        return read_footer(self.items_path).schema.to_arrow_schema().remove_metadata()

    def num_rows(self) -> int:
        """The number of rows, from the footer."""
        return int(read_footer(self.items_path).num_rows)

    def embeddings(self) -> NDArray[np.float32]:
        """(n, D) float32, C-contiguous, in the order of the rows."""
        return matrix(self.items(["embedding"])["embedding"])

    def thumbnails_path(self) -> Path:
        """The tar that the rows' byte ranges refer to."""
        return self.tar_path(read_notes(self.items_path))

    def thumbnails(self, ids: Sequence[str]) -> list[bytes]:
        """The JPEGs of these items; raises `CollectionError` if one is gone."""
        # Rows and the name of their tar from one read, so that no build can come in between.
        rows, notes = read_with_notes(self.items_path, ["id", "thumb_offset", "thumb_size"])
        offsets, sizes = rows["thumb_offset"].to_pylist(), rows["thumb_size"].to_pylist()
        ranges = dict(zip(rows["id"].to_pylist(), zip(offsets, sizes, strict=True), strict=True))
        gone = [id_ for id_ in ids if id_ not in ranges]
        if gone:
            raise CollectionError(f"{gone[0]} is no longer in {self.items_path}", "search again")
        return read_ranges(self.tar_path(notes), [ranges[id_] for id_ in ids])

    def checksum(self) -> str:
        """The checksum of the items file, from its footer; it identifies the state."""
        return read_notes(self.items_path).get(CHECKSUM_KEY, "")

    def made_by(self) -> dict[str, str]:
        """The device that ran the model and the decoder of JPEGs; empty for a part that does not say."""
        try:
            said = json.loads(read_notes(self.items_path).get(MADE_BY_KEY, "{}"))
        except ValueError:
            return {}
        return {str(name): str(value) for name, value in said.items()} if isinstance(said, dict) else {}

    def problems(self) -> list[str]:
        """The problems of this part's files, one line each; reads every byte."""
        present = [path for path in (self.items_path, self.failures_path) if path.exists()]
        found = [problem for path in present for problem in parquet_problems(path)]
        if not found and self.items_path.exists():
            found += _tar_problems(self.thumbnails_path())
        return found

    def write(
        self,
        rows: pa.Table,
        thumbnails: Sequence[bytes] | None = None,
        made_by: Mapping[str, str] | None = None,
    ) -> None:
        """Commit the rows of this part atomically, and replace older ones.

        `thumbnails` has a JPEG for each row; without them the rows keep their byte ranges in the existing
        tar. `made_by` is what the footer says of who made the rows, by default what the older one said.
        Without rows the part is removed. A tar that no row needs any more is removed last.
        Raises `CollectionError` instead of giving damaged thumbnails a new checksum.
        """
        old = self.thumbnails_path() if self.items_path.exists() else None
        made_by = self.made_by() if made_by is None and old else made_by or {}
        if not rows.num_rows:
            remove(self.items_path)
            new = None
        elif thumbnails is None:
            new = self.thumbnails_path()
            write_bytes(self.items_path, _items_file(rows, new.name, made_by))
        else:
            for problem in _tar_problems(old) if old else ():
                raise CollectionError(problem)
            rows, new, tar = self._with_thumbnails(rows, thumbnails)
            with ThreadPoolExecutor(1, "tar") as pool:  # the disk takes it while the rows are encoded
                written = pool.submit(write_bytes, new, tar)
                items = _items_file(rows, new.name, made_by)
                written.result()
            write_bytes(self.items_path, items)
        if old is not None and old != new:
            remove(old)

    def keep(self, rows: pa.Table) -> None:
        """Commit some of the rows of this part, as `write`, with the thumbnails of these alone."""
        self.write(rows, self.thumbnails(rows["id"].to_pylist()))

    def write_failures(self, table: pa.Table) -> None:
        """Replace the failures of this part atomically; an empty table removes the file."""
        if table.num_rows:
            write_parquet(self.failures_path, table, {})
        else:
            remove(self.failures_path)

    def _with_thumbnails(self, rows: pa.Table, thumbnails: Sequence[bytes]) -> tuple[pa.Table, Path, bytes]:
        """Make a tar; returns the rows with byte ranges in it, its path and its bytes.

        The name contains the start of the checksum, so that other rows never point into it.
        """
        data, offsets = _tar([f"{id_}.jpg" for id_ in rows["id"].to_pylist()], thumbnails)
        path = self.tar_path({THUMBNAILS_KEY: f"part-{self.number:06d}-{_start_of_sha256(data)}.tar"})
        rows = set_column(rows, "thumb_offset", pa.array(offsets, pa.int64()), nullable=False)
        sizes = pa.array([len(jpeg) for jpeg in thumbnails], pa.int64())
        return set_column(rows, "thumb_size", sizes, nullable=False), path, data

    def tar_path(self, notes: Mapping[str, str]) -> Path:
        """The tar named by the notes of the items file; raises `CollectionError` if they name none."""
        name = notes.get(THUMBNAILS_KEY, "")
        if not TAR_NAME.fullmatch(name):
            raise damaged(self.items_path, f"it names {name!r} as its thumbnails")
        return self.root / "thumbnails" / name


def _items_file(rows: pa.Table, thumbnails_name: str, made_by: Mapping[str, str]) -> bytes:
    """The items file of these rows, with their columns in order."""
    first = [field.name for field in ITEM_FIELDS]
    brought = [name for name in rows.column_names if name not in (*first, "embedding")]
    ordered = rows.select([*first, *brought, "embedding"]).combine_chunks()
    notes = {MADE_BY_KEY: json.dumps(made_by, sort_keys=True)} if made_by else {}
    return parquet_bytes(ordered, {THUMBNAILS_KEY: thumbnails_name, **notes})


def is_from_exif(field: pa.Field) -> bool:
    """Whether a build wrote this column from EXIF; a source may have another of the same name."""
    return (field.metadata or {}).items() >= _FROM_EXIF.items()


def set_column(table: pa.Table, name: str, values: pa.Array, nullable: bool = True) -> pa.Table:
    """The table with a column replaced in place, or added at the end."""
    field = pa.field(name, values.type, nullable)
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), field, values)
    return table.append_column(field, values)


def with_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of a schema, cast to its types; nulls for a column that the table lacks."""
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema)


def list_parts(root: Path, kind: str = "items") -> list[Part]:
    """The parts of the collection at `root` that have a file of this kind, ordered by number."""
    folder = root / kind
    try:
        names = [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        names = []
    matches = (_PART_NAME.fullmatch(name) for name in names)
    return [Part(root, number) for number in sorted(int(match[1]) for match in matches if match)]


def embedding_column(vectors: NDArray[np.floating], dtype: str) -> pa.FixedSizeListArray:
    """Convert (n, D) vectors to a column of fixed-size lists of `float32` or `float16`, without nulls."""
    value_type = {"float32": pa.float32(), "float16": pa.float16()}[dtype]
    dim = vectors.shape[1]
    values = pa.array(np.ascontiguousarray(vectors, dtype=dtype).reshape(-1), value_type)
    # Fields that cannot be null are read four times faster: there are no definition levels to decode.
    list_type = pa.list_(pa.field("element", value_type, nullable=False), dim)
    return pa.FixedSizeListArray.from_arrays(values, type=list_type)


def matrix(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """Convert a column of fixed-size lists to float32 (n, D), C-contiguous."""
    dim = column.type.list_size
    chunks = [np.asarray(chunk.flatten()).reshape(-1, dim) for chunk in column.chunks]
    if not chunks:
        return np.empty((0, dim), np.float32)
    together = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
    return np.ascontiguousarray(together, dtype=np.float32)


def failure_table(failures: Sequence[Failure]) -> pa.Table:
    """Convert failures to rows: id, uri, stage, error."""
    columns = {name: [getattr(one, name) for one in failures] for name in FAILURE_SCHEMA.names}
    return pa.table(columns, FAILURE_SCHEMA)


def _tar_problems(path: Path) -> list[str]:
    match = TAR_NAME.fullmatch(path.name)
    if not path.exists():
        return [f"{path}: missing"]
    if match is None or _start_of_sha256(path.read_bytes()) != match[1]:
        return [f"{path}: the checksum does not match, the file is damaged"]
    return []


def _start_of_sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def read_ranges(path: Path, ranges: Iterable[tuple[int, int]]) -> list[bytes]:
    """The bytes at each (offset, size) of a file; raises `CollectionError` if it is missing or too short."""
    ranges = list(ranges)
    try:
        found = path.read_ranges(ranges) if is_remote(path) else _local_ranges(path, ranges)
    except StoreError:
        raise
    except (OSError, ValueError) as error:
        raise damaged(path, getattr(error, "strerror", None) or str(error)) from None
    for (offset, size), data in zip(ranges, found, strict=True):
        if len(data) < size:
            raise damaged(path, f"it ends before byte {offset + size}")
    return found


def _local_ranges(path: Path, ranges: Iterable[tuple[int, int]]) -> list[bytes]:
    found = []
    with path.open("rb") as file:
        for offset, size in ranges:
            file.seek(offset)
            found.append(file.read(size))
    return found


def _header(name: str, size: int) -> bytes:
    """The header of a tar's member as tarfile makes it, in a tenth of the time for the names of most."""
    if not name.isascii() or len(name) > _NAME_BYTES:
        info = tarfile.TarInfo(name)
        info.size = size
        return info.tobuf(tarfile.PAX_FORMAT)
    encoded, size_text = name.encode(), b"%011o\0" % size
    summed = _CONSTANT_SUM + sum(encoded) + sum(size_text)
    named = encoded.ljust(_NAME_BYTES, b"\0")
    return b"%b%b%b%b%06o\0 %b" % (named, _BEFORE_SIZE, size_text, _AFTER_SIZE, summed, _AFTER_SUM)


def _tar(names: Sequence[str], members: Sequence[bytes]) -> tuple[bytes, list[int]]:
    """Make a tar in memory without times or users; returns it and the offset of each member's first byte."""
    buffer, offsets = io.BytesIO(), []
    for name, data in zip(names, members, strict=True):
        if not data:  # an item without a picture has no member
            offsets.append(0)
            continue
        buffer.write(_header(name, len(data)))
        offsets.append(buffer.tell())
        buffer.write(data + bytes(-len(data) % tarfile.BLOCKSIZE))
    buffer.write(bytes(2 * tarfile.BLOCKSIZE))
    return buffer.getvalue(), offsets
