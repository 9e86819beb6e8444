"""The rows of a collection without their vectors, in one file that is mapped into memory.

`derived/rows-….arrow` has one segment for each part: the hashes of its ids, then its rows as an Arrow stream.
`derived/rows.json` records which state of each part a segment holds, and where it is. A build appends
segments and never overwrites any, because a reader may have the file mapped; segments of removed parts stay
until they make up half of the file. The file is derived: anything missing or damaged is read from the parts
instead, and if the file cannot be written, only time is lost.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import IO, Any

import google_crc32c
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.errors import CollectionError, StorageError
from lookalike.storage.files import storage_error, write_bytes
from lookalike.storage.part_state import PartState
from lookalike.storage.parts import TAR_NAME, Part
from lookalike.storage.stores import is_remote

FORMAT, FORMAT_VERSION = "lookalike-rows", 1

Hashes = NDArray[np.uint64]

# Arrow's buffers and the hashes start at multiples of this.
_ALIGNMENT = 64
_JSON_NAME, _LOCK_NAME = "rows.json", ".rows.lock"
_ROWS_NAME = re.compile(r"rows-[0-9a-f]{12}\.arrow")


@dataclass(frozen=True, slots=True)
class Segment:
    """Where the rows of a part are: `length` bytes from `offset` on.

    `number`, `checksum`, `count`, `tar` and `stamp` are the part's; `schema` is the position of its
    columns in the list of schemas; the CRC-32Cs cover the hashes, and the rows that follow them.
    """

    number: int
    checksum: str
    count: int
    tar: str
    stamp: tuple[int, int, int]
    schema: int
    offset: int
    length: int
    hashes_crc32c: int
    rows_crc32c: int


class RowFile:
    """An open file of rows; safe to read from several threads, even after a build has replaced it."""

    def __init__(self, name: str, segments: Mapping[int, Segment], schemas: Sequence[pa.Schema]) -> None:
        self.name, self.segments, self.schemas = name, segments, schemas
        self._map: Any = memoryview(b"")
        self._json_path: Path | None = None
        self._damaged: set[int] = set()

    @staticmethod
    def open(root: Path) -> RowFile | None:
        """Open the file of rows of a collection; None if there is none that can be read."""
        if is_remote(root):
            return None
        folder = root / "derived"
        try:
            found = RowFile._parsed((folder / _JSON_NAME).read_bytes())
            found._json_path = folder / _JSON_NAME
            if found.segments:
                with pa.memory_map(str(folder / found.name)) as file:
                    found._map = file.read_buffer()
        except (OSError, ValueError, KeyError, TypeError, RecursionError, pa.ArrowException):
            return None
        size = len(found._map)
        found.segments = {
            number: one for number, one in found.segments.items() if one.offset + one.length <= size
        }
        return found

    @staticmethod
    def _parsed(data: bytes) -> RowFile:
        fields = json.loads(data)
        if (fields["format"], fields["version"]) != (FORMAT, FORMAT_VERSION):
            raise ValueError("another format")
        if fields.pop("sha256") != _sha256(fields):
            raise ValueError("the checksum does not match")
        if not _ROWS_NAME.fullmatch(fields["file"]):
            raise ValueError("not a file of rows")
        schemas = [pa.ipc.read_schema(pa.py_buffer(base64.b64decode(one))) for one in fields["schemas"]]
        segments = [_segment(given, len(schemas)) for given in fields["segments"]]
        return RowFile(fields["file"], {one.number: one for one in segments}, schemas)

    def states(self, root: Path) -> dict[int, PartState]:
        """The states of the parts in this file, by number; their stamps show which are current."""
        return {
            one.number: PartState(Part(root, one.number), one.checksum, one.count, one.tar, one.stamp)
            for one in self.segments.values()
        }

    def schema(self, state: PartState) -> pa.Schema | None:
        """The columns of a part without the embedding; None if the file lacks this state of it."""
        segment = self._segment(state)
        return None if segment is None else self.schemas[segment.schema]

    def hashes(self, state: PartState) -> Hashes | None:
        """The hashes of a part's ids, uint64 (n,); None if this state is missing or damaged."""
        segment = self._segment(state)
        if segment is None:
            return None
        data = self._map.slice(segment.offset, 8 * segment.count)
        if google_crc32c.value(data) != segment.hashes_crc32c:
            self._give_up()
            return None
        return np.frombuffer(data, np.uint64)

    def rows(self, state: PartState) -> pa.RecordBatch | None:
        """The rows of a part without the embedding; None if this state is missing or damaged.

        The structure is checked, but not the values of the columns; the reader has to validate those.
        """
        segment = self._segment(state)
        if segment is None or segment.number in self._damaged:
            return None
        data = self._map.slice(segment.offset, segment.length).slice(_aligned(8 * segment.count))
        if google_crc32c.value(data) != segment.rows_crc32c:
            self._damaged.add(segment.number)
            self._give_up()
            return None
        try:
            with pa.ipc.open_stream(data) as reader:
                batch = reader.read_next_batch()
                batch.validate()
        except (pa.ArrowException, StopIteration, OSError):
            return None
        same = batch.num_rows == segment.count and batch.schema == self.schemas[segment.schema]
        return batch if same else None

    def _give_up(self) -> None:
        """Remove the JSON that points to damaged bytes, so that the next reader writes everything again."""
        if self._json_path is not None:
            with suppress(OSError):
                self._json_path.unlink()

    def _segment(self, state: PartState) -> Segment | None:
        found = self.segments.get(state.part.number)
        if found is None or (found.checksum, found.count) != (state.checksum, state.count):
            return None
        return found


