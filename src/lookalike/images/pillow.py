"""Decodes through Pillow: every format except JPEG, and JPEGs that the fast path cannot decode."""

from __future__ import annotations

import io
import math
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

from PIL import Image, UnidentifiedImageError

from lookalike.errors import ImageError
from lookalike.extras import install_command
from lookalike.images.deep import BYTES_BESIDE, deep_pixels, is_deep, low_bytes
from lookalike.images.early import check_hidden, decoding_bytes, load, reduce_early
from lookalike.images.exif import exif_block, read_exif
from lookalike.images.formats import FORMATS
from lookalike.images.libtiff import COMPLAINTS
from lookalike.images.limit import check_limit
from lookalike.images.memory import DECODING
from lookalike.images.modes import rgb_pixels
from lookalike.images.orientation import image_orientation, upright, upright_box, upright_size
from lookalike.images.picture import Picture

# Up to here a picture is converted as a whole: 48 MB of pixels.
_WHOLE_PIXELS = 16_000_000
_TIFF_STARTS = (b"II", b"MM")
_DECODER_ERROR = re.compile(r"decoder error -?\d+$")
_HEIC_BRANDS = frozenset(b"heic heix heim heis hevc hevx mif1 msf1".split())


def decode_with_pillow(data: bytes, cover_px: int, max_megapixels: float) -> Picture:
    """Decode an encoded image of any format that may be opened, as `picture_of` does; raises `ImageError`."""
    if data[:2] not in _TIFF_STARTS:
        return _decode(data, cover_px, max_megapixels)
    try:
        with COMPLAINTS.decoding():
            return _decode(data, cover_px, max_megapixels)
    except ImageError as error:
        without, said = _DECODER_ERROR.sub("", error.message), ""
        if without != error.message:
            said = COMPLAINTS.about(lambda: _decode(data, cover_px, max_megapixels))
        if not said:
            raise
        raise ImageError(without + said, error.hint) from None


def _decode(data: bytes, cover_px: int, max_megapixels: float) -> Picture:
    with _opened(data) as image:
        check_hidden(data, image, max_megapixels)
        picture = picture_of(image, cover_px, max_megapixels, Image.Image.close)
        # The EXIF of a TIFF is the file itself.
        return replace(picture, exif=read_exif(data)) if image.format == "TIFF" else picture


def picture_of(
    image: Image.Image,
    cover_px: int,
    max_megapixels: float,
    free: Callable[[Image.Image], None] = lambda _: None,
) -> Picture:
    """The picture of a Pillow image; raises `ImageError` if it is too large, empty or damaged.

    A picture of more than 16 megapixels is reduced as it is converted, to a shorter side of at least twice
    `cover_px`, so the pixels take little memory beside Pillow's image. `free` is called with the image
    while its memory is still counted.
    """
    width, height = image.size
    check_limit(width, height, max_megapixels)
    if 0 in image.size:
        raise ImageError("a picture without pixels")
    if width * height > _WHOLE_PIXELS:
        reduce_early(image, 2 * cover_px)
    reduction = _reduction(*image.size, 2 * cover_px)
    low = low_bytes(image) if is_deep(image) else None
    needed = decoding_bytes(image, width * height, reduction)
    if low is not None:
        needed += BYTES_BESIDE * math.prod(-(-side // reduction) for side in image.size)
    with DECODING.taking(needed):
        try:
            with _pillow_limit_lifted():
                load(image)
                orientation = image_orientation(image)
                if low is None:
                    pixels = rgb_pixels(image, reduction)
                else:
                    pixels = deep_pixels(image, low, reduction, free)
        except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
            raise ImageError(_one_line(f"damaged {_kind(image)}: {error}")) from None
        filled = image.width / reduction, image.height / reduction
        free(image)
        turned = upright(pixels, orientation)
    box = (
        None
        if turned.shape[0] * turned.shape[1] == width * height
        else upright_box(pixels, *filled, orientation)
    )
    width, height = upright_size(width, height, orientation)
    return Picture(turned, width, height, box=box, exif=read_exif(exif_block(image)))


def _kind(image: Image.Image) -> str:
    """The format, and a TIFF's packing, because Pillow's own libtiff decides which of them it can read."""
    packing = image.info.get("compression") if image.format == "TIFF" else None
    return f"{image.format or 'image'}{f', packed as {packing}' if packing else ''}"


def _reduction(width: int, height: int, least_px: int) -> int:
    """How many pixels a side become one while the shorter side keeps at least `least_px`."""
    return max(1, min(width, height) // least_px) if width * height > _WHOLE_PIXELS else 1


def media_type(data: bytes) -> str:
    """The media type of an encoded image, from its bytes, such as `image/webp`; raises `ImageError`."""
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
            return Image.open(io.BytesIO(data), formats=[one for one in FORMATS if one in Image.OPEN])
    except UnidentifiedImageError:
        raise ImageError(f"not a readable image ({_sniff(data)})", _hint(data)) from None
    except Exception as error:
        raise ImageError(_one_line(f"damaged image: {error}")) from None


@lru_cache(maxsize=1)
def _register_formats() -> None:
    """Register HEIC if the extra `heic` is installed."""
    Image.init()
    Image.core.set_block_size(_BLOCK_BYTES)  # type: ignore[attr-defined]
    try:
        import pillow_heif
    except ImportError:
        return
    pillow_heif.register_heif_opener()


# Above 32 MB the C library always returns memory to the system; it keeps much of Pillow's usual 16 MB.
_BLOCK_BYTES = 64 * 2**20


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
