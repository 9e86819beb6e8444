"""Imports other programs' vectors: .npy, Parquet, folders of clip-retrieval and image_embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from lookalike.builder.array_files import (
    ID_COLUMNS,
    count_rows,
    embedding_rows,
    in_order,
    open_npy,
    tables,
)
from lookalike.builder.original_files import ARRAY, ID_NAME, array_rows, is_original, original_rows
from lookalike.builder.vectors import Block, no_columns, slices, write_vectors
from lookalike.errors import SourceError, one_line
from lookalike.storage.parquet import is_parquet
from lookalike.storage.parts import RESERVED_COLUMNS
from lookalike.storage.stores import place


def import_vectors(
    source: str | Path, path: str | Path, *, metadata: str | Path | None = None, model: str = "imported"
) -> None:
    """Make the collection at `path` from a .npy file, Parquet with embeddings, or another tool's folder.

    The folder is one of `export`, of clip-retrieval, or of the original image_embeddings (docs/site.md).
    A .npy file may come with `metadata`, a Parquet or CSV file with a row for each vector, in the same order.
    Ids are in the first of the columns `ID_COLUMNS` that exists, else they are row numbers. A column whose
    name a collection uses itself gets the prefix `source_`.
    Raises `SourceError` if a file is missing, damaged or does not fit, and `CollectionError` as
    `from_vectors`.
    """
    write_vectors(place(path), _source_blocks(Path(source), metadata), model=model)


def _source_blocks(source: Path, metadata: str | Path | None) -> Iterator[Block]:
    """Read a source according to its name and contents."""
    if metadata is not None and source.suffix != ".npy":
        raise SourceError(f"metadata goes with a .npy file, and {source} is not one", "leave `metadata` out")
    if metadata is None and source.name == ARRAY and (source.parent / ID_NAME).is_file():
        return _numbered(array_rows(source.parent))
    if source.suffix == ".npy":
        return _numbered(_npy_with_rows([(source, Path(metadata) if metadata else None)]))
    if (source / "vectors.npy").is_file():
        rows = source / "metadata.parquet"
        return _numbered(_npy_with_rows([(source / "vectors.npy", rows if rows.is_file() else None)]))
    if (source / "img_emb").is_dir():
        return _numbered(_npy_with_rows(_clip_retrieval(source)))
    if is_original(source):
        return _numbered(original_rows(source))
    files = in_order(source.glob("*.parquet")) if source.is_dir() else [source]
    if not files or (files == [source] and not is_parquet(source)):
        raise SourceError(
            f"{source} has no embeddings that Lookalike can read",
            "give a .npy file, Parquet with a column `embedding`, or a folder of an export, of "
            "clip-retrieval or of image_embeddings",
        )
    return _numbered(pair for file in files for pair in embedding_rows(file))


def _clip_retrieval(folder: Path) -> list[tuple[Path, Path | None]]:
    """Pair the files of vectors with those of their rows, by number."""
    arrays = in_order((folder / "img_emb").glob("*.npy"))
    with_rows = (folder / "metadata").is_dir()
    names = [array.stem.replace("img_emb", "metadata") + ".parquet" for array in arrays]
    return [
        (array, folder / "metadata" / name if with_rows else None)
        for array, name in zip(arrays, names, strict=True)
    ]


def _numbered(pairs: Iterable[tuple[NDArray[Any], pa.Table]]) -> Iterator[Block]:
    """Give the rows their ids: from a column that has some, else the row numbers."""
    start = 0
    for vectors, read in pairs:
        rows = _with_text_names(read)
        key = next((name for name in ID_COLUMNS if name in rows.column_names and _is_id(rows[name])), None)
        ids = [str(number) for number in range(start, start + len(vectors))]
        if key is not None:
            ids = rows[key].cast(pa.string()).to_pylist()
        kept = [name for name in rows.column_names if name != key or name == "url"]
        names = [f"source_{name}" if name in RESERVED_COLUMNS else name for name in kept]
        columns = rows.select(kept).rename_columns(names) if kept else no_columns(len(vectors))
        yield Block(vectors, ids, columns)
        start += len(vectors)


def _with_text_names(rows: pa.Table) -> pa.Table:
    """The rows with `image_name` as text; the original image_embeddings writes it as UTF-8 bytes."""
    place = rows.schema.get_field_index("image_name")
    if place < 0 or not (pa.types.is_binary(rows[place].type) or pa.types.is_large_binary(rows[place].type)):
        return rows
    try:
        return rows.set_column(place, "image_name", rows[place].cast(pa.string()))
    except pa.ArrowException as error:
        raise SourceError(f"an image_name is not text: {one_line(error)}") from None


def _is_id(column: pa.ChunkedArray) -> bool:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer)
    return any(is_kind(column.type) for is_kind in kinds)


def _npy_with_rows(files: Iterable[tuple[Path, Path | None]]) -> Iterator[tuple[NDArray[Any], pa.Table]]:
    """Read .npy files in pieces, with the matching rows of each file's table."""
    for path, rows_path in files:
        vectors, start = open_npy(path), 0
        if rows_path is None:
            yield from ((piece, no_columns(len(piece))) for piece in slices(vectors))
            continue
        count = count_rows(rows_path)
        if count != len(vectors):
            raise SourceError(f"{path} has {len(vectors):,} vectors, but {rows_path} has {count:,} rows")
        for table in tables(rows_path):
            yield vectors[start : start + table.num_rows], table
            start += table.num_rows
