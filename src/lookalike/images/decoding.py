"""Encoded bytes to RGB pixels of the wanted size, and to thumbnails.

JPEG takes the fast path: libjpeg-turbo can decode straight to a fraction of the size by dropping high
frequencies (DCT scaling), so a 12-megapixel photograph that a network sees at 224 pixels is never
unpacked whole. Everything else goes through Pillow.
"""

from __future__ import annotations

import io
import math
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from lookalike.errors import ImageError

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]
ImageLike = str | Path | bytes | Image.Image | Pixels

MAX_MEGAPIXELS = 200.0
THUMBNAIL_PX = 256

# A small JPEG serves as its own thumbnail up to this size, if it has no segments but these: the picture
# itself (ITU-T T.81, table B.1), JFIF and Adobe's color transform. So no EXIF, XMP, IPTC or comment.
_PASS_THROUGH_BYTES = 32 * 1024
_START_OF_SCAN = 0xDA
_PLAIN_SEGMENTS = frozenset({0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xE0, 0xEE, _START_OF_SCAN})

# What may be opened: Pillow knows more, some of it dangerous (EPS starts Ghostscript).
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF", "PPM")
_HEIC_BRANDS = frozenset(b"heic heix heim heis hevc hevx mif1 msf1".split())

# How each EXIF orientation is undone on (H, W, 3) pixels: flip the columns, flip the rows, transpose,
# in this order (EXIF 2.32, table 6).
_UNDO_ORIENTATION = {
    2: (True, False, False),
    3: (True, True, False),
    4: (False, True, False),
    5: (False, False, True),
    6: (False, True, True),
    7: (True, True, True),
    8: (True, False, True),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: `pixels` uint8 (H, W, 3) RGB, upright, perhaps reduced while decoding.

    `width` and `height` are those of the original, upright, in pixels.
    `box` is where the original lies in `pixels` (left, top, right, bottom), if not all over them: DCT scaling
    rounds the size up, and the last row and column then hold only a part of the original's.
    `as_thumbnail` holds the original bytes where they can serve as the thumbnail unchanged.
    """

    pixels: Pixels
    width: int
    height: int
    as_thumbnail: bytes | None = None
    box: Box | None = None


def load(image: ImageLike, cover_px: int, max_megapixels: float = MAX_MEGAPIXELS) -> Picture:
    """Decode a path, encoded bytes, a Pillow image or a uint8 array (H, W), (H, W, 3) or (H, W, 4).

    Raises `ImageError` for anything that is no readable picture.
    """
    if isinstance(image, str | Path):
        try:
            data = Path(image).read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ImageError(f"cannot read {image}: {reason}") from None
        try:
            return decode(data, cover_px, max_megapixels)
        except ImageError as error:
            raise ImageError(f"{image}: {error.message}", error.hint) from None
    if isinstance(image, bytes):
        return decode(image, cover_px, max_megapixels)
    if isinstance(image, Image.Image):
        return _picture(image, max_megapixels)
    pixels = _array_pixels(np.asarray(image))
    height, width = pixels.shape[:2]
    return Picture(pixels, width, height)


def decode(
    data: bytes, cover_px: int, max_megapixels: float = MAX_MEGAPIXELS, least_reduction: float = 1
) -> Picture:
    """Decode an encoded image; its shorter side is at least `cover_px` where the original's is.

    A JPEG is reduced `least_reduction` times at least or not at all: the decoder has no vector instructions
    for what lies between the half and the whole, and so takes longer for less.
    The limit in megapixels is checked on the header, before any pixel is decoded.
    Raises `ImageError` when the bytes are no image, truncated or above the limit.
    """
    if not data:
        raise ImageError("the file is empty")
    if data[:2] == b"\xff\xd8":
        picture = _decode_jpeg(data, cover_px, max_megapixels, least_reduction)
        if picture is not None:
            return picture
    return _decode_with_pillow(data, max_megapixels)


def fit(pixels: Pixels, size_px: int, crop: float, box: Box | None = None) -> Pixels:
    """Resize the central square of `box` (of all by default) to uint8 (S, S, 3), bicubic with antialiasing.

    `crop` in (0, 1] is the square's side as a fraction of the shorter side of the picture.
    """
    height, width = pixels.shape[:2]
    left, top, right, bottom = box or (0, 0, width, height)
    side = min(bottom - top, right - left) * crop
    left, top = (left + right - side) / 2, (top + bottom - side) / 2
    if (height, width) == (size_px, size_px) and side == size_px:
        return pixels
    resized = Image.fromarray(pixels).resize(
        (size_px, size_px), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
    )
    return np.asarray(resized)


def region(picture: Picture, box: Box) -> Box:
    """Where a part of the original lies in the picture's pixels, as (left, top, right, bottom) for `fit`.

    `box` is the part in fractions of the upright original, from 0 to 1. Raises `ImageError` for one that is
    empty, outside, or smaller than a pixel.
    """
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ImageError(
            f"the box {tuple(box)} is no part of a picture", "give it as left, top, right, bottom"
        )
    if (right - left) * picture.width < 1 or (bottom - top) * picture.height < 1:
        raise ImageError(f"the box {tuple(box)} is smaller than a pixel")
    height, width = picture.pixels.shape[:2]
    x, y, end_x, end_y = picture.box or (0.0, 0.0, float(width), float(height))
    columns, rows = end_x - x, end_y - y
    return x + left * columns, y + top * rows, x + right * columns, y + bottom * rows


def media_type(data: bytes) -> str:
    """What an encoded image is by its own bytes, as in `image/webp`; raises `ImageError` where it is none."""
    with _opened(data) as image:
        return Image.MIME.get(image.format or "", "application/octet-stream")


def thumbnail(picture: Picture, longest_px: int = THUMBNAIL_PX) -> bytes:
    """A JPEG of at most `longest_px` a side; a small JPEG is passed through as it is."""
    if picture.as_thumbnail is not None and max(picture.width, picture.height) <= longest_px:
        return picture.as_thumbnail
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    scale = longest_px / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    return encode_jpeg(pixels, 85)


def encode_jpeg(pixels: Pixels, quality: int) -> bytes:
    """Encode uint8 (H, W, 3) RGB pixels, with the colours at half the resolution."""
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=quality, colorsubsampling="420"
    )
    return encoded


def _decode_jpeg(data: bytes, cover_px: int, max_megapixels: float, least_reduction: float) -> Picture | None:
    """The fast path; None sends a JPEG that it does not handle to Pillow, which is more forgiving."""
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    _check_limit(width, height, max_megapixels)
    target = "RGB" if colorspace in ("YCbCr", "RGB", "Gray") else "CMYK"
    try:
        pixels = simplejpeg.decode_jpeg(
            data, target, min_height=cover_px, min_width=cover_px, min_factor=least_reduction
        )
    except ValueError as error:
        if "premature end" in str(error).lower():  # Pillow would leave the rest of the picture grey
            raise ImageError(f"damaged JPEG: {error}") from None
        return None
    if target == "CMYK":  # whole, but its colours are Pillow's to convert
        return None
    segments = list(_segments(data))
    markers = {marker for marker, _ in segments}
    plain = _START_OF_SCAN in markers and markers <= _PLAIN_SEGMENTS and len(data) <= _PASS_THROUGH_BYTES
    exif = next((load[6:] for marker, load in segments if marker == 0xE1 and load[:6] == b"Exif\0\0"), b"")
    orientation = _exif_orientation(exif)
    box = _box(pixels, width, height, orientation)
    if 5 <= orientation <= 8:
        width, height = height, width
    return Picture(_upright(pixels, orientation), width, height, data if plain else None, box)


def _box(pixels: Pixels, width: int, height: int, orientation: int) -> Box:
    """Where the original lies in the upright pixels, for `pixels` as they were decoded, in eighths."""
    eighths = round(8 * max(pixels.shape[:2]) / max(width, height))
    right, bottom = width * eighths / 8, height * eighths / 8
    left, top = 0.0, 0.0
    flip_columns, flip_rows, transpose = _UNDO_ORIENTATION.get(orientation, (False,) * 3)
    if flip_columns:
        left, right = pixels.shape[1] - right, float(pixels.shape[1])
    if flip_rows:
        top, bottom = pixels.shape[0] - bottom, float(pixels.shape[0])
    return (top, left, bottom, right) if transpose else (left, top, right, bottom)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The marker and the payload of each segment of a JPEG, up to the first scan (ITU-T T.81, B.1.1)."""
    at = 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFF:  # any number of these may stand before a marker
            at += 1
            continue
        yield marker, data[at + 4 : at + 2 + size]
        if marker == _START_OF_SCAN:
            return
        at += 2 + size


def _exif_orientation(exif: bytes) -> int:
    """The orientation in an EXIF block, 1 where there is none; damage costs no picture (EXIF 2.32, 4.5.4)."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, at)
            if (tag, kind) == (ExifTags.Base.Orientation, 3):
                return int(value)
    except struct.error:
        pass
    return 1


def _decode_with_pillow(data: bytes, max_megapixels: float) -> Picture:
    with _opened(data) as image:
        return _picture(image, max_megapixels)


def _picture(image: Image.Image, max_megapixels: float) -> Picture:
    _check_limit(*image.size, max_megapixels)
    if 0 in image.size:
        raise ImageError("a picture without pixels")
    try:
        with _pillow_limit_lifted():
            image.load()
        pixels = _upright(_pillow_pixels(image), _orientation(image))
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise ImageError(_one_line(f"damaged {image.format or 'image'}: {error}")) from None
    height, width = pixels.shape[:2]
    return Picture(pixels, width, height)


# Pillow refuses large pictures by a limit that is global to the process. The limit here is an argument
# and is checked before decoding, so Pillow's is lifted while any thread opens or decodes a picture.
_lift_lock = threading.Lock()
_lifted: list[int | None] = []  # Pillow's limit, once for each thread that has lifted it


@contextmanager
def _pillow_limit_lifted() -> Iterator[None]:
    with _lift_lock:
        _lifted.append(_lifted[0] if _lifted else Image.MAX_IMAGE_PIXELS)
        Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        with _lift_lock:
            limit = _lifted.pop()
            if not _lifted:
                Image.MAX_IMAGE_PIXELS = limit


def _opened(data: bytes) -> Image.Image:
    _register_formats()
    try:
        with _pillow_limit_lifted():
            return Image.open(io.BytesIO(data), formats=[one for one in _FORMATS if one in Image.OPEN])
    except UnidentifiedImageError:
        raise ImageError(f"not an image that can be read ({_sniff(data)})") from None
    except Exception as error:
        raise ImageError(_one_line(f"damaged image: {error}")) from None


@lru_cache(maxsize=1)
def _register_formats() -> None:
    """HEIC comes with the extra: `pip install 'lookalike[heic]'`."""
    Image.init()
    try:
        import pillow_heif
    except ImportError:
        return
    pillow_heif.register_heif_opener()


def _sniff(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
        return "HEIC: pip install 'lookalike[heic]'"
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is an HTML page"
    return f"it starts with {data[:8]!r}"


def _check_limit(width: int, height: int, max_megapixels: float) -> None:
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise ImageError(
            f"{math.ceil(megapixels)} megapixels, the limit is {max_megapixels:g}",
            "raise it with --max-megapixels",
        )


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged EXIF block must not cost the picture
        return 1


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    flip_columns, flip_rows, transpose = _UNDO_ORIENTATION.get(orientation, (False,) * 3)
    if flip_columns:
        pixels = pixels[:, ::-1]
    if flip_rows:
        pixels = pixels[::-1]
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    return np.ascontiguousarray(pixels)


def _pillow_pixels(image: Image.Image) -> Pixels:
    """RGB uint8 (H, W, 3) of any Pillow mode: transparency on a ground, deep grey scaled to 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_eight_bits(image))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.new("RGBA", rgba.size, _ground(rgba))
        image.alpha_composite(rgba)
    return np.asarray(image.convert("RGB"))


