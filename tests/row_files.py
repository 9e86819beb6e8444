"""What the tests of the file of rows share: small collections made by hand, and a slow reading of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from building import rows_of

from lookalike.models.spec import ModelSpec
from lookalike.storage.manifest import Manifest
from lookalike.storage.parts import Part
from lookalike.storage.row_file import RowFile, write_row_file
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.state import State
from lookalike.storage.writing import create

SPEC = ModelSpec("made", "0" * 64, 4, 8, 1.0)


def put(root: Path, number: int, ids: Sequence[str], **columns: pa.Array) -> Part:
    """Commit a part of these items; each thumbnail is `jpeg of ID`."""
    part = Part(root, number)
    part.write(rows_of(ids, **columns), [f"jpeg of {id_}".encode() for id_ in ids])
    return part


def made(root: Path, *parts: Sequence[str]) -> Path:
    """A collection of parts of these ids, with its file of rows."""
    root.mkdir(parents=True)
    create(root, Manifest(SPEC))
    for number, ids in enumerate(parts):
        put(root, number, ids)
    renew(root)
    return root


def renew(root: Path) -> None:
    """Bring the file of rows up to date."""
    write_row_file(root, State.read(root).parts)


def slow(root: Path) -> dict[int, pa.Table]:
    """The rows of every part, as the parts themselves have them."""
    return {one.part.number: one.part.described() for one in State.read(root).parts}


def mapped(root: Path) -> dict[int, pa.Table | None]:
    """The rows of every part as the file of rows has them; None for a part that it has not."""
    file = RowFile.open(root)
    found = {one.part.number: file.rows(one) if file else None for one in State.read(root).parts}
    return {number: None if rows is None else pa.Table.from_batches([rows]) for number, rows in found.items()}


def arrow(root: Path) -> Path:
    """The one file of rows that there is."""
    (path,) = (root / "derived").glob("rows-*.arrow")
    return path


def inode(path: Path) -> int:
    return path.stat().st_ino


def edit(root: Path, change: Any) -> None:
    """Let `change` edit what rows.json says, and give it a checksum that fits."""
    path = root / "derived" / "rows.json"
    fields = json.loads(path.read_text())
    change(fields)
    fields.pop("sha256", None)
    fields["sha256"] = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(fields))


def segments(root: Path) -> Mapping[int, list[Any]]:
    """What rows.json says of each part, by its number."""
    return {one[0]: one for one in json.loads((root / "derived" / "rows.json").read_text())["segments"]}


def spoken(root: Path) -> list[tuple[Any, ...]]:
    """All that a snapshot says of every item: columns, vector, picture, and where each is found by its id."""
    snapshot = Snapshot.open(root)
    rows = range(len(snapshot))
    records = snapshot.records(rows)
    vectors, jpegs = snapshot.vectors(rows), snapshot.thumbnails(rows)
    return [
        (*sorted(one.items()), bytes(vector), jpeg, snapshot.find(one["id"]))
        for one, vector, jpeg in zip(records, vectors, jpegs, strict=True)
    ]
