"""Read one file of vectors or of their rows, .npy, Parquet or CSV, piece by piece."""

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

from lookalike.builder.vectors import READ_ROWS
from lookalike.errors import SourceError, one_line
from lookalike.storage.parquet import is_parquet

# The ids are in the first of these columns that a table has, as text or whole numbers.
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


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Sort by name, 2 before 10."""

    def key(path: Path) -> list[tuple[int, str]]:
        return [(int(digits or 0), text) for text, digits in re.findall(r"(\D+)|(\d+)", path.name)]

    return sorted(paths, key=key)


def open_npy(path: Path) -> NDArray[Any]:
    """Map a .npy file as an array (N, D); one with pickled objects is refused."""
    try:
        # As a plain array, whose pages are read from the file.
        vectors = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"cannot read the vectors {path}: {one_line(error)}") from None
    if vectors.ndim != 2:
        raise SourceError(f"{path} has the shape {vectors.shape}, not (N, D)")
    return vectors


def count_rows(path: Path) -> int:
    """Count the rows of a Parquet or CSV file."""
    if not is_parquet(path):
        return sum(table.num_rows for table in tables(path))
    try:
        with path.open("rb") as file:
            return int(pq.read_metadata(file).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"cannot read {path}: {one_line(error)}") from None


def tables(path: Path) -> Iterator[pa.Table]:
    """Yield the rows of a Parquet or CSV file piece by piece."""
    try:
        with path.open("rb") as file:
            if not is_parquet(path):
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
    """Return the table; raises `SourceError` if two columns share a name."""
    names = table.column_names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SourceError(f"{path} has more than one column {twice}", "rename or drop the others")
    return table


def embedding_rows(path: Path) -> Iterator[tuple[NDArray[Any], pa.Table]]:
    """Yield vectors and other columns of a Parquet file with a column `embedding`."""
    start = 0
    for table in tables(path):
        if "embedding" not in table.column_names:
            names = ", ".join(table.column_names)
            raise SourceError(
                f"{path} has no column `embedding`, only: {names}", "rename the one with vectors"
            )
        vectors = _list_matrix(table["embedding"].combine_chunks(), f"{path}, from row {start} on")
        yield vectors, table.drop_columns(["embedding"])
        start += table.num_rows


def _list_matrix(column: pa.Array, where: str) -> NDArray[Any]:
    """Return a column of lists of numbers as an array (n, D), or raise `SourceError`."""
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(is_kind(column.type) for is_kind in kinds):
        raise SourceError(f"the embeddings have type {column.type}, not lists of numbers: {where}")
    values, lengths = column.flatten(), column.value_lengths().drop_null().unique().to_pylist()
    if column.null_count or values.null_count:
        raise SourceError(f"an embedding or a number in it is null: {where}")
    if len(lengths) != 1:
        raise SourceError(f"the embeddings have different dimensions, {sorted(lengths)}: {where}")
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(len(column), lengths[0])
