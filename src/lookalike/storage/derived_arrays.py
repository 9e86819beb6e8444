"""Arrays in `derived/` that are quick to make again, in files whose heading says what they follow from.

A file that is missing, damaged or of something else is no error, and neither is a disk that takes none.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import StorageError
from lookalike.models.npz import read_npz
from lookalike.storage.files import write_bytes
from lookalike.storage.stores import is_remote

Arrays = dict[str, NDArray[Any]]

_HEADING = "heading"


def read_arrays(path: Path, heading: Mapping[str, Any]) -> tuple[dict[str, Any], Arrays] | None:
    """The heading of a file and its arrays by name; None unless the heading has the given fields."""
    with suppress(OSError, ValueError, KeyError):
        arrays = read_npz(path.read_bytes())
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
