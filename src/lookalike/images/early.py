"""Facts about a picture before decoding: the memory it needs, a smaller version, pictures inside it."""

from __future__ import annotations

import re
import struct
from typing import Any

from PIL import Image

from lookalike.errors import ImageError
from lookalike.images.jpeg import coefficient_bytes
from lookalike.images.limit import check_limit
from lookalike.images.strips import comes_in_pieces, load_in_pieces

# Bytes a pixel in Pillow's memory; 4 in all other modes.
_NARROW = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}

# Bytes a pixel that decoders need beside that, measured on 50 megapixels: libwebp two canvases, their
# copy and the picture itself; libavif and libheif planes of up to 16 bits, and their copy.
_BESIDE = {"WEBP": 12, "AVIF": 12, "HEIF": 12}
# OpenJPEG holds four bytes a sample, and a second copy for a tile.
_JPEG2000_SAMPLE_BYTES = 5

# Pictures inside icons, which Pillow opens whatever their size: a PNG's header, and that of JPEG 2000.
_NESTED = {
    "PNG": re.compile(rb"IHDR(.{8})", re.DOTALL),
    "JPEG2000": re.compile(rb"\xff\x4f\xff\x51.{4}(.{8})", re.DOTALL),
}
_NESTING = frozenset({"ICO", "ICNS", "CUR", "JPEG2000"})

# JPEG 2000: the coding style (ISO 15444-1, A.6.1) says how often a picture can be halved.
_CODING_STYLE = re.compile(rb"\xff\x4f\xff\x51.*?\xff\x52.{7}(.)", re.DOTALL)

# TIFF 6.0: tags of strips and tiles.
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_LENGTH = 278, 322, 323
_SAMPLES, _BITS = 277, 258


def check_hidden(data: bytes, image: Image.Image, max_megapixels: float) -> None:
    """Raise `ImageError` for files that Pillow may unpack to any size, whatever their header says."""
    if any(tile[0] == "fits_gzip" for tile in getattr(image, "tile", ())):
        raise ImageError("a packed FITS, which may hide any size", "unpack it first")
    if image.format in _NESTING:
        for header in _NESTED.values():
            for found in header.finditer(data):
                width, height = struct.unpack(">II", found[1])
                check_limit(width, height, max_megapixels)


def reduce_early(image: Image.Image, least_px: int) -> None:
    """Let a JPEG or JPEG 2000 be decoded at a fraction of its size, its shorter side at least `least_px`."""
    if image.format in ("JPEG", "MPO"):
        image.draft(None, (least_px, least_px))
    elif image.format == "JPEG2000":
        data = encoded_bytes(image)
        style = _CODING_STYLE.search(data[:65536])
        halvings = (min(image.size) // least_px).bit_length() - 1
        image.reduce = max(0, min(halvings, style[1][0] if style else 0))  # type: ignore[method-assign,assignment]


def load(image: Image.Image) -> None:
    """Let Pillow decode an image, a TIFF's large strips in pieces; raises nearly anything on damaged data."""
    if comes_in_pieces(image):
        load_in_pieces(image, encoded_bytes(image))
    image.load()


def decoding_bytes(image: Image.Image, pixels: int, reduction: int) -> int:
    """About the most bytes that decoding needs: Pillow's image, its decoder's memory, and the RGB result.

    `pixels` is the number in the original. 0 if the image is already decoded.
    """
    width, height = image.size
    made = 3 * (width // reduction + 1) * (height // reduction + 1)
    tiles = getattr(image, "tile", None)
    if not tiles:
        return made
    beside = _BESIDE.get(image.format or "", 0) * pixels
    if image.format in ("JPEG", "MPO"):
        beside = coefficient_bytes(encoded_bytes(image))
    elif image.format == "JPEG2000":
        power = 2 ** int(getattr(image, "_reduce", 0))
        width, height = -(-width // power), -(-height // power)
        beside = _JPEG2000_SAMPLE_BYTES * len(image.getbands()) * width * height
    elif image.format == "TIFF" and tiles[0][0] == "libtiff" and not comes_in_pieces(image):
        beside = _strip_bytes(image.tag_v2, width, height)  # type: ignore[attr-defined]
    elif tiles[0][0] in Image.DECODERS:  # written in Python, and gather the whole picture
        beside = 4 * width * height
    return _NARROW.get(image.mode, 4) * width * height + beside + made


def _strip_bytes(tags: Any, width: int, height: int) -> int:
    """The bytes of a TIFF's strip or tile, which is unpacked as a whole."""
    bits = sum(tags.get(_BITS, (1,))) if len(tags.get(_BITS, (1,))) > 1 else int(tags.get(_BITS, (1,))[0])
    if tags.get(_TILE_WIDTH):
        columns, rows = int(tags[_TILE_WIDTH]), int(tags.get(_TILE_LENGTH, height))
    else:
        columns, rows = width, min(int(tags.get(_ROWS_PER_STRIP, height)), height)
    return columns * rows * max(bits, 8) // 8


def encoded_bytes(image: Image.Image) -> bytes:
    """The encoded bytes of an open image."""
    file: Any = image.fp  # type: ignore[attr-defined]
    place = file.tell()
    file.seek(0)
    try:
        return bytes(file.read())
    finally:
        file.seek(place)
