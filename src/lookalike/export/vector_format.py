"""The vector files that a browser loads: a 32-byte header, then numbers that a typed array can map.

A vector in 8 bits is 1,280 bytes instead of 5,120. Each is scaled so that its largest number is 127, and
comes with the scale that undoes it. Everything is little-endian. docs/site.md has the layout.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import SourceError

Floats = NDArray[np.float32]

MAGIC, VERSION = b"LKLV", 1
FLOAT32, INT8 = 0, 1
_HEADER = struct.Struct("<4sHHIIQ8x")  # magic, version, dtype, N, D, number of the first row


def quantised(vectors: Floats) -> tuple[Floats, NDArray[np.int8]]:
    """Quantise float32 (n, D), none zero, to scales (n,) and int8 (n, D); scale * row is nearly the vector.

    Its length is exactly the vector's, so a unit vector's product with itself is 1.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    rows = np.rint(vectors * (127 / largest)).astype(np.int8)
    lengths = np.linalg.norm(vectors, axis=1) / np.linalg.norm(rows.astype(np.float32), axis=1)
    return lengths.astype(np.float32), rows


def int8_file(vectors: Floats, first_row: int = 0) -> bytes:
    """Return a file of vectors (n, D) in 8 bits: header, n scales in float32, n rows of int8."""
    scales, rows = quantised(vectors)
    return _header(INT8, vectors, first_row) + scales.astype("<f4").tobytes() + rows.tobytes()


def float32_file(vectors: Floats) -> bytes:
    """Return a file of vectors (n, D) in float32."""
    return _header(FLOAT32, vectors, 0) + vectors.astype("<f4").tobytes()


def read_vectors(data: bytes) -> tuple[int, Floats]:
    """Read the number of the first row, and float32 (n, D); raises `SourceError` for other bytes."""
    if len(data) < _HEADER.size or data[:4] != MAGIC:
        raise SourceError("not a vector file of a site: it does not start with LKLV")
    _, version, dtype, count, dim, first_row = _HEADER.unpack_from(data)
    if version != VERSION or dtype not in (FLOAT32, INT8):
        raise SourceError(f"cannot read vectors of version {version} and dtype {dtype}")
    scales_size = 4 * count if dtype == INT8 else 0
    body, width = data[_HEADER.size :], 1 if dtype == INT8 else 4
    if len(body) != scales_size + width * count * dim:
        raise SourceError(f"{len(data):,} bytes are not {count:,} vectors of {dim:,} numbers")
    values = np.frombuffer(body, "<i1" if dtype == INT8 else "<f4", offset=scales_size).reshape(count, dim)
    if dtype == FLOAT32:
        return first_row, values.astype(np.float32)
    return first_row, values * np.frombuffer(body, "<f4", count)[:, None].astype(np.float32)


def _header(dtype: int, vectors: Floats, first_row: int) -> bytes:
    return _HEADER.pack(MAGIC, VERSION, dtype, *vectors.shape, first_row)
