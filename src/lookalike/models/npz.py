"""Reads .npz files, which may be damaged in any way."""

from __future__ import annotations

import io
import zlib
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

# A flipped bit may say that an array is encrypted, which is a RuntimeError; a file of one array, which is no
# context manager, is a TypeError.
_DAMAGED = (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, BadZipFile, zlib.error)


def read_npz(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays in the bytes of a .npz file, by name; raises `ValueError` for any other bytes."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return dict(stored)
    except _DAMAGED as error:
        raise ValueError(f"not a .npz file, or a damaged one: {error}") from None
