"""Pictures that the tests of reading images share, made by arithmetic."""

from __future__ import annotations

import io
import struct
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from PIL import ExifTags, Image

from lookalike.errors import ImageError
from lookalike.images.decoding import decode, load
from lookalike.images.exif import Exif

FLOWERS = Path(__file__).parents[2] / "shared" / "data" / "flowers"
RED, GREEN, BLUE, YELLOW, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 255, 255)

quick = settings(database=None)

# Every common format, small and with a gradient, so that a missing part shows.
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


# What the block of `photographed` says, as it is to be read.
HARBOUR = Exif(datetime(2019, 7, 31, 18, 4, 9, 250_000), -33.85680555555556, 151.2, "Canon EOS 5D")


def photographed(
    main: dict[int, Any] | None = None,
    details: dict[int, Any] | None = None,
    place: dict[int, Any] | None = None,
) -> bytes:
    """The EXIF block of a photograph of a harbour, by Pillow; a tag that is given as None is left out."""
    exif = Image.Exif()
    directories = (exif, exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo))
    defaults: tuple[dict[int, Any], ...] = (
        {ExifTags.Base.Make: "Canon", ExifTags.Base.Model: "Canon EOS 5D"},
        {ExifTags.Base.DateTimeOriginal: "2019:07:31 18:04:09", ExifTags.Base.SubsecTimeOriginal: "25"},
        {1: "S", 2: (33.0, 51.0, 24.5), 3: "E", 4: (151.0, 12.0, 0.0)},
    )
    for directory, default, changed in zip(directories, defaults, (main, details, place), strict=True):
        entries = {**default, **(changed or {})}
        directory.update({tag: value for tag, value in entries.items() if value is not None})
    return exif.tobytes()


def tiff(*entries: tuple[int, int, int, bytes], order: str = "<") -> bytes:
    """A TIFF by hand: entries of tag, type, count and value, which follows the directory where it is long."""
    start = 8 + 2 + 12 * len(entries) + 4
    fields, values = b"", b""
    for tag, kind, count, value in entries:
        place = struct.pack(f"{order}I", start + len(values))
        fields += struct.pack(f"{order}HHI", tag, kind, count)
        fields += value.ljust(4, b"\0") if len(value) <= 4 else place
        values += value if len(value) > 4 else b""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}IH", 8, len(entries))
    return head + fields + bytes(4) + values


def tiff_text(tag: int, value: bytes, kind: int = 2) -> tuple[int, int, int, bytes]:
    return tag, kind, len(value), value


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


def refused_or_read(data: bytes) -> None:
    """Any bytes are an error of one line, or a picture of the size that they state."""
    try:
        picture = decode(data, cover_px=20, max_megapixels=1)
    except ImageError as error:
        assert "\n" not in str(error)
    else:
        assert picture.pixels.shape == (picture.height, picture.width, 3)
