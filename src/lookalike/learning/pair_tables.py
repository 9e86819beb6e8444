"""Reads tables of ids that somebody has put side by side: a Parquet or CSV file, or a table in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from lookalike.errors import LookalikeError, one_line

Texts = list[str | None]

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_NO_VALUE = ("", "nan", "none", "null")


def read_table(given: Any, what: str, is_id: Any) -> tuple[list[str], list[Texts]]:
    """The names and the values of the columns of a table, as text: 007 stays 007. No value is None.

    `given` is the path of a Parquet or CSV file, a table of Arrow, pandas or polars, or rows. A CSV file
    needs no header: its first line is one unless `is_id` is true of its first two values.
    Raises `LookalikeError` for a file that cannot be read, or something that is no table, or an empty one.
    """
    table = _of_file(Path(given), what) if isinstance(given, str | Path) else _of_memory(given, what)
    names = list(table.column_names)
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    if isinstance(given, str | Path) and len(names) > 1 and all(is_id(name) for name in names[:2]):
        columns = [[_text(name), *column] for name, column in zip(names, columns, strict=True)]
    if not columns or not columns[0]:
        raise LookalikeError(f"{named(given, what)} has no rows")
    return names, columns


def named(given: Any, what: str) -> str:
    """What an error calls a table."""
    return str(given) if isinstance(given, str | Path) else f"the table of {what}"


def _of_file(path: Path, what: str) -> pa.Table:
    if not path.exists():
        raise LookalikeError(f"there is no file {path}", f"give a Parquet or CSV file of {what}")
    separator = _SEPARATORS.get(path.suffix.lower())
    try:
        if separator is None:
            import pyarrow.parquet as pq

            return pq.read_table(path)
        from pyarrow import csv

        parsing = csv.ParseOptions(delimiter=separator)
        names = csv.open_csv(path, parse_options=parsing).schema.names
        texts = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
        found: pa.Table = csv.read_csv(path, parse_options=parsing, convert_options=texts)
        return found
    except (OSError, pa.ArrowException) as error:
        raise LookalikeError(
            f"{path} cannot be read: {one_line(error)}", f"give a Parquet or CSV file of {what}"
        ) from None


def _of_memory(given: Any, what: str) -> pa.Table:
    try:
        if isinstance(given, Sequence):
            columns = [list(column) for column in zip(*given, strict=True)]
            return pa.table({str(at): [str(one) for one in column] for at, column in enumerate(columns)})
        return given if isinstance(given, pa.Table) else pa.table(given)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise LookalikeError(
            f"{what} are not a table: {one_line(error)}",
            "give a file, an Arrow or pandas table, or a list of rows that are as long as each other",
        ) from None


def _text(value: object) -> str | None:
    text = "" if value is None else str(value)
    return None if text.lower() in _NO_VALUE else text
