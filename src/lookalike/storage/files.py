"""Atomic writes: a reader sees the old file or the new one, never half of one.

On a disk, a complete file is renamed into place; in an object store, one request writes it whole.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lookalike.cache import cache_folder
from lookalike.errors import LookalikeError, StorageError
from lookalike.storage.stores import ATOMIC, StorePath, is_remote

TEMPORARY_SUFFIX = ".tmp"
# The one folder of a collection that is written without its lock.
MARKS_NAME = "marks"
_LONGEST_NAME = 255  # in bytes, on nearly every file system
_COPIED_BYTES = 1 << 25


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that is renamed to `path` when the block ends, and removed if the block fails.

    The data is flushed to disk before the rename: a power cut leaves the old file or the new one.
    Raises `StorageError` if the disk is full or cannot be written.
    """
    if is_remote(path):
        buffer = io.BytesIO()
        yield buffer
        try:
            path.put(buffer.getvalue())
        except OSError as error:
            raise storage_error(path, error) from error
        return
    temporary = temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with suppress(OSError):  # a disk that cannot be written may fail here too
            temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """What a file is called until it is whole: a short name for a long one, as 255 bytes are the most."""
    name = path.name + TEMPORARY_SUFFIX
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(path.name)).hexdigest() + TEMPORARY_SUFFIX
    return path.with_name(name)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file atomically."""
    with replacing(path) as file:
        file.write(data)


def remove(path: Path) -> None:
    """Remove a file if it exists; raises `StorageError` if that fails."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error


def remove_tree(folder: Path) -> None:
    """Remove a folder and its contents if it exists; raises `StorageError` if that fails."""
    try:
        if is_remote(folder):
            folder.remove_tree()
        elif folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise storage_error(folder, error) from error


def remove_temporary(root: Path) -> None:
    """Remove the temporary files that a killed writer left below a folder; stores never have any.

    Files in `marks/` stay: another process may be writing them without the lock that the caller holds.
    """
    if not is_remote(root):
        for leftover in root.rglob(f"*{TEMPORARY_SUFFIX}"):
            if leftover.relative_to(root).parts[0] != MARKS_NAME:
                leftover.unlink(missing_ok=True)


def local_copy(path: Path, check: str) -> Path:
    """Return a local file with the content of `path`; for a store, a copy in the user's cache folder.

    `check` identifies the content; a new copy replaces other copies of the same folder and kind. The caller
    has to verify the content.
    Raises `OSError` if the file cannot be read or there is no space.
    """
    if not is_remote(path):
        return path
    names = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in (str(path.parent), check)]
    copy = cache_folder() / names[0] / f"{names[1]}-{path.name}"
    if copy.exists():
        return copy
    copy.parent.mkdir(parents=True, exist_ok=True)
    old = list(copy.parent.glob(f"*{path.suffix}"))
    # A temporary name of its own, because another process may be making the same copy.
    descriptor, temporary = tempfile.mkstemp(TEMPORARY_SUFFIX, dir=copy.parent)
    try:
        with os.fdopen(descriptor, "wb") as target, path.open(buffering=0) as source:
            shutil.copyfileobj(source, target, _COPIED_BYTES)
        Path(temporary).replace(copy)
        for one in old:
            with suppress(OSError):  # some systems refuse to remove a file that another process uses
                one.unlink()
    finally:
        Path(temporary).unlink(missing_ok=True)
    return copy


def check_writable(root: Path) -> None:
    """Raise `StorageError` for a store that can show half-written files."""
    if is_remote(root) and root.scheme not in ATOMIC:
        raise StorageError(
            f"{root.scheme}:// cannot write files atomically, so a killed build would leave broken ones",
            f"build on a disk and copy the collection there; stores that work: {', '.join(sorted(ATOMIC))}",
        )


def is_writable(root: Path) -> bool:
    """Whether this process may add files to the collection at `root`; a store's rights are not asked for."""
    return root.scheme in ATOMIC if is_remote(root) else os.access(root, os.W_OK)


def storage_error(path: Path | StorePath, error: OSError) -> StorageError:
    """Turn a failed write into a clear error."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"no space left on the device while writing {path}",
            "what was committed before is intact: free some space and do the same again",
        )
    hint = error.hint if isinstance(error, LookalikeError) else ""
    return StorageError(f"cannot write {path}: {error.strerror or error}", hint)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can say."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
