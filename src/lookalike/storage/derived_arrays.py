"""Arrays in `derived/` that are quick to make again, in files whose heading says what they follow from.

A file that is missing, damaged or of something else is no error, and neither is a disk that takes none.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import StorageError
from lookalike.storage.files import write_bytes
from lookalike.storage.stores import is_remote

Arrays = dict[str, NDArray[Any]]

_HEADING = "heading"
# What NumPy raises for a damaged file; its zip files may say that they are encrypted, or of another version.
_DAMAGED = (OSError, ValueError, KeyError, EOFError, BadZipFile, RuntimeError, zlib.error)


def read_arrays(path: Path, heading: Mapping[str, Any]) -> tuple[dict[str, Any], Arrays] | None:
    """The heading of a file and its arrays by name; None unless the heading has the given fields."""
    with suppress(*_DAMAGED), np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
        arrays = dict(stored)
        found = json.loads(arrays.pop(_HEADING).tobytes())
        if isinstance(found, dict) and heading.items() <= found.items():
            return found, arrays
    return None


def write_arrays(path: Path, heading: Mapping[str, Any], **arrays: NDArray[Any]) -> None:
    """Write a file of arrays; a store gets none."""
    if is_remote(path):
        return
    buffer = io.BytesIO()
    text: Any = np.frombuffer(json.dumps(heading).encode(), np.uint8)
    np.savez(buffer, **{_HEADING: text}, **arrays)  # type: ignore[arg-type]  # its own options are no arrays
    with suppress(OSError, StorageError):
        write_bytes(path, buffer.getvalue())
