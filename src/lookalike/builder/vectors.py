"""Collections of vectors made elsewhere, without images.

Blocks of rows go in and parts come out one after another, so memory does not grow with the number of rows
(except for the ids, which are compared). The collection appears at its path once all is written and checked.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.errors import CollectionError, SourceError, one_line
from lookalike.models.spec import ModelSpec
from lookalike.search.confidence import write_background
from lookalike.storage.files import MARKS_NAME, storage_error
from lookalike.storage.manifest import Manifest, is_collection, write_manifest
from lookalike.storage.parts import ITEM_FIELDS, RESERVED_COLUMNS, Part, embedding_column
from lookalike.storage.row_file import write_row_file
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.stores import is_remote, place
from lookalike.storage.writing import check_target, writing

READ_ROWS = 1024
# A part's vectors take about 16 MiB, within these limits for its number of rows.
_PART_BYTES, _PART_ROWS = 2**24, (1024, 8192)


# Ten times the largest error seen in the length of 1,280 float32 numbers that were scaled to length 1.
_UNIT_WITHIN = 1e-6


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows: `vectors` (n, D), n `ids`, and n rows of other `columns`."""

    vectors: NDArray[Any]
    ids: Sequence[str]
    columns: pa.Table


def from_vectors(
    path: str | Path,
    vectors: NDArray[Any] | Iterable[Any],
    ids: Iterable[Any],
    *,
    columns: Mapping[str, Sequence[Any]] | pa.Table | None = None,
    model: str = "vectors",
    normalize: bool = True,
) -> None:
    """Make the collection at `path` from N vectors, without images.

    `vectors` is an array (N, D) of floats, and `ids` are N unique strings; or both are iterables of blocks:
    (n, D) arrays, and sequences of n ids. `columns` have N values each. The vectors are scaled to length 1;
    with `normalize=False` they have to have that length already.
    Raises `SourceError` if they do not fit together, and `CollectionError` if `path` is taken.
    """
    if isinstance(vectors, list | tuple) and vectors and np.ndim(vectors[0]) < 2:
        vectors = _array(vectors)
    if isinstance(vectors, np.ndarray):
        texts = _python(ids)
        if vectors.shape[:1] != (len(texts),):
            raise SourceError(f"{len(texts):,} ids do not fit vectors of shape {vectors.shape}")
        vectors, ids = slices(vectors), slices(texts)
    table = columns if isinstance(columns, pa.Table) else _table(columns or {})
    write_vectors(place(path), _paired(vectors, ids, table), model=model, normalize=normalize)


def write_vectors(root: Path, blocks: Iterable[Block], *, model: str, normalize: bool = True) -> None:
    """Make a collection at `root` from blocks of rows; checks and errors as in `from_vectors`.

    The files are written into a folder next to it, which is renamed when all are there. In an object
    store they are put in place, and the manifest, without which there is no collection, comes last.
    """
    _check_free(root)
    unfinished = root
    if not is_remote(root):
        unfinished = root.with_name(root.name + ".unfinished")
    with writing(unfinished):
        _check_free(root)
        try:
            for name in ("items", "thumbnails", "derived"):  # left by a killed writer
                _discard(unfinished / name)
            spec = ModelSpec(
                model, sha256="", dim=_write_parts(unfinished, blocks, normalize), size_px=0, crop=1.0
            )
            write_manifest(unfinished, Manifest(spec))
            snapshot = Snapshot.open(unfinished)
            write_background(snapshot)
            write_row_file(unfinished, snapshot.parts)
        except BaseException:
            _discard(unfinished)
            raise
    if unfinished != root:
        _rename(unfinished, root)


def _check_free(root: Path) -> None:
    """Raise `CollectionError` if there is a collection or other files."""
    check_target(root)
    if is_collection(root):
        raise CollectionError(f"{root} is a collection already", "give another path")
    if (root / MARKS_NAME).is_dir():  # the finished folder would replace the existing one
        raise CollectionError(f"{root} holds the marks of a collection that is gone", "give another path")


