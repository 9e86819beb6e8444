"""Folders whose images have rows in tables beside them, as img2dataset and `lookalike pack` write them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lookalike.errors import one_line
from lookalike.sources.folder import Folder
from lookalike.sources.notes import Notes, notes_beside
from lookalike.sources.sample import Sample
from lookalike.sources.shard import metadata_of
from lookalike.storage.parts import Failure

_TABLE_NAME = re.compile(r"\d{5,}\.parquet")


@dataclass(frozen=True, slots=True)
class Described:
    """A folder of images, and tables with a row for each, found by its `path` or by its name as `key`."""

    folder: Folder
    tables: tuple[Path, ...]

    def __str__(self) -> str:
        return str(self.folder)

    @property
    def uri(self) -> str:
        return self.folder.uri

    @property
    def scope(self) -> tuple[str, ...]:
        return self.folder.scope

    @property
    def passed_over(self) -> Counter[str]:
        return self.folder.passed_over

    def samples(self) -> Iterator[Sample | Failure]:
        rows: dict[str, dict[str, Any]] = {}
        notes = notes_beside(self.folder.path)
        for table in self.tables:
            try:
                rows |= _rows(table, notes)
            except (pa.ArrowException, OSError) as error:
                uri = table.resolve().as_uri()
                yield Failure(table.name, uri, "list", f"not readable: {one_line(error)}")
        for entry in self.folder.samples():
            if isinstance(entry, Sample):
                row = rows.get(entry.id) or rows.get(PurePosixPath(entry.id).stem) or {}
                yield replace(entry, metadata=row)
            else:
                yield entry


def described(folder: Folder) -> Folder | Described:
    """Return the folder together with its tables, if it has any."""
    tables = [path for path in folder.path.glob("*.parquet") if _TABLE_NAME.fullmatch(path.name)]
    return Described(folder, tuple(sorted(tables))) if tables else folder


def _rows(table: Path, notes: Notes) -> dict[str, dict[str, Any]]:
    """Return the rows of a table by the path or key of their images; none if it has neither."""
    with table.open("rb") as file:
        rows = pq.read_table(file).to_pylist()
    found = {}
    for row in rows:
        key = row.pop("path", None) or row.get("key")
        if isinstance(key, str):
            found[key] = metadata_of(row, notes)
    return found
