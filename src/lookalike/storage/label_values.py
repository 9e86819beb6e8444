"""The labels of items: the values of a column as text, or the folders that the items are in."""

from __future__ import annotations

import math
from pathlib import PurePosixPath

import pyarrow as pa

from lookalike.errors import LookalikeError
from lookalike.storage.parts import RESERVED_COLUMNS, is_from_exif
from lookalike.storage.selection import Rows
from lookalike.storage.snapshot import Snapshot

FOLDER = "folder"


def means_folders(snapshot: Snapshot, column: str) -> bool:
    """Whether labels are the folders of items: for the column `folder`, unless the collection has one."""
    return column == FOLDER and FOLDER not in snapshot.all_columns.names


def no_labels(snapshot: Snapshot, column: str) -> LookalikeError:
    """The error that no item has a label in a column."""
    other = next(iter(own_columns(snapshot)), FOLDER)
    return LookalikeError(
        f"no item of {snapshot.root} has a value in the column {column}",
        f"name another column, such as `label={other!r}`; label some pictures; or add labels when you build: "
        "`lookalike.build(source, collection=path, label='folder')`",
    )


def label_values(snapshot: Snapshot, column: str, rows: Rows | None = None) -> list[str | None]:
    """The label of every row, or of some ascending ones: None for no value, an empty one and NaN.

    `folder` gives the folders that the items are in; see `means_folders`. Raises `UnknownColumnError`.
    """
    is_folder = means_folders(snapshot, column)
    stored = snapshot.column("id" if is_folder else column)
    values = (stored if rows is None else stored.take(pa.array(rows))).to_pylist()
    return [folder_of(one) if is_folder else _label(one) for one in values]


def label_counts(snapshot: Snapshot) -> dict[str, int]:
    """How many items have each label, in alphabetical order."""
    counts = snapshot.column("label").drop_null().value_counts().to_pylist()
    return dict(sorted((one["values"], one["counts"]) for one in counts))


def own_columns(snapshot: Snapshot) -> list[str]:
    """The columns that came with the pictures: neither measured, nor EXIF, nor tags."""
    own = (one for one in snapshot.schema if one.name not in RESERVED_COLUMNS and not is_from_exif(one))
    return [one.name for one in own if one.name != "label"]


def folder_of(id_: str) -> str | None:
    """The name of the folder that an item is in, by its id; None if it is in none."""
    return PurePosixPath(id_).parent.name or None


def _label(value: object) -> str | None:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value)
