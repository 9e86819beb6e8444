"""A file on this machine, as what a sample reads: any process here can."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

_TO_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_MOST_BYTES = 1 << 28  # what is read in one call; Linux gives at most 2 GB


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
        if self.size_bytes <= _MOST_BYTES:
            descriptor = os.open(self.path, _TO_READ)
            try:
                data = os.read(descriptor, self.size_bytes + 1)
            finally:
                os.close(descriptor)
            if len(data) == self.size_bytes:
                return data
        with open(self.path, "rb", buffering=0) as file:  # it is large, or not as it was listed
            return file.readall()
