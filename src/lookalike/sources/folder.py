"""A folder of image files, with everything below it."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_from_bytes

from lookalike.images.formats import SUFFIXES
from lookalike.sources.local_file import LocalFile
from lookalike.sources.sample import Sample
from lookalike.storage.parts import Failure

_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # Windows has no pipes among files
_MOST_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Folder:
    """Every image below `path`, sorted by name; hidden files and collections are skipped.

    Links are followed; a link that leads back to a folder above it is a failure. `passed_over` counts the
    files of the last listing that are not named like pictures, by their ending.
    """

    path: Path
    passed_over: Counter[str] = field(default_factory=Counter, compare=False)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def uri(self) -> str:
        return uri_of(os.path.join(os.fsencode(self.path.resolve()), b""))

    @property
    def scope(self) -> tuple[str, ...]:
        return (self.uri,)

    def samples(self) -> Iterator[Sample | Failure]:
        self.passed_over.clear()
        yield from _walk(os.fsencode(self.path.resolve()), self.passed_over)


def _walk(root: bytes, passed_over: Counter[str]) -> Iterator[Sample | Failure]:
    """Walk depth first with a stack, because folders can nest deeper than Python recurses.

    `above` holds (device, inode) of the folders that contain an entry.
    """
    above: tuple[tuple[int, int], ...] = ()
    waiting: list[tuple[bytes, os.DirEntry[bytes] | None, tuple[tuple[int, int], ...]]] = [(b"", None, above)]
    while waiting:
        below, entry, above = waiting.pop()
        if entry is not None and not _is_folder(entry):
            suffix = suffix_of(os.fsdecode(entry.name))
            if suffix in SUFFIXES:
                yield from _file(root, below, entry)
            else:
                passed_over[suffix] += 1
            continue
        folder = os.path.join(root, below)
        try:
            status = os.stat(folder)
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            yield _failure(root, os.path.join(below, b""), error.strerror)
            continue
        here = (status.st_dev, status.st_ino)
        if here in above:
            yield _failure(root, os.path.join(below, b""), "a link that leads back to a folder above it")
        elif not below or not _is_collection(folder):
            above, within = (*above, here), os.path.join(below, b"")
            waiting += [
                (within + entry.name, entry, above) for entry in entries if not entry.name.startswith(b".")
            ]


def _is_collection(folder: bytes) -> bool:
    try:
        descriptor = os.open(os.path.join(folder, b"collection.json"), os.O_RDONLY | _NO_WAIT)
        with open(descriptor, "rb") as file:  # opening a pipe with that name would wait forever
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return False
            return b'"lookalike-collection"' in file.read(_MOST_MANIFEST_BYTES)
    except OSError:
        return False


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to a place we may not read; `stat` tells which
        return False


def _file(root: bytes, below: bytes, entry: os.DirEntry[bytes]) -> Iterator[Sample | Failure]:
    try:
        status = entry.stat()
    except OSError as error:
        broken = entry.is_symlink() and isinstance(error, FileNotFoundError)
        yield _failure(root, below, "a broken link" if broken else error.strerror)
        return
    if not stat.S_ISREG(status.st_mode):
        yield _failure(root, below, "not a regular file")
        return
    read = LocalFile(entry.path, status.st_size)
    yield Sample(id_of(below), uri_of(entry.path), status.st_size, status.st_mtime_ns, read)


def suffix_of(name: str) -> str:
    """The ending of a file's name in lower case: `.jpg`, or nothing."""
    return os.path.splitext(name)[1].lower().encode("utf-8", "replace").decode()


def _failure(root: bytes, below: bytes, reason: str | None) -> Failure:
    return Failure(id_of(below), uri_of(os.path.join(root, below)), "list", reason or "cannot be listed")


def id_of(below: bytes) -> str:
    """Return the relative path as text; bytes that are not UTF-8 appear as \\xe9."""
    return below.replace(os.fsencode(os.sep), b"/").decode("utf-8", "backslashreplace")


def uri_of(path: bytes) -> str:
    """Return the URI of a file or folder, with percent-encoded bytes."""
    return "file://" + quote_from_bytes(path)
