"""Decoding through Pillow: every format except JPEG, and the JPEGs that the fast path leaves."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

from PIL import Image, UnidentifiedImageError

from lookalike.errors import ImageError
from lookalike.extras import install_command
from lookalike.images.exif import exif_block, read_exif
from lookalike.images.limit import check_limit
from lookalike.images.modes import rgb_pixels
from lookalike.images.orientation import image_orientation, upright
from lookalike.images.picture import Picture

# What may be opened: Pillow knows more, some of it dangerous (EPS starts Ghostscript).
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF", "PPM")
_HEIC_BRANDS = frozenset(b"heic heix heim heis hevc hevx mif1 msf1".split())


def decode_with_pillow(data: bytes, max_megapixels: float) -> Picture:
    """Decode an encoded image of any allowed format; raises `ImageError`."""
    with _opened(data) as image:
        picture = picture_of(image, max_megapixels)
        # The EXIF of a TIFF is the file itself.
        return replace(picture, exif=read_exif(data)) if image.format == "TIFF" else picture


def picture_of(image: Image.Image, max_megapixels: float) -> Picture:
    """The picture of a Pillow image; raises `ImageError` if it is too large, empty or damaged."""
    check_limit(*image.size, max_megapixels)
    if 0 in image.size:
        raise ImageError("a picture without pixels")
    try:
        with _pillow_limit_lifted():
            image.load()
        pixels = upright(rgb_pixels(image), image_orientation(image))
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise ImageError(_one_line(f"damaged {image.format or 'image'}: {error}")) from None
    height, width = pixels.shape[:2]
    return Picture(pixels, width, height, exif=read_exif(exif_block(image)))


def media_type(data: bytes) -> str:
    """The media type of an encoded image by its bytes, such as `image/webp`; raises `ImageError`."""
    with _opened(data) as image:
        return Image.MIME.get(image.format or "", "application/octet-stream")


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
        raise ImageError(f"not an image that can be read ({_sniff(data)})", _hint(data)) from None
    except Exception as error:
        raise ImageError(_one_line(f"damaged image: {error}")) from None


@lru_cache(maxsize=1)
def _register_formats() -> None:
    """Register HEIC if the extra `heic` is installed."""
    Image.init()
    try:
        import pillow_heif
    except ImportError:
        return
    pillow_heif.register_heif_opener()


def _sniff(data: bytes) -> str:
    if _is_heic(data):
        return "HEIC, which needs pillow-heif"
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is an HTML page"
    text = data[:8].decode("ascii", "replace")
    return f'it begins with "{text}"' if text.isprintable() and text.isascii() else "of an unknown format"


def _is_heic(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS


def _hint(data: bytes) -> str:
    return install_command("heic") if _is_heic(data) else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
