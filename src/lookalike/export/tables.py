"""Export vectors and rows for other tools: NumPy and Parquet, Parquet alone, or clip-retrieval's folders.

`lookalike import` reads each of them back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib.format import open_memmap

from lookalike.checking import checked
from lookalike.export.rows import OnProgress, pieces, silent, take_count
from lookalike.export.target import new_folder
from lookalike.storage.columns import INTERNAL_COLUMNS
from lookalike.storage.parts import matrix, with_schema
from lookalike.storage.snapshot import Snapshot

Form = Literal["npy", "parquet", "clip-retrieval"]

# clip-retrieval puts up to a million vectors into a file; fewer need less memory.
CLIP_RETRIEVAL_ROWS = 65_536
_PIECE_ROWS = 8192


@checked
def export_tables(
    snapshot: Snapshot,
    target: str | Path,
    form: Form,
    *,
    max_items: int | None = None,
    on_progress: OnProgress = silent,
) -> Path:
    """Write the vectors, and a row for each in the same order, in another tool's format.

    `form` is `npy` (`vectors.npy`, float32 (N, D), and `metadata.parquet`), `parquet` (`vectors.parquet`,
    whose column `embedding` has lists of D numbers) or `clip-retrieval` (`img_emb/img_emb_0.npy` and
    `metadata/metadata_0.parquet`, and so on).
    """
    write = {"npy": _write_npy, "parquet": _write_parquet, "clip-retrieval": _write_clip_retrieval}[form]
    count = take_count(snapshot, max_items)
    with new_folder(Path(target).resolve(), is_ours=lambda folder: False) as folder:
        write(folder, snapshot, count, on_progress)
    return Path(target)


def _write_npy(folder: Path, snapshot: Snapshot, count: int, on_progress: OnProgress) -> None:
    shape = (count, snapshot.dim)
    vectors = open_memmap(folder / "vectors.npy", mode="w+", dtype=np.float32, shape=shape)
    schema, done = columns_of(snapshot), 0
    with pq.ParquetWriter(folder / "metadata.parquet", schema, compression="zstd") as writer:
        for table in _counted(snapshot, _PIECE_ROWS, count, on_progress):
            vectors[done : done + len(table)] = matrix(table["embedding"])
            writer.write_table(with_schema(table, schema))
            done += len(table)
    vectors.flush()


def _write_parquet(folder: Path, snapshot: Snapshot, count: int, on_progress: OnProgress) -> None:
    embedding = snapshot.parts[0].part.schema().field("embedding")
    schema = columns_of(snapshot).append(embedding)
    with pq.ParquetWriter(folder / "vectors.parquet", schema, compression="zstd") as writer:
        for table in _counted(snapshot, _PIECE_ROWS, count, on_progress):
            writer.write_table(with_schema(table, schema))


def _write_clip_retrieval(folder: Path, snapshot: Snapshot, count: int, on_progress: OnProgress) -> None:
    for name in ("img_emb", "metadata"):
        (folder / name).mkdir()
    schema = columns_of(snapshot)
    for number, table in enumerate(_counted(snapshot, CLIP_RETRIEVAL_ROWS, count, on_progress)):
        np.save(folder / "img_emb" / f"img_emb_{number}.npy", matrix(table["embedding"]))
        rows = with_schema(table, schema)
        if "image_path" not in schema.names:  # clip-retrieval shows this of an item
            rows = rows.append_column("image_path", rows["id"])
        pq.write_table(rows, folder / "metadata" / f"metadata_{number}.parquet", compression="zstd")


def _counted(snapshot: Snapshot, rows: int, count: int, on_progress: OnProgress) -> Iterator[pa.Table]:
    done = 0
    for table in pieces(snapshot, rows, count, thumbnails=False):
        yield table
        done += len(table)
        on_progress(done, count)


def columns_of(snapshot: Snapshot) -> pa.Schema:
    """Return the columns of all parts, without the vectors and the positions of thumbnails."""
    return pa.schema([field for field in snapshot.schema if field.name not in INTERNAL_COLUMNS])
