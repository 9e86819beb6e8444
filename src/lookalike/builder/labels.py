"""Columns that a build adds to a source's images: a label from the path, or a table's columns."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from lookalike.errors import SourceError, one_line
from lookalike.storage.label_values import FOLDER, folder_of
from lookalike.storage.parquet import is_parquet
from lookalike.storage.parts import RESERVED_COLUMNS

# A metadata table's relative paths are in the first of these columns that it has.
PATH_COLUMNS = ("id", "path", "file", "filename", "file_name", "image")

_AS_CSV = "save it as UTF-8 text, with commas between the columns"


@dataclass(frozen=True, slots=True)
class Metadata:
    """A table's columns by relative image path: `types` are the columns' types, `rows` their values."""

    types: dict[str, pa.DataType]
    rows: dict[str, dict[str, Any]]


def label_rule(rule: str) -> Callable[[str], str | None]:
    """A function from an id to its label: `folder` (the parent folder) or `regex:PATTERN` (its first group).

    The pattern is searched in the file's name; without a match there is no label.
    Raises `SourceError` for any other rule.
    """
    if rule == FOLDER:
        return folder_of
    if not rule.startswith("regex:"):
        raise SourceError(f"unknown label rule {rule!r}", "use folder, or regex:PATTERN with a group")
    try:
        pattern = re.compile(rule.removeprefix("regex:"))
    except re.error as error:
        raise SourceError(f"the label's pattern is not a regular expression: {error}") from None
    if pattern.groups < 1:
        raise SourceError(
            f"the label's pattern {pattern.pattern!r} has no group",
            "put the label in brackets: 'regex:^image_([a-z]+)_'",
        )

    def first_group(id_: str) -> str | None:
        match = pattern.search(PurePosixPath(id_).name)
        return (match[1] or None) if match else None

    return first_group


def read_metadata(path: Path) -> Metadata:
    """Read a CSV or Parquet file of columns by relative path; raises `SourceError` naming what is wrong."""
    table, names = _read_table(path)
    key = _path_column(names, path)
    columns = [name for name in names if name != key]
    _check_names(names, columns, path)
    try:
        paths = table[key].cast(pa.string()).to_pylist()
    except pa.ArrowException as error:
        raise SourceError(f"the column {key} of {path} is not text: {one_line(error)}") from None
    twice = [one for one, number in Counter(paths).items() if number > 1]
    if twice:
        raise SourceError(f"{path} has more than one row for {twice[0]}", "leave one of them")
    rows = [_without_nan(row) for row in table.select(columns).to_pylist()]
    types = {name: table.schema.field(name).type for name in columns}
    if "label" in types:
        types["label"] = pa.string()
        for row in rows:
            row["label"] = None if row["label"] in (None, "") else str(row["label"])
    return Metadata(types, dict(zip(paths, rows, strict=True)))


def _read_table(path: Path) -> tuple[pa.Table, list[str]]:
    """The table in a file, and the names of its columns, which may turn out not to be text."""
    try:
        with path.open("rb") as file:
            table = pq.read_table(file) if is_parquet(path) else _read_csv(file)
        return table, list(table.column_names)
    except OSError as error:
        raise SourceError(f"cannot read the metadata {path}: {error.strerror or one_line(error)}") from None
    except (ValueError, pa.ArrowException) as error:
        hint = "" if is_parquet(path) else _AS_CSV
        raise SourceError(f"cannot read the metadata {path}: {one_line(error)}", hint) from None


def _path_column(names: list[str], path: Path) -> str:
    """The column of relative paths."""
    key = next((name for name in PATH_COLUMNS if name in names), None)
    if key is None:
        is_one_column = len(names) == 1 and ";" in names[0]
        raise SourceError(
            f"{path} has no column of relative paths, only: {', '.join(names)}",
            _AS_CSV if is_one_column else f"name the column one of: {', '.join(PATH_COLUMNS)}",
        )
    return key


def _check_names(names: list[str], columns: list[str], path: Path) -> None:
    """Raise `SourceError` if one of the `columns` is the collection's own, or two have one name."""
    taken = sorted(RESERVED_COLUMNS.intersection(columns))
    if taken or len(set(names)) < len(names):
        raise SourceError(
            f"{path} has columns that the collection uses itself or that occur twice: "
            f"{', '.join(taken or names)}",
            "rename them",
        )


def _without_nan(row: dict[str, Any]) -> dict[str, Any]:
    """Replace NaN by None, because it equals nothing, not even itself, and JSON cannot write it."""
    is_nan = {name for name, value in row.items() if isinstance(value, float) and math.isnan(value)}
    return {name: None if name in is_nan else value for name, value in row.items()}


def _read_csv(file: BinaryIO) -> pa.Table:
    """Read paths and labels as plain text; the types of other columns follow from their values."""
    as_text = dict.fromkeys((*PATH_COLUMNS, "label"), pa.string())
    table = pyarrow.csv.read_csv(file, convert_options=pyarrow.csv.ConvertOptions(column_types=as_text))
    for field in table.schema:
        if pa.types.is_binary(field.type):
            raise ValueError(f"the column {field.name} is not UTF-8")
    return table
