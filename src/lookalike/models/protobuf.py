"""Reads protobuf messages, what ONNX files are, without the package `onnx` and without running anything."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types


def fields(data: mmap.mmap | bytes, at: int, end: int) -> Iterator[tuple[int, int | slice]]:
    """The number of each field of a message in `data[at:end]`, and its value: a whole number, or a place.

    Raises `ValueError` if it is not a message, or is cut off.
    """
    while at < end:
        tag, at = _varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if not number:  # no field has the number 0: what is read is a hole of zeros
            raise ValueError("it is damaged, or something else")
        if wire == _VARINT:
            value, at = _varint(data, at, end)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at, end)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError("it is damaged, or something else")
        if at + size > end:
            raise ValueError("it is cut off or damaged")
        yield number, slice(at, at + size)
        at += size


def _varint(data: mmap.mmap | bytes, at: int, end: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and where it ends."""
    value = 0
    for place in range(10):
        if at >= end:
            break
        byte = data[at]
        value |= (byte & 0x7F) << (7 * place)
        at += 1
        if byte < 0x80:
            return value, at
    raise ValueError("it is cut off or damaged")
