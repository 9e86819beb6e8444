"""Files of vectors that other programs wrote: .npy, Parquet, and folders as clip-retrieval writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lookalike.builder.vectors import READ_ROWS, Block, no_columns, slices, write_vectors
from lookalike.errors import SourceError, one_line
from lookalike.storage.parts import RESERVED_COLUMNS
from lookalike.storage.stores import place

# The first of these that a table has, as text or whole numbers, holds the ids.
ID_COLUMNS = (
    "id",
    "image_name",
    "image_path",
    "path",
    "file",
    "filename",
    "file_name",
    "image",
    "key",
    "url",
)

_PARQUET = (".parquet", ".pq")


def import_vectors(
    source: str | Path, path: str | Path, *, metadata: str | Path | None = None, model: str = "imported"
) -> None:
    """Make the collection at `path` of a .npy file, Parquet with embeddings, or a folder of clip-retrieval.

    A .npy file may come with `metadata`, a Parquet or CSV file with a row for each vector, in their order.
    Ids are the first of the columns `ID_COLUMNS` that is there, else the numbers of the rows. A column whose
    name a collection needs itself gets `source_` put before it.
    Raises `SourceError` where a file is missing, damaged or does not fit, and `CollectionError` as
    `from_vectors`.
    """
    write_vectors(place(path), _source_blocks(Path(source), metadata), model=model)


def _source_blocks(source: Path, metadata: str | Path | None) -> Iterator[Block]:
    """What is at a source, by its name and contents."""
    if metadata is not None and source.suffix != ".npy":
        raise SourceError(f"metadata goes with a .npy file, and {source} is none", "leave `metadata` out")
    if source.suffix == ".npy":
        return _numbered(_npy_with_rows([(source, Path(metadata) if metadata else None)]))
    if (source / "img_emb").is_dir():
        return _numbered(_npy_with_rows(_clip_retrieval(source)))
    files = _in_order(source.glob("*.parquet")) if source.is_dir() else [source]
    if not files or (files == [source] and source.suffix.lower() not in _PARQUET):
        raise SourceError(
            f"{source} holds no embeddings that can be read",
            "give a .npy file, Parquet with a column `embedding`, or a folder with img_emb/*.npy",
        )
    return _numbered(pair for file in files for pair in _embedding_rows(file))


def _clip_retrieval(folder: Path) -> list[tuple[Path, Path | None]]:
    """The files of vectors, each with that of its rows; numbered ones pair by number."""
    arrays = _in_order((folder / "img_emb").glob("*.npy"))
    with_rows = (folder / "metadata").is_dir()
    names = [array.stem.replace("img_emb", "metadata") + ".parquet" for array in arrays]
    return [
        (array, folder / "metadata" / name if with_rows else None)
        for array, name in zip(arrays, names, strict=True)
    ]


def _in_order(paths: Iterable[Path]) -> list[Path]:
    """By name, in which 2 stands before 10."""

    def key(path: Path) -> list[tuple[int, str]]:
        return [(int(digits or 0), text) for text, digits in re.findall(r"(\D+)|(\d+)", path.name)]

    return sorted(paths, key=key)


def _numbered(pairs: Iterable[tuple[NDArray[Any], pa.Table]]) -> Iterator[Block]:
    """Rows with their ids: from the column that has them, else the numbers of the rows."""
    start = 0
    for vectors, rows in pairs:
        key = next((name for name in ID_COLUMNS if name in rows.column_names and _is_id(rows[name])), None)
        ids = [str(number) for number in range(start, start + len(vectors))]
        if key is not None:
            ids = rows[key].cast(pa.string()).to_pylist()
        kept = [name for name in rows.column_names if name != key or name == "url"]
        names = [f"source_{name}" if name in RESERVED_COLUMNS else name for name in kept]
        columns = rows.select(kept).rename_columns(names) if kept else no_columns(len(vectors))
        yield Block(vectors, ids, columns)
        start += len(vectors)


def _is_id(column: pa.ChunkedArray) -> bool:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer)
    return any(is_kind(column.type) for is_kind in kinds)


def _npy_with_rows(files: Iterable[tuple[Path, Path | None]]) -> Iterator[tuple[NDArray[Any], pa.Table]]:
    """Vectors of .npy files, a piece at a time, with the rows of the table beside each."""
    for path, rows_path in files:
        vectors, start = _open_npy(path), 0
        if rows_path is None:
            yield from ((piece, no_columns(len(piece))) for piece in slices(vectors))
            continue
        count = _count(rows_path)
        if count != len(vectors):
            raise SourceError(f"{path} has {len(vectors):,} vectors, and {rows_path} has {count:,} rows")
        for table in _tables(rows_path):
            yield vectors[start : start + table.num_rows], table
            start += table.num_rows


def _open_npy(path: Path) -> NDArray[Any]:
    """A .npy file as an array on the disk (N, D); one with pickled objects is refused."""
    try:
        # As a plain array: the pages that are read stay in the file.
        vectors = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"cannot read the vectors {path}: {one_line(error)}") from None
    if vectors.ndim != 2:
        raise SourceError(f"{path} has the shape {vectors.shape}, not (N, D)")
    return vectors


def _count(path: Path) -> int:
    """The number of rows of a Parquet or CSV file."""
    if path.suffix.lower() not in _PARQUET:
        return sum(table.num_rows for table in _tables(path))
    try:
        with path.open("rb") as file:
            return int(pq.read_metadata(file).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"cannot read {path}: {one_line(error)}") from None


def _tables(path: Path) -> Iterator[pa.Table]:
    """The rows of a Parquet or CSV file, a piece at a time."""
    try:
        with path.open("rb") as file:
            if path.suffix.lower() not in _PARQUET:
                as_text = dict.fromkeys((*ID_COLUMNS, "label"), pa.string())
                options = pyarrow.csv.ConvertOptions(column_types=as_text)
                table = _unambiguous(pyarrow.csv.read_csv(file, convert_options=options), path)
                yield from (table.slice(start, READ_ROWS) for start in range(0, len(table), READ_ROWS))
                return
            for batch in pq.ParquetFile(file).iter_batches(READ_ROWS):
                yield _unambiguous(pa.Table.from_batches([batch]).replace_schema_metadata(None), path)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"cannot read {path}: {one_line(error)}") from None


def _unambiguous(table: pa.Table, path: Path) -> pa.Table:
    """The table, where no two columns have one name; else raises `SourceError`."""
    names = table.column_names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SourceError(f"{path} has more than one column {twice}", "rename or drop the others")
    return table


def _embedding_rows(path: Path) -> Iterator[tuple[NDArray[Any], pa.Table]]:
    """Vectors and other columns of a Parquet file with a column `embedding`."""
    start = 0
    for table in _tables(path):
        if "embedding" not in table.column_names:
            names = ", ".join(table.column_names)
            raise SourceError(
                f"{path} has no column `embedding`, only: {names}", "rename the one with vectors"
            )
        vectors = _list_matrix(table["embedding"].combine_chunks(), f"{path}, from row {start} on")
        yield vectors, table.drop_columns(["embedding"])
        start += table.num_rows


def _list_matrix(column: pa.Array, where: str) -> NDArray[Any]:
    """A column of lists of numbers as an array (n, D), or `SourceError`."""
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(is_kind(column.type) for is_kind in kinds):
        raise SourceError(f"the embeddings are of the type {column.type}, not lists of numbers: {where}")
    values, lengths = column.flatten(), column.value_lengths().drop_null().unique().to_pylist()
    if column.null_count or values.null_count:
        raise SourceError(f"an embedding or a number in it is null: {where}")
    if len(lengths) != 1:
        raise SourceError(f"the embeddings are not all of one dimension, but of {sorted(lengths)}: {where}")
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(len(column), lengths[0])