def _ground(rgba: Image.Image) -> str:
    """What a transparent picture lies on: white, or grey where it is so light that it would vanish there.

    `groundOf` of the page's resize.js is the same.
    """
    values = np.asarray(rgba)
    seen = values[..., 3] >= 128
    lightness = values[..., :3].min(axis=2)[seen]
    return "#808080" if seen.any() and lightness.mean() > 224 else "white"


def _eight_bits(image: Image.Image) -> Pixels:
    """16-bit grey keeps its absolute scale; other ranges (32-bit, float) are stretched to 0..255."""
    values = np.asarray(image, dtype=np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if image.mode.startswith("I;16") or (image.mode == "I" and low >= 0 and 255 < high < 65536):
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 255 and high > 1:
        low, high = 0.0, 255.0
    scaled = (np.nan_to_num(values) - low) / max(high - low, 1e-12) * 255
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _array_pixels(array: NDArray[Any]) -> Pixels:
    shape_is_right = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if array.dtype != np.uint8 or not shape_is_right or 0 in array.shape:
        raise ImageError(
            f"an image array is uint8 of shape (H, W), (H, W, 3) or (H, W, 4), "
            f"not {array.dtype} {array.shape}"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return _pillow_pixels(Image.fromarray(np.ascontiguousarray(array)))


def _one_line(text: str) -> str:
    return " ".join(text.split())
