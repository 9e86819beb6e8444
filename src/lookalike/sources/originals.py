"""The pictures of a collection as a source: read again from their files, with the columns that they have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lookalike.errors import SourceError
from lookalike.sources.sample import Sample
from lookalike.sources.shard import metadata_of
from lookalike.storage.parts import EXIF_FIELDS, RESERVED_COLUMNS, Failure
from lookalike.storage.snapshot import Snapshot

_OWN_COLUMNS = RESERVED_COLUMNS.union(field.name for field in EXIF_FIELDS)
_SCHEME = "file:"


@dataclass(frozen=True)
class Originals:
    """The pictures of a snapshot that are files here; the others are failures."""

    snapshot: Snapshot

    def __str__(self) -> str:
        return str(self.snapshot.root)

    @property
    def uri(self) -> str:
        return _SCHEME

    @property
    def scope(self) -> tuple[str, ...]:
        return (_SCHEME,)

    def samples(self) -> Iterator[Sample | Failure]:
        """Raise `SourceError` if none is a file here."""
        rows = self.snapshot.table().to_pylist()
        readers = [_reader(row["uri"]) for row in rows]
        if not any(readers):
            raise SourceError(
                f"no picture of {self.snapshot.root} is a file here", "give the source that it was built from"
            )
        for row, read in zip(rows, readers, strict=True):
            if read is None:
                yield Failure(row["id"], f"{_SCHEME}//{row['id']}", "list", f"not a file: {row['uri']}")
                continue
            own = metadata_of({name: value for name, value in row.items() if name not in _OWN_COLUMNS})
            yield Sample(row["id"], row["uri"], row["size_bytes"], row["mtime_ns"], read, own)


def _reader(uri: str) -> Callable[[], bytes] | None:
    """What reads a file; None for what is inside a shard, or not here."""
    parts = urlsplit(uri)
    if f"{parts.scheme}:" != _SCHEME or parts.fragment:
        return None
    return partial(Path.read_bytes, Path(unquote(parts.path, errors="surrogateescape")))
