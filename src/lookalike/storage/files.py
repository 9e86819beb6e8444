"""Writing files so that a reader sees the old one or the new one, never half of one.

On a disk a file gets its name when it is whole; in an object store one request puts it there whole.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lookalike.errors import LookalikeError, StorageError
from lookalike.storage.stores import ATOMIC, StorePath, is_remote

TEMPORARY_SUFFIX = ".tmp"
# The folder of a collection that is written without its lock.
MARKS_NAME = "marks"
_COPIED_BYTES = 1 << 25


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the name `path` when the block ends, and vanishes if it fails.

    The data is on the disk before the name is: a power cut leaves the old file or the new one.
    Raises `StorageError` when the disk is full or refuses.
    """
    if is_remote(path):
        buffer = io.BytesIO()
        yield buffer
        try:
            path.put(buffer.getvalue())
        except OSError as error:
            raise storage_error(path, error) from error
        return
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
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
        with suppress(OSError):  # a disk that refused the file may refuse this too
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file in one step."""
    with replacing(path) as file:
        file.write(data)


def remove(path: Path) -> None:
    """Remove a file, if it is there; raises `StorageError` when the disk refuses."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error


def remove_tree(folder: Path) -> None:
    """Remove a folder and what is in it, if it is there; raises `StorageError` when the disk refuses."""
    try:
        if is_remote(folder):
            folder.remove_tree()
        elif folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise storage_error(folder, error) from error


def remove_temporary(root: Path) -> None:
    """Remove the temporary files that a killed writer left below a folder; a store never has any.

    Those in `marks/` stay: another process may be writing them, without the lock that the caller holds.
    """
    if not is_remote(root):
        for leftover in root.rglob(f"*{TEMPORARY_SUFFIX}"):
            if leftover.relative_to(root).parts[0] != MARKS_NAME:
                leftover.unlink(missing_ok=True)


def local_copy(path: Path, check: str) -> Path:
    """A file on this machine for `path`: itself, or for one in a store a copy in the user's cache folder.

    `check` names the content: the copy of another one of the same folder and kind is replaced. The caller
    has to see that it fits.
    Raises `OSError` where it cannot be read, or there is no room.
    """
    if not is_remote(path):
        return path
    names = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in (str(path.parent), check)]
    copy = cache_folder() / names[0] / f"{names[1]}-{path.name}"
    if copy.exists():
        return copy
    copy.parent.mkdir(parents=True, exist_ok=True)
    old = list(copy.parent.glob(f"*{path.suffix}"))
    # A temporary name of its own, since another process may be making the same copy.
    descriptor, temporary = tempfile.mkstemp(TEMPORARY_SUFFIX, dir=copy.parent)
    try:
        with os.fdopen(descriptor, "wb") as target, path.open(buffering=0) as source:
            shutil.copyfileobj(source, target, _COPIED_BYTES)
        Path(temporary).replace(copy)
        for one in old:
            with suppress(OSError):  # in use by another process, on a system that minds
                one.unlink()
    finally:
        Path(temporary).unlink(missing_ok=True)
    return copy


def cache_folder() -> Path:
    """Where this user keeps what can be fetched again: $XDG_CACHE_HOME/lookalike, or the system's place."""
    home = Path.home()
    base = {"darwin": home / "Library" / "Caches", "win32": home / "AppData" / "Local"}
    chosen = os.environ.get("XDG_CACHE_HOME") or base.get(sys.platform, home / ".cache")
    return Path(chosen) / "lookalike"


def check_writable(root: Path) -> None:
    """Raise `StorageError` for a store in which files do not appear whole or not at all."""
    if is_remote(root) and root.scheme not in ATOMIC:
        raise StorageError(
            f"{root.scheme}:// does not put files in one step, so a killed build would leave broken ones",
            f"build it on a disk and copy it there; collections are written to {', '.join(sorted(ATOMIC))}",
        )


def storage_error(path: Path | StorePath, error: OSError) -> StorageError:
    """The clear form of a refused write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"no space left on the device while writing {path}",
            "what was committed before is intact: free some space and run the same command again",
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
