"""Opens shards for reading at any position, including gzipped ones."""

from __future__ import annotations

import atexit
import gzip
import io
import tempfile
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from lookalike.errors import StorageError
from lookalike.storage.stores import is_remote

# A gzip file can only be read from its start, so each is unpacked to a temporary file. The last two are
# kept, because samples are read in order.
_KEPT = 2
# Images hardly shrink in a gzip file, which may unpack to 1,000 times its size; above this it is not a shard.
_ALWAYS_BYTES, _MOST_TIMES = 10**9, 100
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Unpacked:
    file: IO[bytes]
    problem: str | None


_State = tuple[Path, int, int]  # with the modification time and the size
_unpacked: OrderedDict[_State, _Unpacked] = OrderedDict()
_lock = threading.Lock()


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading at any position; a damaged gzip file ends where the damage begins."""
    if not _is_gzip(path):
        with path.open("rb") as file:
            # A header of a tar is not worth a request of its own.
            yield io.BufferedReader(file, _CHUNK_BYTES) if is_remote(path) else file
        return
    with _lock:
        unpacked = open(_unpack(path).file.name, "rb")  # noqa: SIM115
    with unpacked:
        yield unpacked


def problem_of(path: Path) -> str | None:
    """Return the problem with a file's compression, or None."""
    if not _is_gzip(path):
        return None
    with _lock:
        return _unpack(path).problem


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Read bytes of a file; raises `OSError` if it ends too early."""
    if not _is_gzip(path) and is_remote(path):
        (data,) = path.read_ranges([(offset, size)])
    else:
        with opened(path) as file:
            file.seek(offset)
            data = file.read(size)
    if len(data) < size:
        raise OSError(f"{path.name} ends before byte {offset + size:,}")
    return data


def _is_gzip(path: Path) -> bool:
    return path.suffix.lower() in (".gz", ".tgz")


def _unpack(path: Path) -> _Unpacked:
    status = path.stat()
    state = (path, status.st_mtime_ns, status.st_size)
    if state in _unpacked:
        _unpacked.move_to_end(state)
        return _unpacked[state]
    while len(_unpacked) >= _KEPT:  # before the next one, so that they never exceed their limit
        _unpacked.popitem(last=False)[1].file.close()
    limit = _ALWAYS_BYTES + _MOST_TIMES * status.st_size
    with path.open("rb") as packed:
        try:
            found = _unpacked_file(packed, limit)
        except OSError as error:
            raise StorageError(
                f"cannot unpack {path} to {tempfile.gettempdir()}: {error.strerror or error}",
                "free some space there, or name a folder on a larger disk with TMPDIR",
            ) from error
    _unpacked[state] = found
    return found


def _unpacked_file(packed: BinaryIO, limit_bytes: int) -> _Unpacked:
    """Unpack a gzip file up to any damage and the limit; raises `OSError` without room."""
    file = tempfile.NamedTemporaryFile(prefix="lookalike-")  # noqa: SIM115
    problem = None
    try:
        for chunk in _chunks(packed):
            if isinstance(chunk, str):
                problem = chunk
            elif file.tell() + len(chunk) > limit_bytes:
                problem = f"the gzip file unpacks to more than {limit_bytes / 1e9:.1f} GB; unpack it yourself"
                break
            else:
                file.write(chunk)
        file.flush()
    except BaseException:
        with suppress(OSError):  # there is no room for the buffer either
            file.close()
        raise
    return _Unpacked(file, problem)


def _chunks(packed: BinaryIO) -> Iterator[bytes | str]:
    """Yield the content of a gzip file, and at last its problem, if any."""
    try:
        with gzip.GzipFile(fileobj=packed) as source:
            while chunk := source.read1(_CHUNK_BYTES):
                yield chunk
    except (EOFError, OSError, zlib.error) as error:
        yield f"the gzip file is damaged: {error}"


def _forget() -> None:
    while _unpacked:
        _unpacked.popitem()[1].file.close()


atexit.register(_forget)
