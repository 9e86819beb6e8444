"""Exports a collection as the original image_embeddings library writes it, for its search and demo page.

    parquet/part-000.parquet     image_name (binary), embedding (list of float32)
    embeddings/embedding.npy     float32 (N, D)
    embeddings/id_name.json      [{"id": 0, "name": "rose_17"}, ...]
    images/rose_17.jpeg          if wanted: the thumbnails
    metadata.parquet             the id and all other columns of each name

The Parquet files have their own folder, because the library reads everything in
a folder as one table.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from lookalike.acquire.bare_names import bare_names
from lookalike.builder.original_files import (
    ARRAY,
    ARRAY_FOLDER,
    ID_NAME,
    PARTS_FOLDER,
    PICTURES_FOLDER,
    part_name,
)
from lookalike.checking import checked
from lookalike.errors import CollectionError
from lookalike.export.rows import THUMBNAIL, OnProgress, pieces, silent, take_count
from lookalike.export.tables import columns_of
from lookalike.export.target import new_folder
from lookalike.storage.parts import matrix, with_schema
from lookalike.storage.snapshot import Snapshot

# Vectors in a part; more if a collection would otherwise have more than a thousand parts, the maximum.
PART_ROWS = 8192
_MOST_PARTS = 1000


@checked
def export_image_embeddings(
    snapshot: Snapshot,
    target: str | Path,
    *,
    images: bool = False,
    max_items: int | None = None,
    on_progress: OnProgress = silent,
) -> Path:
    """Write vectors and names as image_embeddings does, and with `images` the thumbnails; returns the folder.

    An image is named by its file's name without the ending, as `bare_names` does; `metadata.parquet` maps
    names to ids. Raises `CollectionError` if there is nothing to export, or a wanted picture is missing, and
    `StorageError` if the target has other files.
    """
    count = take_count(snapshot, max_items)
    names = bare_names(snapshot.column("id").slice(0, count).to_pylist())
    if images:
        _check_pictures(snapshot, count)
    rows_a_part, done = max(PART_ROWS, -(-count // _MOST_PARTS)), 0
    with new_folder(Path(target).resolve(), is_ours=lambda folder: False) as folder:
        parts, arrays, pictures = (folder / one for one in (PARTS_FOLDER, ARRAY_FOLDER, PICTURES_FOLDER))
        for one in (parts, arrays, *([pictures] if images else [])):
            one.mkdir()
        shape = (count, snapshot.dim)
        array = open_memmap(arrays / ARRAY, mode="w+", dtype=np.float32, shape=shape)
        schema = _metadata_schema(snapshot)
        with pq.ParquetWriter(folder / "metadata.parquet", schema, compression="zstd") as metadata:
            for number, table in enumerate(pieces(snapshot, rows_a_part, count, thumbnails=images)):
                some, vectors = names[done : done + len(table)], matrix(table["embedding"])
                pq.write_table(_part(some, vectors), parts / part_name(number))
                array[done : done + len(table)] = vectors
                metadata.write_table(_with_names(table, some, schema))
                if images:
                    for name, jpeg in zip(some, table[THUMBNAIL].to_pylist(), strict=True):
                        (pictures / f"{name}.jpeg").write_bytes(jpeg)
                done += len(table)
                on_progress(done, count)
        array.flush()
        _write_names(arrays / ID_NAME, names)
    return Path(target)


def _check_pictures(snapshot: Snapshot, count: int) -> None:
    """Raise `CollectionError` if an item has no thumbnail, before anything is written."""
    sizes = snapshot.column("thumb_size").slice(0, count).to_pylist()
    without = [row for row, size in enumerate(sizes) if not size]
    if without:
        (first,) = snapshot.ids(without[:1])
        raise CollectionError(
            f"{len(without):,} of {count:,} items have no picture, such as {first}",
            "leave the pictures out, or export a collection that was built from pictures",
        )


def _part(names: list[str], vectors: NDArray[np.float32]) -> pa.Table:
    """Return the rows of a part; the library writes names as bytes."""
    offsets = pa.array(np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1])
    embedding = pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)))
    image_names = pa.array([name.encode() for name in names], pa.binary())
    return pa.table([image_names, embedding], ["image_name", "embedding"])


def _metadata_schema(snapshot: Snapshot) -> pa.Schema:
    """Return the columns: the name, then the collection's, with `image_name` as `source_image_name`."""
    columns = [one.with_name(_renamed(one.name)) for one in columns_of(snapshot)]
    return pa.schema([("image_name", pa.string()), *columns])


def _with_names(table: pa.Table, names: list[str], schema: pa.Schema) -> pa.Table:
    renamed = table.rename_columns([_renamed(name) for name in table.column_names])
    return with_schema(renamed.append_column("image_name", pa.array(names, pa.string())), schema)


def _renamed(column: str) -> str:
    return "source_image_name" if column == "image_name" else column


def _write_names(path: Path, names: list[str]) -> None:
    """Write the list of names, byte for byte as `json.dump` does, without holding it in memory."""
    with path.open("w", encoding="ascii") as file:
        for number, name in enumerate(names):
            file.write(("[" if number == 0 else ", ") + json.dumps({"id": number, "name": name}))
        file.write("]")
