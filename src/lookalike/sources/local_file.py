"""A file on this machine, as what a sample reads: any process here can."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import Any

_TO_READ, _READ_BYTES = os.O_RDONLY | getattr(os, "O_BINARY", 0), 1 << 20


@dataclass(frozen=True, slots=True)
class LocalFile:
    """Reads the file at a path that had `size_bytes` when it was listed; raises `OSError`.

    It takes three calls of the system. `Path.read_bytes` takes seven, and each gives up the interpreter lock,
    to get it back when other threads let it.
    """

    path: bytes
    size_bytes: int

    def __reduce__(self) -> tuple[Any, ...]:  # a dataclass's own way takes five times as long
        return LocalFile, (self.path, self.size_bytes)

    def __call__(self) -> bytes:
        descriptor = os.open(self.path, _TO_READ)
        try:
            data = os.read(descriptor, self.size_bytes + 1)
            if len(data) == self.size_bytes:
                return data
            return data + b"".join(iter(partial(os.read, descriptor, _READ_BYTES), b""))
        finally:
            os.close(descriptor)
