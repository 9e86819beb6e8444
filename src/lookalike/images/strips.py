"""Unpacks a TIFF's large strips in pieces; libtiff would hold each of them whole, beside the picture."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

# The smallest strips for which this is worth it; smaller ones are libtiff's.
_LEAST_BYTES = 2**25
_PIECE_BYTES = 2**22

# TIFF 6.0, and deflate's two numbers in the supplement for Photoshop.
_BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _OFFSETS, _ORIENTATION = 258, 259, 262, 266, 273, 274
_SAMPLES, _ROWS_PER_STRIP, _COUNTS, _PLANES, _PREDICTOR = 277, 278, 279, 284, 317
_DEFLATE, _YCBCR, _DIFFERENCES = (8, 32946), 6, 2
_USUAL = ((_FILL_ORDER, 1), (_ORIENTATION, 1), (_PLANES, 1))


def comes_in_pieces(image: Image.Image) -> bool:
    """Whether an image that is not yet loaded is a TIFF with large strips, packed by deflate."""
    tags: Any = getattr(image, "tag_v2", None)
    tiles = getattr(image, "tile", ())
    if tags is None or [tile[0] for tile in tiles] != ["libtiff"]:
        return False
    bits, predictor = set(tags.get(_BITS, (1,))), tags.get(_PREDICTOR, 1)
    has_colors = image.mode in ("RGB", "RGBA", "CMYK")
    return (
        tags.get(_COMPRESSION) in _DEFLATE
        and tags.get(_PHOTOMETRIC) != _YCBCR
        and all(tags.get(tag, usual) == usual for tag, usual in _USUAL)
        and (bits == {8} or (bits == {16} and has_colors) or (bits == {32} and predictor == 1))
        and predictor in (1, _DIFFERENCES)
        and len(tags.get(_OFFSETS, ())) == len(tags.get(_COUNTS, ())) > 0
        and _row_bytes(image) * min(tags.get(_ROWS_PER_STRIP, image.height), image.height) >= _LEAST_BYTES
    )


def load_in_pieces(image: Image.Image, data: bytes) -> None:
    """Load an image that `comes_in_pieces` from its encoded bytes; raises `OSError` or `zlib.error`."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    raw_mode = image.tile[0].args[0]  # type: ignore[attr-defined]
    if raw_mode[-4:-1] == ";16":  # said for this machine's order, into which libtiff would turn the bytes
        is_straight = raw_mode[-1] in ("N", "L" if sys.byteorder == "little" else "B")
        raw_mode = raw_mode[:-1] + ("L" if is_straight == (tags.prefix == b"II") else "B")
    whole, top = Image.new(image.mode, image.size), 0
    for piece in _pieces(image, data):
        rows = len(piece) // _row_bytes(image)
        values = _summed(piece, rows, image) if tags.get(_PREDICTOR, 1) == _DIFFERENCES else piece
        whole.paste(Image.frombytes(image.mode, (image.width, rows), values, "raw", raw_mode), (0, top))
        top += rows
    image.im = whole.im
    image.tile = []  # type: ignore[attr-defined]


def _pieces(image: Image.Image, data: bytes) -> Iterator[bytes]:
    """Whole rows of the picture, some megabytes at a time."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    row_bytes, left = _row_bytes(image), image.height
    at_once = max(1, _PIECE_BYTES // row_bytes)
    for offset, count in zip(tags[_OFFSETS], tags[_COUNTS], strict=True):
        unpacker, packed = zlib.decompressobj(), data[offset : offset + count]
        rows_left = min(tags.get(_ROWS_PER_STRIP, left), left)
        left -= rows_left
        while rows_left:
            rows = min(at_once, rows_left)
            piece = b""
            while len(piece) < rows * row_bytes:
                more = unpacker.decompress(packed, rows * row_bytes - len(piece))
                packed = unpacker.unconsumed_tail
                if not more:
                    raise OSError("a strip breaks off")
                piece += more
            yield piece
            rows_left -= rows
    if left:
        raise OSError("strips are missing")


def _summed(piece: bytes, rows: int, image: Image.Image) -> bytes:
    """Undo the horizontal differences of TIFF 6.0, section 14."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    order = "<" if tags.prefix == b"II" else ">"
    kind = np.dtype(f"{order}u{tags[_BITS][0] // 8}")
    values = np.frombuffer(piece, kind).reshape(rows, image.width, -1)
    return np.cumsum(values, axis=1, dtype=kind.newbyteorder("=")).astype(kind).tobytes()


def _row_bytes(image: Image.Image) -> int:
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    samples = tags.get(_SAMPLES, 1)
    bits = tags.get(_BITS, (1,))
    return int(image.width * (sum(bits) if len(bits) == samples else bits[0] * samples) // 8)
