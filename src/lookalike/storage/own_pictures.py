"""Which item of a collection a picture on this machine is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow.compute as pc

from lookalike.errors import ImageError, QueryError
from lookalike.storage.snapshot import Snapshot


def item_of(snapshot: Snapshot, path: Path) -> str | None:
    """The id of the item that was read from a file, or from an exact copy of it; None if there is none.

    Raises `ImageError` if the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from None
    for column, value in (("uri", path.resolve().as_uri()), ("sha256", sha256)):
        row = pc.index(snapshot.column(column), value).as_py()
        if row >= 0:
            return str(snapshot.column("id")[row])
    return None


def example_of(snapshot: Snapshot, picture: str | Path) -> str:
    """The id of an item that is named by its id or, as a `Path`, by its file.

    Raises `QueryError` if the file is not in the collection, `ImageError` if it cannot be read.
    """
    if isinstance(picture, str):
        return picture
    found = item_of(snapshot, picture)
    if found is None:
        raise QueryError(
            f"{picture} is not in {snapshot.name}, which keeps what is said about its own items alone",
            "put it among the collection's pictures and build again, then it is one",
        )
    return found
