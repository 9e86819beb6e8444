"""What a process of `workers` does: it reads files and looks at them until nobody asks any more."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from lookalike.images.memory import DECODING
from lookalike.models.looking import Encoded, Seen, encoded, look_at
from lookalike.models.spec import ModelSpec
from lookalike.sources.local_file import LocalFile

# The fields of `Seen` but for its pixels.
_SEEN = ("width", "height", "exif", "thumbnail")


@dataclass(frozen=True, slots=True)
class Work:
    """How files are looked at: for a model; those that a GPU can decode, only read, if `leaves_jpegs`."""

    spec: ModelSpec
    max_megapixels: float
    thumbnails: bool
    leaves_jpegs: bool = False


def serve(pairs: Sequence[tuple[int, int]]) -> None:
    """Fork a process for each connection and the memory that it shares, and wait until they have ended.

    So all of them import Python's modules once. Each end of a connection is open in one process alone: when
    that ends, however it does, the other notices.
    """
    for number, (connection, memory) in enumerate(pairs):
        if os.fork() == 0:
            for pair in pairs[number + 1 :]:
                _close(pair)
            with suppress(EOFError, OSError):
                _answer(Connection(connection), mmap.mmap(memory, 0))
            return
        _close((connection, memory))
    with suppress(ChildProcessError):  # there is none left
        while True:
            os.wait()


def _close(pair: tuple[int, int]) -> None:
    for descriptor in pair:
        os.close(descriptor)


def _answer(connection: Connection, memory: mmap.mmap) -> None:
    """Say who answers, take what is to be done, and do it for lists of files until the connection ends."""
    connection.send(os.getpid())
    work, limit_bytes = connection.recv()
    with DECODING.limited_to(limit_bytes):
        while True:
            connection.send(list(_answers(memory, connection.recv(), work)))


def _answers(
    memory: mmap.mmap, files: Sequence[LocalFile | int], work: Work
) -> Iterator[tuple[int, str, int, Any] | None]:
    """For each file its size, checksum, the place of its pixels or bytes, and what else is seen of it."""
    given, free = 0, sum(file for file in files if isinstance(file, int))
    for file in files:
        if isinstance(file, int):
            data, given = memory[given : given + file], given + file
        else:
            data = _read(file)
        found = _seen(data, work) if data else ""
        if isinstance(found, str):
            yield None
            continue
        rest: Any
        if isinstance(found, Encoded):
            kept, rest = data, (found.header, found.is_plain)
        else:
            kept = np.ascontiguousarray(found.pixels).tobytes()
            rest = {name: getattr(found, name) for name in _SEEN}
        if free + len(kept) > len(memory):  # it is large, or has grown
            yield None
            continue
        memory[free : free + len(kept)] = kept
        yield len(data), hashlib.sha256(data).hexdigest(), free, rest
        free += len(kept)


def _read(file: LocalFile) -> bytes:
    try:
        return file()
    except (OSError, MemoryError):
        return b""


def _seen(data: bytes, work: Work) -> Seen | Encoded | str:
    if work.leaves_jpegs and (found := encoded(data, work.max_megapixels)):
        return found
    (seen,) = look_at([data], work.spec, max_megapixels=work.max_megapixels, thumbnails=work.thumbnails)
    return seen
