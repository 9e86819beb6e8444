"""The rows of a collection without their vectors, in one file that is mapped into memory.

`derived/rows-….arrow` has a segment a part: the hashes of its ids, then its rows as an Arrow stream.
`derived/rows.json` says of each part which state of it the segment holds, and where that lies. A build adds
segments at the end; those of parts that are gone stay until they are half of the file. It is derived: what is
missing or damaged is read from the parts, and where it cannot be written nothing is lost but time.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import uuid
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import IO, Any

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

# Arrow's buffers and the hashes begin at multiples of this.
_ALIGNMENT = 64
_JSON_NAME, _LOCK_NAME = "rows.json", ".rows.lock"


@dataclass(frozen=True, slots=True)
class Segment:
    """Where the rows of a part lie: `length` bytes from `offset` on, of the given CRC-32.

    `number`, `checksum`, `count`, `tar` and `stamp` are those of the part; `schema` is the place of its
    columns in the list of schemas.
    """

    number: int
    checksum: str
    count: int
    tar: str
    stamp: tuple[int, int, int]
    schema: int
    offset: int
    length: int
    crc32: int


class RowFile:
    """An open file of rows; safe to read from several threads, also after a build has replaced it."""

    def __init__(self, name: str, segments: Mapping[int, Segment], schemas: Sequence[pa.Schema]) -> None:
        self.name, self.segments, self.schemas = name, segments, schemas
        self._map: Any = memoryview(b"")

    @staticmethod
    def open(root: Path) -> RowFile | None:
        """The file of rows of a collection; None where there is none that can be read."""
        if is_remote(root):
            return None
        folder = root / "derived"
        try:
            found = RowFile._parsed((folder / _JSON_NAME).read_bytes())
            if found.segments:
                with pa.memory_map(str(folder / found.name)) as file:
                    found._map = file.read_buffer()
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            return None
        return found

    @staticmethod
    def _parsed(data: bytes) -> RowFile:
        fields = json.loads(data)
        if (fields["format"], fields["version"]) != (FORMAT, FORMAT_VERSION):
            raise ValueError("another format")
        if Path(fields["file"]).name != fields["file"]:
            raise ValueError("a file that is not beside it")
        schemas = [pa.ipc.read_schema(pa.py_buffer(base64.b64decode(one))) for one in fields["schemas"]]
        segments = {}
        for number, checksum, count, tar, stamp, *place in fields["segments"]:
            inode, mtime_ns, size = stamp
            schema, offset, length, crc32 = place
            possible = min(count, offset, length, schema) >= 0 and schema < len(schemas)
            if not possible or not TAR_NAME.fullmatch(tar):
                raise ValueError("a segment that cannot be")
            segments[number] = Segment(
                number, checksum, count, tar, (inode, mtime_ns, size), schema, offset, length, crc32
            )
        return RowFile(fields["file"], segments, schemas)

    def states(self, root: Path) -> dict[int, PartState]:
        """The states of the parts that are here, by number; which of them are current, their stamps tell."""
        return {
            one.number: PartState(Part(root, one.number), one.checksum, one.count, one.tar, one.stamp)
            for one in self.segments.values()
        }

    def schema(self, state: PartState) -> pa.Schema | None:
        """The columns of a part without the embedding; None where it is not here in this state."""
        segment = self._segment(state)
        return None if segment is None else self.schemas[segment.schema]

    def hashes(self, state: PartState) -> Hashes | None:
        """The hashes of the ids of a part, uint64 (n,); None where the part is not here in this state."""
        segment = self._segment(state)
        if segment is None:
            return None
        return np.frombuffer(self._map, np.uint64, segment.count, segment.offset)

    def rows(self, state: PartState) -> pa.RecordBatch | None:
        """The rows of a part without embedding; None where it is not here in this state, or damaged.

        Its structure is checked, the values of its columns are not: see `checked`.
        """
        segment = self._segment(state)
        if segment is None:
            return None
        data = self._map.slice(segment.offset, segment.length)
        if zlib.crc32(data) != segment.crc32:
            return None
        try:
            with pa.ipc.open_stream(data.slice(_aligned(8 * segment.count))) as reader:
                batch = reader.read_next_batch()
                batch.validate()
        except (pa.ArrowException, StopIteration, OSError):
            return None
        same = batch.num_rows == segment.count and batch.schema == self.schemas[segment.schema]
        return batch if same else None

    def _segment(self, state: PartState) -> Segment | None:
        found = self.segments.get(state.part.number)
        if found is None or (found.checksum, found.count) != (state.checksum, state.count):
            return None
        return found if found.offset + found.length <= len(self._map) else None


def id_hashes(ids: Sequence[str]) -> Hashes:
    """A hash of each id, uint64 (n,): the start of its BLAKE2b, which no machine has another of."""
    digests = b"".join(hashlib.blake2b(id_.encode(), digest_size=8).digest() for id_ in ids)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def write_row_file(root: Path, states: Sequence[PartState]) -> None:
    """Bring the file of rows up to these states of all parts; nothing where that is not possible now.

    Another process may be doing the same, the disk may be read-only or full, and a part may be gone: the
    rows are then read from the parts, which takes longer.
    """
    if is_remote(root):
        return
    import filelock  # a tenth of a second that readers need not wait

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
    end = max((one.offset + one.length for one in old.segments.values()), default=0)
    alive = sum(one.length for one in kept.values())
    if old.name and 2 * alive >= end:
        name, segments = old.name, dict(kept)
        mode = "r+b"
    else:
        name, segments, end, mode = f"rows-{uuid.uuid4().hex[:12]}.arrow", {}, 0, "w+b"
    path, schemas = folder / name, _Schemas(old.schemas)
    try:
        with path.open(mode) as file:
            file.truncate(end)  # what a killed writer left behind the last segment
            file.seek(end)
            if not segments:
                for segment in kept.values():
                    data = old._map.slice(segment.offset, segment.length)
                    segments[segment.number] = replace(segment, offset=_append(file, data))
            for state in new:
                data, schema = _encoded(state)
                segments[state.part.number] = Segment(
                    state.part.number, state.checksum, state.count, state.tar, state.stamp,
                    schemas.place(schema), _append(file, data), len(data), zlib.crc32(data),
                )  # fmt: skip
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise storage_error(path, error) from error
    _commit(folder, name, segments, schemas.encoded)


def _commit(folder: Path, name: str, segments: Mapping[int, Segment], schemas: Sequence[str]) -> None:
    fields = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "file": name,
        "schemas": list(schemas),
        "segments": [astuple(segments[number]) for number in sorted(segments)],
    }
    write_bytes(folder / _JSON_NAME, (json.dumps(fields, separators=(",", ":")) + "\n").encode())
    _remove_others(folder, name)


def _remove_others(folder: Path, name: str) -> None:
    """Remove files of rows that are no more, or that a killed writer left."""
    for path in folder.glob("rows-*.arrow"):
        if path.name != name:
            path.unlink(missing_ok=True)


class _Schemas:
    """The schemas of the segments, each once, as text."""

    def __init__(self, known: Sequence[pa.Schema]) -> None:
        self.encoded = [_text(one) for one in known]

    def place(self, schema: pa.Schema) -> int:
        text = _text(schema)
        if text not in self.encoded:
            self.encoded.append(text)
        return self.encoded.index(text)


def _text(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize()).decode()


def _encoded(state: PartState) -> tuple[bytes, pa.Schema]:
    """The segment of a part, and its columns."""
    rows = state.described().combine_chunks()
    buffer = io.BytesIO()
    hashes = id_hashes(rows["id"].to_pylist()).tobytes()
    buffer.write(hashes + bytes(_aligned(len(hashes)) - len(hashes)))
    with pa.ipc.new_stream(buffer, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=max(1, rows.num_rows))
    return buffer.getvalue(), rows.schema


def _append(file: IO[bytes], data: Any) -> int:
    """Write at the next aligned place; returns where that is."""
    end = file.tell()
    file.write(bytes(_aligned(end) - end))
    offset = file.tell()
    file.write(data)
    return offset


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