def _segment(given: Any, schemas: int) -> Segment:
    """Parse a segment from the JSON of a file with so many schemas; raises `ValueError` if it is invalid."""
    number, checksum, count, tar, stamp, *place = given
    schema, offset, length, hashes_crc32c, rows_crc32c = place
    inode, mtime_ns, size = stamp
    numbers = (number, count, *stamp, *place)
    possible = all(type(one) is int and one >= 0 for one in numbers) and type(checksum) is str
    if not possible or schema >= schemas or _aligned(8 * count) > length or not TAR_NAME.fullmatch(tar):
        raise ValueError("an invalid segment")
    return Segment(
        number, checksum, count, tar, (inode, mtime_ns, size),
        schema, offset, length, hashes_crc32c, rows_crc32c,
    )  # fmt: skip


def id_hashes(ids: Sequence[str]) -> Hashes:
    """A hash of each id, uint64 (n,): the start of its BLAKE2b, the same on every machine."""
    digests = b"".join(hashlib.blake2b(id_.encode(), digest_size=8).digest() for id_ in ids)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def write_row_file(root: Path, states: Sequence[PartState]) -> None:
    """Update the file of rows to these states of all parts; do nothing if that is impossible now.

    Another process may be doing the same, the disk may be read-only or full, or a part may be gone: the
    rows are then read from the parts, which takes longer.
    """
    if is_remote(root):
        return
    import filelock  # importing it takes a tenth of a second, which readers need not wait

    folder = root / "derived"
    with suppress(OSError, StorageError, CollectionError, filelock.Timeout):
        folder.mkdir(exist_ok=True)
        with filelock.FileLock(folder / _LOCK_NAME, blocking=False):
            _write(folder, states)


def _write(folder: Path, states: Sequence[PartState]) -> None:
    root = folder.parent
    old = RowFile.open(root) or RowFile("", {}, [])
    _remove_others(folder, old.name)
    kept, new = {}, []
    for state in states:
        segment = old._segment(state)
        if segment is None:
            new.append(state)
        else:
            kept[state.part.number] = replace(segment, stamp=state.stamp, tar=state.tar)
    if not new and kept == old.segments:
        return
    alive = sum(_aligned(one.length) for one in kept.values())
    if alive and 2 * alive >= len(old._map):
        name, segments = old.name, dict(kept)
    else:
        name, segments = f"rows-{uuid.uuid4().hex[:12]}.arrow", {}
    path, schemas = folder / name, _Schemas(old.schemas if segments else [])
    try:
        with path.open("ab") as file:
            if not segments:
                for segment in kept.values():
                    data = old._map.slice(segment.offset, segment.length)
                    segments[segment.number] = replace(
                        segment, offset=_append(file, data), schema=schemas.place(old.schemas[segment.schema])
                    )
            for state in new:
                segments[state.part.number] = _added(file, state, schemas)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise storage_error(path, error) from error
    _commit(folder, name, segments, schemas.encoded)


def _commit(folder: Path, name: str, segments: Mapping[int, Segment], schemas: Sequence[str]) -> None:
    fields: dict[str, Any] = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "file": name,
        "schemas": list(schemas),
        "segments": [astuple(segments[number]) for number in sorted(segments)],
    }
    fields["sha256"] = _sha256(fields)
    write_bytes(folder / _JSON_NAME, (json.dumps(fields, separators=(",", ":")) + "\n").encode())
    _remove_others(folder, name)


def _sha256(fields: Mapping[str, Any]) -> str:
    """The checksum of all other fields of the JSON."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _remove_others(folder: Path, name: str) -> None:
    """Remove outdated files of rows, and those that a killed writer left."""
    for path in folder.glob("rows-*.arrow"):
        if path.name != name:
            path.unlink(missing_ok=True)


class _Schemas:
    """The schemas of the segments as text, each once."""

    def __init__(self, known: Sequence[pa.Schema]) -> None:
        self.encoded = [_text(one) for one in known]

    def place(self, schema: pa.Schema) -> int:
        text = _text(schema)
        if text not in self.encoded:
            self.encoded.append(text)
        return self.encoded.index(text)


def _text(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize()).decode()


def _added(file: IO[bytes], state: PartState, schemas: _Schemas) -> Segment:
    """Write the segment of a part: the hashes of its ids, then its rows as an Arrow stream."""
    rows = state.described().combine_chunks()
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=max(1, rows.num_rows))
    hashes, stream = id_hashes(rows["id"].to_pylist()).tobytes(), buffer.getvalue()
    data = hashes + bytes(_aligned(len(hashes)) - len(hashes)) + stream
    return Segment(
        state.part.number, state.checksum, state.count, state.tar, state.stamp,
        schemas.place(rows.schema), _append(file, data), len(data),
        google_crc32c.value(hashes), google_crc32c.value(stream),
    )  # fmt: skip


def _append(file: IO[bytes], data: Any) -> int:
    """Write at the next aligned position; returns that position."""
    end = file.tell()
    file.write(bytes(_aligned(end) - end))
    offset = file.tell()
    file.write(data)
    return offset


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
