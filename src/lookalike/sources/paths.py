"""Reads paths of images, or their file:// addresses: one a line, or ended by NUL, as `find -print0` does."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from lookalike.sources.local_file import LocalFile
from lookalike.sources.sample import Sample
from lookalike.sources.shard import folder_uri, shown
from lookalike.storage.parts import Failure


@dataclass(frozen=True, slots=True)
class Paths:
    """The files at some paths. An id is the path from `base`, the working folder, or else from the root.

    A list adds to a collection: images that it does not name stay.
    """

    base: Path
    paths: tuple[Path, ...]

    def __str__(self) -> str:
        return "the list of paths"

    @property
    def uri(self) -> str:
        return folder_uri(self.base)

    @property
    def scope(self) -> tuple[str, ...]:
        return ()

    def samples(self) -> Iterator[Sample | Failure]:
        for path in self.paths:
            id_ = shown(path.relative_to(self.base).as_posix())
            try:
                status = path.stat()
            except OSError as error:
                yield Failure(id_, path.as_uri(), "list", error.strerror or str(error))
                continue
            if stat.S_ISREG(status.st_mode):
                read = LocalFile(os.fsencode(path), status.st_size)
                yield Sample(id_, path.as_uri(), status.st_size, status.st_mtime_ns, read)
            else:
                yield Failure(id_, path.as_uri(), "list", "not a regular file")


def read_paths(stream: BinaryIO) -> Paths:
    """Read the paths of a stream, or their file:// addresses.

    Relative ones start at the working folder, which is the base if all are in it.
    """
    data = stream.read()
    lines = data.split(b"\0") if b"\0" in data else data.splitlines()
    lines = [_local(line) if line.startswith(b"file://") else line for line in lines]
    here = Path.cwd()
    paths = [Path(os.path.normpath(here / os.fsdecode(line))) for line in lines if line]
    base = here if all(path.is_relative_to(here) for path in paths) else Path(here.anchor)
    return Paths(base, tuple(dict.fromkeys(paths)))


def _local(uri: bytes) -> bytes:
    """The path of file:///photos/a.jpg, or of file://localhost/photos/a.jpg."""
    return unquote_to_bytes(uri.removeprefix(b"file://").removeprefix(b"localhost"))
