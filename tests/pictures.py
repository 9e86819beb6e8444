"""Pictures that the tests of reading images share, made by arithmetic."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from hypothesis import settings
from PIL import ExifTags, Image

from lookalike.images.decoding import load

FLOWERS = Path(__file__).parents[2] / "shared" / "data" / "flowers"
RED, GREEN, BLUE, YELLOW, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 255, 255)

quick = settings(max_examples=50, deadline=None, database=None)

# Every format that the issue asks for, small and with a gradient, so that a missing part shows.
FORMATS = {
    "jpeg": ("JPEG", {"quality": 90}),
    "progressive jpeg": ("JPEG", {"quality": 90, "progressive": True}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {}),
    "lossless webp": ("WEBP", {"lossless": True}),
    "gif": ("GIF", {}),
    "tiff": ("TIFF", {}),
    "lzw tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "deflate tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "jpeg tiff": ("TIFF", {"compression": "jpeg"}),
    "bmp": ("BMP", {}),
    "avif": ("AVIF", {}),
    "ppm": ("PPM", {}),
}


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def gradient(width: int = 24, height: int = 20) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [columns * 255 // width, rows * 255 // height, (rows + columns) * 255 // (width + height)]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def sample_file(name: str) -> bytes:
    format_, options = FORMATS[name]
    return encoded(gradient(), format_, **options)


def quadrants(width: int, height: int, colors: str) -> Image.Image:
    """Four blocks of colour; `colors` names them from the top left to the bottom right."""
    palette = {"r": RED, "g": GREEN, "b": BLUE, "y": YELLOW}
    image = Image.new("RGB", (width, height))
    for index, name in enumerate(colors):
        column, row = index % 2, index // 2
        image.paste(palette[name], (column * width // 2, row * height // 2, (column + 1) * width, height))
    return image


def quadrants_of(pixels: np.ndarray) -> str:
    """The inverse of `quadrants`, read in the middle of each block."""
    height, width = pixels.shape[:2]
    names = {(1, 0, 0): "r", (0, 1, 0): "g", (0, 0, 1): "b", (1, 1, 0): "y"}
    return "".join(
        names[tuple((pixels[height * row // 4, width * column // 4] > 127).astype(int).tolist())]
        for row in (1, 3)
        for column in (1, 3)
    )


def exif_block(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif.tobytes()


def with_segment(jpeg: bytes, marker: int, payload: bytes) -> bytes:
    """The JPEG with one more segment, as its first."""
    return jpeg[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    """The baseline JPEG with another size in its header."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


def png(size: tuple[int, int], depth: int, color_type: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG by hand, since Pillow writes few of the kinds that there are."""
    header = struct.pack(">IIBBBBB", *size, depth, color_type, 0, 0, 0)
    data, end = png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + extra + data + end


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def first_pixel(image: Image.Image | bytes | np.ndarray) -> tuple[int, ...]:
    return tuple(load(image, cover_px=1000).pixels[0, 0].tolist())


def mean_difference(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


# The stored picture is "rgby"; by EXIF 2.32, table 6, it is to be seen as this.
UPRIGHT = {1: "rgby", 2: "gryb", 3: "ybgr", 4: "byrg", 5: "rbgy", 6: "bryg", 7: "ygbr", 8: "gyrb"}
