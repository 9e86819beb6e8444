"""One state of a part: what identifies it, and reads that never return another state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lookalike.errors import ChangedError, CollectionError, call
from lookalike.storage.parquet import CHECKSUM_KEY, read_footer, read_with_notes
from lookalike.storage.parts import Part, matrix, read_ranges
from lookalike.storage.stores import is_remote

# Inode, modification time in nanoseconds and size of the items file: a file that is renamed into place has
# another inode, so equal stamps mean an equal file. Zeros in an object store, which has nothing as cheap.
Stamp = tuple[int, int, int]
NO_STAMP: Stamp = (0, 0, 0)

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class PartState:
    """One state of a part: the `checksum` of its items file, its `count` of rows, the name of its tar."""

    part: Part
    checksum: str
    count: int
    tar: str
    stamp: Stamp

    @staticmethod
    def read(part: Part) -> PartState:
        """Read the current state of a part from the footer of its items file."""
        stamp = stamp_of(part)
        footer = read_footer(part.items_path)
        notes = _notes(footer)
        tar = part.tar_path(notes).name
        return PartState(part, notes.get(CHECKSUM_KEY, ""), int(footer.num_rows), tar, stamp)

    def items(self) -> pa.Table:
        """The rows with all columns; raises `ChangedError` if a build has replaced the part."""
        return self._read(None)

    def described(self) -> pa.Table:
        """The rows without the embedding; raises `ChangedError` if a build has replaced the part."""
        return self._read(None, embedding=False)

    def schema(self) -> pa.Schema:
        """The columns and their types, the embedding last; raises `ChangedError`."""
        footer = self._unless_changed(lambda: read_footer(self.part.items_path))
        self._check(_notes(footer))
        return footer.schema.to_arrow_schema().remove_metadata()

    def column(self, name: str) -> pa.ChunkedArray | None:
        """One column, or None if the part has none of that name; raises `ChangedError`."""
        if name not in self.schema().names:
            return None
        return self._read([name])[name]

    def embeddings(self) -> NDArray[np.float32]:
        """(n, D) float32, C-contiguous, in the order of rows.

        Raises `ChangedError` if a build has replaced the part, `CollectionError` if a value is not finite.
        """
        vectors = matrix(self._read(["embedding"])["embedding"])
        if not np.isfinite(vectors).all():
            row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            name = self._read(["id"])["id"][row].as_py()
            raise CollectionError(
                f"the vector of {name} has a value that is not finite",
                f"find out what else is: {call(self.part.root, 'verify()')}",
            )
        return vectors

    @property
    def tar_path(self) -> Path:
        """The tar with the thumbnails of this state."""
        return self.part.root / "thumbnails" / self.tar

    def thumbnails(self, ranges: Iterable[tuple[int, int]]) -> list[bytes]:
        """The JPEG at each (offset, size) of the tar, empty for a size of 0; raises `ChangedError`."""
        ranges = list(ranges)
        wanted = [one for one in ranges if one[1]]
        try:
            found = iter(read_ranges(self.tar_path, wanted) if wanted else ())
        except CollectionError:
            if self.tar_path.exists() or (self.part.items_path.exists() and self._is_current()):
                raise
            raise changed(self.part.root) from None
        return [next(found) if size else b"" for _, size in ranges]

    def _read(self, columns: Sequence[str] | None, embedding: bool = True) -> pa.Table:
        path = self.part.items_path
        rows, notes = self._unless_changed(lambda: read_with_notes(path, columns, embedding))
        self._check(notes)
        return rows

    def _unless_changed(self, read: Callable[[], Found]) -> Found:
        """Read from the items file; raises `ChangedError` if that fails because a build has replaced it."""
        try:
            return read()
        except CollectionError:
            if self.part.items_path.exists() and self._is_current():
                raise
            raise changed(self.part.root) from None

    def _check(self, notes: Mapping[str, str]) -> None:
        if notes.get(CHECKSUM_KEY, "") != self.checksum:
            raise changed(self.part.root)

    def _is_current(self) -> bool:
        try:
            return PartState.read(self.part).checksum == self.checksum
        except CollectionError:
            return True


def _notes(footer: pq.FileMetaData) -> Mapping[str, str]:
    return {key.decode(): value.decode() for key, value in (footer.metadata or {}).items()}


def stamp_of(part: Part) -> Stamp:
    """The stamp of the items file; zeros if it is in a store, or gone."""
    if is_remote(part.items_path):
        return NO_STAMP
    try:
        status = part.items_path.stat()
    except OSError:
        return NO_STAMP
    return status.st_ino, status.st_mtime_ns, status.st_size


def changed(root: Path) -> ChangedError:
    """The error for a collection that has changed since reading began."""
    return ChangedError(f"{root} was changed while it was read", "run it again")
