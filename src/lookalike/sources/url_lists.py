"""Reads lists of URLs with metadata row by row: ten million take no more memory than ten.

The name tells the format: txt, csv, tsv, json (an array), jsonl or parquet; all but Parquet, which is
compressed inside, may end in .gz, .bz2, .xz or .zst too. `-` is the standard input, a URL a line.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from lookalike.errors import SourceError, one_line
from lookalike.sources.sample import clean_text
from lookalike.storage.stores import place

STANDARD_INPUT = "-"

# The URLs are in the first of these columns that a list has, ignoring case.
URL_COLUMNS = ("url", "image_url", "urls", "uri", "link", "image", "src")

_DECOMPRESSED: dict[str, Callable[[BinaryIO], Any]] = {
    "gz": lambda file: gzip.GzipFile(fileobj=file),
    "bz2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "zst": lambda file: pa.CompressedInputStream(file, "zstd"),
}
_FORMATS = {"ndjson": "jsonl", "pq": "parquet", "text": "txt"} | {
    one: one for one in ("txt", "csv", "tsv", "json", "jsonl", "parquet")
}
_BLOCK_CHARACTERS = 2**16
_LONGEST_RECORD = 2**24

Row = tuple[str, dict[str, Any]]
# A row by column, or why it cannot be read.
Record = Mapping[str, Any] | ValueError


@dataclass(frozen=True, slots=True)
class UrlList:
    """A list at `address`; `columns` are its columns of metadata with their types."""

    address: str
    url_column: str
    columns: Mapping[str, pa.DataType]

    def rows(self) -> Iterator[Row]:
        """Yield each URL as written, with its metadata; empty lines are skipped.

        A row that cannot be read gives its problem instead of a URL, which later becomes a failure.
        """
        for record in _records(self.address):
            if isinstance(record, ValueError):
                yield clean_text(str(record)), dict.fromkeys(self.columns)
                continue
            url = record.get(self.url_column)
            metadata = {name: _value(record.get(name), type_) for name, type_ in self.columns.items()}
            if url or any(value not in (None, "") for value in metadata.values()):
                yield clean_text(str(url or "").strip()), metadata


def is_url_list(path: Path, url_column: str | None = None) -> bool:
    """Return whether a file is a list, by its name; a Parquet file is one if it has URLs but no bytes."""
    kind = _format(path.name)[0]
    if kind != "parquet":
        return kind is not None
    types = _column_types(str(path))
    if any(pa.types.is_nested(type_) or "binary" in str(type_) for type_ in types.values()):
        return False
    return (url_column or _guessed(list(types))) in types


def open_url_list(
    address: str | Path,
    url_column: str | None = None,
    metadata_columns: Sequence[str] | None = None,
    *,
    argument: str = "url_column",
) -> UrlList:
    """Open a list and find its columns; `metadata_columns` are all others by default.

    `argument` is what the caller's users name the column of URLs with.
    Raises `SourceError` if it is not a list, or lacks a column.
    """
    address = str(address)
    types = _column_types(address)
    if url_column is None:
        url_column = _guessed(list(types))
    if metadata_columns is None:
        metadata_columns = [name for name in types if name != url_column]
    for name in (url_column, *metadata_columns):
        if name not in types:
            raise SourceError(
                f"{address} has no column {name or 'of URLs'}, only: {', '.join(types)}",
                "" if name else f"name it as `{argument}`",
            )
    return UrlList(address, url_column, {name: types[name] for name in metadata_columns})


def _guessed(names: Sequence[str]) -> str:
    by_lower = {name.lower(): name for name in reversed(names)}
    found = next((by_lower[name] for name in URL_COLUMNS if name in by_lower), "")
    return found or (names[0] if len(names) == 1 else "")


def _format(address: str) -> tuple[str | None, str | None]:
    """Return the format of a list and its compression, by the name."""
    if address == STANDARD_INPUT:
        return "txt", None
    *_, before, last = ("", "", *address.lower().rsplit(".", 2))
    if last in _DECOMPRESSED:
        return _FORMATS.get(before), last
    return _FORMATS.get(last), None


def _column_types(address: str) -> dict[str, pa.DataType]:
    """Return the columns of a list; all but Parquet is text."""
    kind = _format(address)[0]
    if kind == "txt":
        return {"url": pa.string()}
    if kind == "parquet":
        with _reading(address), _open(address) as file:
            return {field.name: field.type for field in pq.read_schema(file)}
    first = next(iter(_records(address)), None)
    if first is None:
        raise SourceError(f"{address} is an empty list")
    if isinstance(first, ValueError):
        raise SourceError(f"cannot read the list {address}: {first}")
    return {str(name): pa.string() for name in first if name is not None}


def _records(address: str) -> Iterator[Record]:
    """Yield each row by column; raises `SourceError` if the list breaks off."""
    kind, compression = _format(address)
    if kind is None or (kind == "parquet" and compression):
        raise SourceError(
            f"{address} is not named like a list of URLs",
            "known are txt, csv, tsv, json, jsonl, each also with .gz, .bz2, .xz or .zst, and parquet",
        )
    with _reading(address):
        if kind == "parquet":
            with _open(address) as file:
                for batch in pq.ParquetFile(file).iter_batches(1024):
                    yield from batch.to_pylist()
            return
        with _open_text(address) as text:
            yield from _PARSERS[kind](text)


@contextmanager
def _reading(address: str) -> Iterator[None]:
    """Turn errors while a list is read into a `SourceError` that names the list."""
    try:
        yield
    except (OSError, EOFError, ValueError, csv.Error, lzma.LZMAError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise SourceError(f"cannot read the list {address}: {reason}") from None


def _open(address: str) -> BinaryIO:
    return place(address).open("rb")


@contextmanager
def _open_text(address: str) -> Iterator[TextIO]:
    """Open the text of a list; bytes that are not UTF-8 appear as \\xe9."""
    if address == STANDARD_INPUT:
        yield sys.stdin
        return
    compression = _format(address)[1]
    with _open(address) as file:
        unpacked = _DECOMPRESSED[compression](file) if compression else file
        yield io.TextIOWrapper(unpacked, "utf-8-sig", "backslashreplace", newline="")


def _lines(text: TextIO) -> Iterator[Record]:
    return ({"url": line.strip()} for line in text if line.strip())


def _csv(text: TextIO, dialect: str = "excel") -> Iterator[Record]:
    """Parse rows below a line of names; a short row lacks the last values."""
    has_ended = False

    def lines() -> Iterator[str]:
        nonlocal has_ended
        yield from text
        has_ended = True

    rows = csv.reader(lines(), dialect)
    names = [name.strip() for name in next(rows, [])]
    if names and "://" in names[0]:
        raise SourceError("the first line of the list is a URL, not the names of columns", "call it .txt")
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:  # the next line begins another row
            yield ValueError(f"line {line}: {error}")
            continue
        if has_ended:  # a complete row does not look at the next line
            yield ValueError(f"line {line}: a quote opened here is never closed")
        elif row:
            yield dict(zip(names, chain(row, repeat(None)), strict=False))


def _tsv(text: TextIO) -> Iterator[Record]:
    return _csv(text, "excel-tab")


def _json_lines(text: TextIO) -> Iterator[Record]:
    for number, line in enumerate(text, 1):
        if line.strip():
            try:
                yield _as_record(json.loads(line))
            except (ValueError, RecursionError) as error:
                yield ValueError(f"line {number}: {getattr(error, 'msg', error)}")


def _json_array(text: TextIO) -> Iterator[Record]:
    """Yield the elements of an array without reading it whole."""
    decoder = json.JSONDecoder()
    blocks = iter(lambda: text.read(_BLOCK_CHARACTERS), "")
    waiting = next(blocks, "").lstrip()
    if not waiting.startswith("["):
        raise ValueError("a .json list is an array; call it .jsonl if each line is an object of its own")
    at = 1
    for block in chain(blocks, [""]):
        while (at := _between(waiting, at)) < len(waiting) and waiting[at] != "]":
            try:
                value, at = decoder.raw_decode(waiting, at)
            except ValueError:  # broken, or not all here yet
                if not block or len(waiting) - at > _LONGEST_RECORD:
                    raise
                break
            yield _as_record(value)
        waiting, at = waiting[at:] + block, 0
    if not waiting.startswith("]"):
        raise ValueError("the array has no end")


def _between(text: str, at: int) -> int:
    """Return where the next element or the end begins."""
    while at < len(text) and text[at] in " \t\r\n,":
        at += 1
    return at


def _as_record(value: Any) -> Record:
    if isinstance(value, str):
        return {"url": value}
    if not isinstance(value, dict):
        raise ValueError(f"a row is an object or a URL, not {json.dumps(value)[:40]}")
    return value


def _value(value: Any, type_: pa.DataType) -> Any:
    """Convert a value to its column's type: any other JSON becomes text."""
    if not pa.types.is_string(type_) or value is None:
        return value
    return clean_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


_PARSERS: dict[str, Callable[[TextIO], Iterable[Record]]] = {
    "txt": _lines,
    "csv": _csv,
    "tsv": _tsv,
    "json": _json_array,
    "jsonl": _json_lines,
}
