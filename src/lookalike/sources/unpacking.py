"""Open shards at any place, gzipped ones too."""

from __future__ import annotations

import atexit
import gzip
import io
import tempfile
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from lookalike.storage.stores import is_remote

# A gzip file can only be read from its start, so each is unpacked to a temporary file, the last two are
# kept, and older ones go: samples are read in their order.
_KEPT = 2
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Unpacked:
    file: IO[bytes]
    problem: str | None


_State = tuple[Path, int, int]  # with the time of modification and the size
_unpacked: OrderedDict[_State, _Unpacked] = OrderedDict()
_lock = threading.Lock()


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading at any place; of a damaged gzip file, what precedes the damage."""
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
    """Return what is wrong with the compression of a file, or None."""
    if not _is_gzip(path):
        return None
    with _lock:
        return _unpack(path).problem


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Read bytes of a file; raises `OSError` where it ends too early."""
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
    file = tempfile.NamedTemporaryFile(prefix="lookalike-")  # noqa: SIM115
    problem = None
    with path.open("rb") as packed, gzip.GzipFile(fileobj=packed) as source:
        try:
            while chunk := source.read1(_CHUNK_BYTES):
                file.write(chunk)
        except (EOFError, OSError, zlib.error) as error:
            problem = f"the gzip file is damaged: {error}"
    file.flush()
    _unpacked[state] = _Unpacked(file, problem)
    while len(_unpacked) > _KEPT:
        _unpacked.popitem(last=False)[1].file.close()
    return _unpacked[state]


def _forget() -> None:
    while _unpacked:
        _unpacked.popitem()[1].file.close()


atexit.register(_forget)
