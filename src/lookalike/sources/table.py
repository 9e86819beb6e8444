"""Parquet and Arrow files with a column of encoded images: bytes, or Hugging Face's struct with a path."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lookalike.errors import one_line
from lookalike.sources.sample import Sample
from lookalike.sources.shard import IMAGE_NAMES, Shard, check_image_column, unique_name
from lookalike.storage.parts import Failure

# Images are read a group of rows at a time. The last groups are kept up to this size, but always two,
# because the threads of a build work on neighbouring rows.
_KEPT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class _Group:
    """A group of rows that are read together, and the state of their table.

    `place` is the number of a row group of Parquet or of a batch of an Arrow file, or the byte at which a
    batch of an Arrow stream starts.
    """

    path: Path
    mtime_ns: int
    place: int


def samples(shard: Shard) -> Iterator[Sample | Failure]:
    """Yield the images of a table in order; of Parquet, only the other columns are read.

    Raises `SourceError` if the table has no column of images. If the table breaks off or is damaged,
    the rows before are used, and the rest is one failure.
    """
    number = 0
    taken: set[str] = set()
    try:
        with shard.path.open("rb") as file:
            schema = _schema(file)
            column = _image_column(schema, shard.columns.image)
            check_image_column(shard, column, schema.names)
            classes = {name: one["names"] for name, one in _features(schema).items() if "names" in one}
            for place, rows in _groups(file, str(column)):
                for index, row in enumerate(rows):
                    _name_labels(row, classes)
                    name = unique_name(row, shard.columns.name, number, taken)
                    read = partial(_read, _Group(shard.path, shard.mtime_ns, place), str(column), index)
                    yield shard.sample(name, None, read, shard.described(row))
                    number += 1
    except (pa.ArrowException, OSError, ValueError) as error:
        yield shard.failure("", f"{one_line(error)}; {number:,} rows precede it")


def _schema(file: BinaryIO) -> pa.Schema:
    kind = _format(file)
    if kind == "parquet":
        return pq.read_schema(file)
    return pa.ipc.open_file(file).schema if kind == "file" else pa.ipc.read_schema(pa.PythonFile(file, "r"))


def _format(file: BinaryIO) -> str:
    """Return `parquet`, or Arrow's format, `file` or `stream`; leaves the file at its start."""
    file.seek(0)
    start = file.read(6)
    file.seek(0)
    return "parquet" if start[:4] == b"PAR1" else "file" if start == b"ARROW1" else "stream"


def _image_column(schema: pa.Schema, wanted: str | None) -> str | None:
    """Find the column of images: the one asked for, the one in Hugging Face's metadata, or one by its name.

    None if it is missing, or there are two.
    """
    holders = [field.name for field in schema if _holds_bytes(field.type)]
    able = [name for name in holders if schema.names.count(name) == 1]
    said = [name for name, feature in _features(schema).items() if feature.get("_type") == "Image"]
    ranked = [wanted] if wanted else [*said, *IMAGE_NAMES, *(able if len(able) == 1 else ())]
    return next((name for name in ranked if name in able), None)


def _holds_bytes(type_: pa.DataType) -> bool:
    if pa.types.is_struct(type_):
        return type_.get_field_index("bytes") >= 0 and _holds_bytes(type_.field("bytes").type)
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Read Hugging Face's metadata about columns: pictures, and class names."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return {name: one for name, one in features.items() if isinstance(one, dict)}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _name_labels(row: dict[str, Any], classes: dict[str, list[str]]) -> None:
    for name, names in classes.items():
        value = row.get(name)
        if isinstance(value, int) and 0 <= value < len(names):
            row[name] = names[value]


def _groups(file: BinaryIO, image: str) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield the place of each group, and its rows without the images."""
    kind = _format(file)
    if kind == "parquet":
        table = pq.ParquetFile(file, page_checksum_verification=True)
        # A prefix selects everything below it, so name the struct's path alone.
        columns = [*(name for name in table.schema_arrow.names if name != image), f"{image}.path"]
        for place in range(table.num_row_groups):
            yield place, _described(table.read_row_group(place, columns), image)
    elif kind == "file":
        batches = pa.ipc.open_file(file)
        for place in range(batches.num_record_batches):
            yield place, _described(pa.Table.from_batches([batches.get_batch(place)]), image)
    else:
        for place, batch in _stream(file):
            yield place, _described(pa.Table.from_batches([batch]), image)


def _stream(file: BinaryIO) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield the batches of an Arrow stream and where they start; raises `ValueError` if it breaks off."""
    source = pa.PythonFile(file, "r")
    schema = pa.ipc.read_schema(source)
    while True:
        place = source.tell()
        try:
            message = pa.ipc.read_message(source)
        except EOFError:
            break
        yield place, pa.ipc.read_record_batch(message, schema)
    if place == file.seek(0, 2):
        raise ValueError("the stream has no end mark: it was cut off")


def _described(rows: pa.Table, image: str) -> list[dict[str, Any]]:
    """Return the rows without images; the path in an image's struct becomes `path`, if no column is."""
    paths: list[str | None] = [None] * rows.num_rows
    if image in rows.column_names:
        type_ = rows.schema.field(image).type
        if pa.types.is_struct(type_) and type_.get_field_index("path") >= 0:
            paths = pc.struct_field(rows[image], "path").to_pylist()
        rows = rows.drop_columns([image])
    if not rows.num_columns:
        return [{"path": path} for path in paths]
    return [{"path": path, **row} for path, row in zip(paths, rows.to_pylist(), strict=True)]


def _read(group: _Group, image: str, index: int) -> bytes:
    """Read one image of a group; raises `OSError` if there is none, or the group cannot be read."""
    try:
        data: bytes | None = _recent.images(group, image)[index].as_py()
    except pa.ArrowException as error:
        raise OSError(one_line(error)) from None
    if data is None:
        raise OSError("the row has no image")
    return data


class _Recent:
    """The images of the last groups read."""

    def __init__(self) -> None:
        self._groups: OrderedDict[tuple[_Group, str], pa.ChunkedArray] = OrderedDict()
        self._lock = threading.Lock()

    def images(self, group: _Group, image: str) -> pa.ChunkedArray:
        with self._lock:
            key = (group, image)
            if key not in self._groups:
                self._groups[key] = _load(group, image)
                self._drop_the_oldest()
            self._groups.move_to_end(key)
            return self._groups[key]

    def _drop_the_oldest(self) -> None:
        size = sum(one.nbytes for one in self._groups.values())
        while len(self._groups) > 2 and size > _KEPT_BYTES:
            size -= self._groups.popitem(last=False)[1].nbytes


_recent = _Recent()


def _load(group: _Group, image: str) -> pa.ChunkedArray:
    with group.path.open("rb") as file:
        kind = _format(file)
        if kind == "parquet":
            rows = pq.ParquetFile(file, page_checksum_verification=True).read_row_group(group.place, [image])
        elif kind == "file":
            rows = pa.Table.from_batches([pa.ipc.open_file(file).get_batch(group.place)])
        else:
            schema = pa.ipc.read_schema(pa.PythonFile(file, "r"))
            file.seek(group.place)
            rows = pa.Table.from_batches([pa.ipc.read_record_batch(pa.ipc.read_message(file), schema)])
    column = rows[image]
    return pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column
