"""JPEG, the fast path: encoding, and decoding straight to a fraction of the size.

libjpeg-turbo drops high frequencies (DCT scaling), so a 12-megapixel photograph that a network sees at 224
pixels is never unpacked whole.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import simplejpeg

from lookalike.errors import ImageError
from lookalike.images.exif import Exif, orientation_of, read_exif
from lookalike.images.limit import check_limit
from lookalike.images.memory import DECODING
from lookalike.images.orientation import upright, upright_box, upright_size
from lookalike.images.picture import Picture, Pixels

# A small JPEG serves as its own thumbnail up to this size, if it has no segments but these: the picture
# itself (ITU-T T.81, table B.1), JFIF and Adobe's color transform. So no EXIF, XMP, IPTC or comment.
_PASS_THROUGH_BYTES = 32 * 1024
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_PLAIN_SEGMENTS = frozenset({0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xE0, 0xEE, _START_OF_SCAN, _END_OF_IMAGE})

# The markers that start a frame, and those for pictures in several scans (ITU-T T.81, table B.1).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})

# Sequential frames with Huffman codes; Adobe's mark of YCbCr; the last bytes of a whole JPEG. The engines of
# a GPU decode no others: torchvision unpacks progressive ones on one core, one by one, while all others wait.
_ON_GPU = frozenset({0xC0, 0xC1})
_YCC, _END = b"\x01", b"\xff\xd9"

# The end of a scan's data: inside it, a byte of 255 is followed by 0 or by a restart marker.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What a JPEG says before its first scan; `width` and `height` are as stored, before turning."""

    width: int
    height: int
    orientation: int
    exif: Exif | None

    def __reduce__(self) -> tuple[Any, ...]:  # a dataclass's own way takes five times as long
        return JpegHeader, (self.width, self.height, self.orientation, self.exif)


def gpu_header(data: bytes) -> JpegHeader | None:
    """The header of a JPEG that a GPU decodes as libjpeg does; None if it has to be left to the CPU.

    That is a whole one with 8 bits a sample, grey or in YCbCr, sequential and Huffman-coded.
    """
    if data[:2] != b"\xff\xd8" or data.rstrip(b"\0")[-2:] != _END:
        return None
    segments = list(_segments(data))
    frames = [(marker, load) for marker, load in segments if marker in _FRAMES]
    if len(frames) != 1 or segments[-1][0] != _START_OF_SCAN:
        return None
    marker, frame = frames[0]
    if marker not in _ON_GPU or len(frame) < 6:
        return None
    bits, height, width, components = struct.unpack_from(">BHHB", frame)
    adobe = [load[11:12] for marker, load in segments if marker == 0xEE and load[:5] == b"Adobe"]
    is_ycc = frame[6::3] != b"RGB" and adobe[:1] in ([], [_YCC])
    if bits != 8 or not width or not height or components not in (1, 3) or not is_ycc:
        return None
    if exif := _exif(segments):
        return JpegHeader(width, height, orientation_of(exif) or 1, read_exif(exif))
    return JpegHeader(width, height, 1, None)


def decode_jpeg(data: bytes, cover_px: int, max_megapixels: float, least_reduction: float) -> Picture | None:
    """Decode as `decode` does; None for a JPEG that needs Pillow, which is more forgiving."""
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    check_limit(width, height, max_megapixels)
    segments = list(_segments(data))
    target = "RGB" if colorspace in ("YCbCr", "RGB", "Gray") else "CMYK"
    eighths = min(8, math.ceil(8 * cover_px / min(width, height)))
    if 8 / eighths < least_reduction:
        eighths = 8
    try:
        with DECODING.taking(_coefficient_bytes(segments) + len(target) * width * height * eighths**2 // 64):
            pixels = simplejpeg.decode_jpeg(
                data, target, min_height=cover_px, min_width=cover_px, min_factor=least_reduction
            )
    except ValueError as error:
        if "premature end" in str(error).lower():  # Pillow would leave the rest of the picture grey
            raise ImageError(f"damaged JPEG: {error}") from None
        return None
    if target == "CMYK":  # whole, but its colours are Pillow's to convert
        return None
    exif = _exif(segments)
    orientation = orientation_of(exif) or 1
    eighths = round(8 * max(pixels.shape[:2]) / max(width, height))
    box = upright_box(pixels, width * eighths / 8, height * eighths / 8, orientation)
    width, height = upright_size(width, height, orientation)
    as_thumbnail = data if is_plain(data) else None
    return Picture(upright(pixels, orientation), width, height, as_thumbnail, box, read_exif(exif))


def _exif(segments: list[tuple[int, bytes]]) -> bytes:
    return next((load[6:] for marker, load in segments if marker == 0xE1 and load[:6] == b"Exif\0\0"), b"")


def coefficient_bytes(data: bytes) -> int:
    """The bytes that libjpeg needs beside the pixels: 16-bit coefficients, if they come in several scans."""
    return _coefficient_bytes(_segments(data))


def _coefficient_bytes(segments: Iterable[tuple[int, bytes]]) -> int:
    size = components = 0
    several = False
    for marker, load in segments:
        if marker in _FRAMES and len(load) >= 6:
            height, width, components = struct.unpack(">xHHB", load[:6])
            factors = [(one >> 4) * (one & 15) for one in load[7 : 6 + 3 * components : 3]]
            size = 2 * height * width * sum(factors) // max(1, *factors, 1)
            several = marker in _PROGRESSIVE
        elif marker == _START_OF_SCAN:
            return size if several or load[:1] < bytes([components & 255]) else 0
    return 0


def encode_jpeg(pixels: Pixels, quality: int) -> bytes:
    """Encode uint8 (H, W, 3) RGB pixels, with colours at half the resolution."""
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=quality, colorsubsampling="420"
    )
    return encoded


def is_plain(data: bytes) -> bool:
    """Whether a JPEG is small and contains only the picture, so that it can serve as its own thumbnail."""
    if len(data) > _PASS_THROUGH_BYTES:
        return False
    segments = list(_segments(data, whole=True))
    return {marker for marker, _ in segments} <= _PLAIN_SEGMENTS and segments[-1:] == [(_END_OF_IMAGE, b"")]


def _segments(data: bytes, whole: bool = False) -> Iterator[tuple[int, bytes]]:
    """The marker and payload of each segment of a JPEG (ITU-T T.81, B.1.1), up to the first scan.

    With `whole`, up to the end of the image, whose payload is the bytes after it.
    """
    at, end = 2, len(data) - 1
    while at < end and data[at] == 0xFF:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFF:  # any number of these may precede a marker
            at += 1
            continue
        if marker == _END_OF_IMAGE:
            yield marker, data[at + 2 :]
            return
        yield marker, data[at + 4 : at + 2 + size]
        at += 2 + size
        if marker == _START_OF_SCAN:
            found = _NEXT_MARKER.search(data, at) if whole else None
            if found is None:
                return
            at = found.start()