def _discard(folder: Path) -> None:
    """Remove a folder as far as possible."""
    if is_remote(folder):
        with suppress(OSError):
            folder.remove_tree()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _rename(unfinished: Path, root: Path) -> None:
    """Rename the finished folder into place; raises `CollectionError` if `root` has been taken meanwhile."""
    try:
        _check_free(root)
        if root.is_dir():  # empty, or holds what a killed build left
            shutil.rmtree(root)
        unfinished.rename(root)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise storage_error(root, error) from error
    except CollectionError:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _write_parts(root: Path, blocks: Iterable[Block], normalize: bool) -> int:
    """Write the parts; returns D."""
    checks = _Checks()
    number, waiting = 0, list[pa.Table]()
    for block in blocks:
        rows = checks.rows(block, normalize)
        limit = min(max(_PART_BYTES // (4 * checks.dim), _PART_ROWS[0]), _PART_ROWS[1])
        waiting.append(rows)
        while sum(table.num_rows for table in waiting) >= limit:
            together = pa.concat_tables(waiting, promote_options="permissive")
            _write_part(Part(root, number), together.slice(0, limit))
            waiting, number = [together.slice(limit)], number + 1
    rest = pa.concat_tables(waiting, promote_options="permissive") if waiting else pa.table({})
    if rest.num_rows:
        _write_part(Part(root, number), rest)
    if not checks.seen:
        raise SourceError("there are no vectors")
    return checks.dim


def _write_part(part: Part, rows: pa.Table) -> None:
    part.write(rows, [b""] * rows.num_rows)  # no item has a thumbnail


@dataclass(slots=True)
class _Checks:
    """What the blocks so far had: `dim` is D, `seen` are their ids, `schema` their other columns."""

    dim: int = 0
    seen: set[str] = field(default_factory=set)
    schema: pa.Schema = field(default_factory=lambda: pa.schema([]))

    def rows(self, block: Block, normalize: bool) -> pa.Table:
        """Convert the block to rows of items, or raise `SourceError`."""
        vectors, start = block.vectors, len(self.seen)
        if vectors.ndim != 2 or vectors.shape[1] < 1 or vectors.dtype.kind not in "fiu":
            shape = f"{vectors.dtype} {vectors.shape}"
            raise SourceError(
                f"the vectors are {shape}, not rows of numbers (N, D)", "give a float array (N, D)"
            )
        if self.dim and vectors.shape[1] != self.dim:
            raise SourceError(f"row {start} has {vectors.shape[1]} dimensions, earlier rows have {self.dim}")
        if not len(vectors) == len(block.ids) == block.columns.num_rows:
            raise SourceError(
                f"{len(vectors):,} vectors, {len(block.ids):,} ids and {block.columns.num_rows:,} rows of "
                f"columns do not fit together, from row {start} on"
            )
        self.dim = vectors.shape[1]
        self._check_ids(block.ids)
        self._check_types(block.columns)
        embedding = embedding_column(_unit(vectors, block.ids, start, normalize), "float32")
        return _items(block.ids, block.columns, embedding)

    def _check_ids(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            if not isinstance(id_, str) or not id_:
                raise SourceError(f"row {len(self.seen)} has the id {id_!r}", "ids have to be text: str(id)")
            if id_ in self.seen:
                raise SourceError(f"row {len(self.seen)} has the id {id_!r}, which an earlier row has too")
            self.seen.add(id_)

    def _check_types(self, columns: pa.Table) -> None:
        taken = sorted(RESERVED_COLUMNS.intersection(columns.column_names))
        if taken or len(set(columns.column_names)) < len(columns.column_names):
            raise SourceError(
                "these column names are reserved by the collection or occur twice: "
                f"{', '.join(taken or columns.column_names)}",
                "rename them",
            )
        try:
            self.schema = pa.unify_schemas([self.schema, columns.schema], promote_options="permissive")
        except pa.ArrowException as error:
            raise SourceError(
                f"a column has a different type than in earlier rows: {one_line(error)}"
            ) from None


def _unit(
    vectors: NDArray[Any], ids: Sequence[str], start: int, normalize: bool
) -> NDArray[np.floating[Any]]:
    """Scale vectors (n, D) to length 1, or raise `SourceError` for the first row that cannot be."""
    exact = vectors.astype(np.result_type(vectors.dtype, np.float32), copy=False)
    largest = np.abs(exact).max(axis=1, initial=0)
    for bad, what in ((~np.isfinite(largest), "a value that is not finite"), (largest == 0, "zeros only")):
        if bad.any():
            row = int(np.argmax(bad))
            raise SourceError(f"the vector of {ids[row]!r} (row {start + row}) has {what}", "leave it out")
    # Scaled before they are squared, so that no square is too large or too small for its type.
    scale = largest if normalize else np.ones_like(largest)
    scaled = exact / scale[:, None]
    lengths = np.sqrt(np.einsum("nd,nd->n", scaled, scaled, dtype=np.float64))
    if normalize:
        # What has length 1 already, but for the rounding of float32, comes back as it was exported.
        is_unit = np.abs(lengths * scale - 1) <= _UNIT_WITHIN
        scaled /= lengths[:, None].astype(scaled.dtype)
        scaled[is_unit] = exact[is_unit]
        return np.asarray(scaled)
    wrong = np.abs(lengths - 1) > 0.001
    if wrong.any():
        row = int(np.argmax(wrong))
        raise SourceError(
            f"the vector of {ids[row]!r} (row {start + row}) has length {lengths[row]:.4g}, not 1",
            "let it be scaled: normalize=True",
        )
    return exact


def _items(ids: Sequence[str], columns: pa.Table, embedding: pa.Array) -> pa.Table:
    """Complete the rows: the columns of an item without an image, and the block's own."""
    nothing: dict[str, list[Any]] = {
        item.name: [0 if pa.types.is_integer(item.type) else ""] * len(ids) for item in ITEM_FIELDS
    }
    nothing["label"] = [None] * len(ids)
    try:
        nothing |= {"id": list(ids), "uri": [f"vectors:{quote(id_)}" for id_ in ids]}
        if "label" in columns.column_names:
            given = columns["label"]
            if pa.types.is_floating(given.type):
                given = pc.if_else(pc.is_nan(given), None, given)
            nothing["label"] = given.cast(pa.string()).to_pylist()
        rows = pa.table(nothing, pa.schema(ITEM_FIELDS))
    except (pa.ArrowException, UnicodeEncodeError) as error:
        raise SourceError(f"an id or a label is not text: {one_line(error)}") from None
    for name in columns.column_names:
        if name != "label":
            rows = rows.append_column(columns.schema.field(name), columns[name])
    return rows.append_column(pa.field("embedding", embedding.type, nullable=False), embedding)


def _paired(vectors: Iterable[Any], ids: Iterable[Any], columns: pa.Table) -> Iterator[Block]:
    """Pair blocks of vectors with their ids and their rows of the columns."""
    start = 0
    for number, (some, names) in enumerate(zip_longest(vectors, ids)):
        if some is None or names is None:
            what = "ids" if some is None else "vectors"
            raise SourceError(f"there are more blocks of {what} than {number}, the number of the others")
        array, texts = _array(some), _python(names)
        rows = columns.slice(start, len(texts)) if columns.num_columns else no_columns(len(texts))
        yield Block(array, texts, rows)
        start += len(texts)
    if columns.num_columns and start != columns.num_rows:
        raise SourceError(f"{start:,} vectors and {columns.num_rows:,} rows of columns do not fit together")


def slices(rows: Any) -> Iterator[Any]:
    return (rows[start : start + READ_ROWS] for start in range(0, len(rows), READ_ROWS))


def _array(vectors: Any) -> NDArray[Any]:
    try:
        return np.asarray(vectors)
    except ValueError:
        raise SourceError("the vectors have different dimensions", "give a float array (N, D)") from None


def _python(ids: Any) -> list[Any]:
    """Convert ids in any kind of array to Python values."""
    if isinstance(ids, pa.Array | pa.ChunkedArray):
        return list(ids.to_pylist())
    return list(ids.tolist() if isinstance(ids, np.ndarray) else ids)


def _table(columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    try:
        return pa.table(dict(columns))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise SourceError(
            f"the columns do not form a table: {one_line(error)}", "give lists of equal length"
        ) from None


def no_columns(count: int) -> pa.Table:
    """A table of `count` rows and no columns."""
    return pa.table({"": pa.nulls(count)}).select([])
