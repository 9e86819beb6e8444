"""Reads the pictures of a collection by row: thumbnails, and originals if they are local files."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from lookalike.analysis.agreement import ENOUGH_PX
from lookalike.analysis.geometry import Grey, Points, points_of
from lookalike.errors import ImageError
from lookalike.images.decoding import load
from lookalike.images.picture import Pixels
from lookalike.images.thumbnail import THUMBNAIL_PX
from lookalike.storage.part_state import PartState
from lookalike.storage.selection import Selection

COLUMNS = ("id", "uri", "sha256", "size_bytes", "mtime_ns", "width", "height", "thumb_offset", "thumb_size")
POINTS_BYTES = 300_000  # of the details of one picture, at most
_CHECKSUMS_KEPT = 10_000  # 200 bytes each; a blank frame among blank frames is asked for again and again
_HASHED_PX = 64
_ORIGINALS_KEPT = 16  # a megabyte each
_TRANSPARENT_FORMATS = ("PNG", "WEBP", "GIF", "TIFF", "AVIF")


@dataclass(frozen=True, slots=True)
class Original:
    """A decoded original, upright and only as large as comparing needs: `pixels` uint8 (H, W, 3).

    `opacity` uint8 (H, W, 1) is None if all of it is opaque; in `pixels`, transparent parts show a ground.
    """

    pixels: Pixels
    opacity: Pixels | None

    def is_equal(self, other: Original) -> bool:
        """Whether all pixels are equal, and equally opaque."""
        if self.opacity is None or other.opacity is None:
            return self.opacity is other.opacity and np.array_equal(self.pixels, other.pixels)
        return np.array_equal(self.pixels, other.pixels) and np.array_equal(self.opacity, other.opacity)


@dataclass(frozen=True)
class Pictures:
    """The pictures of a `Selection` that was read with `COLUMNS`; safe to use from several threads.

    Keeps the details of `kept` pictures in memory.
    """

    selection: Selection
    kept: int

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The rows, each a dictionary of its columns."""
        rows: list[dict[str, Any]] = self.selection.items.to_pylist()
        return rows

    @cached_property
    def _parts(self) -> list[PartState]:
        """The part that each row is in."""
        snapshot = self.selection.snapshot
        return [snapshot.parts[place] for place in snapshot.state.places_of(self.selection.rows).tolist()]

    def has_thumbnail(self, row: int) -> bool:
        return bool(self.rows[row]["thumb_size"])

    def size(self, row: int) -> tuple[int, int]:
        """The width and the height of the original, in pixels."""
        return self.rows[row]["width"], self.rows[row]["height"]

    def is_whole(self, row: int) -> bool:
        """Whether the thumbnail is the original: a JPEG small enough to stay unchanged."""
        uri = urlsplit(self.rows[row]["uri"]).path.lower()
        return max(self.size(row)) <= THUMBNAIL_PX and uri.endswith((".jpg", ".jpeg"))

    def is_quick(self, row: int) -> bool:
        """Whether the original can be read here, in hardly more time than the thumbnail."""
        return max(self.size(row)) <= 2 * THUMBNAIL_PX and self.original(row) is not None

    def color(self, row: int) -> Pixels:
        """The thumbnail, uint8 (H, W, 3)."""
        with Image.open(io.BytesIO(self._jpeg(row)), formats=["JPEG"]) as image:
            return np.asarray(image.convert("RGB"))

    def _jpeg(self, row: int) -> bytes:
        item = self.rows[row]
        (jpeg,) = self._parts[row].thumbnails([(item["thumb_offset"], item["thumb_size"])])
        return jpeg

    def small_grey(self, row: int) -> Grey:
        """The thumbnail, uint8 (H, W), reduced during decoding, which is enough for a hash."""
        with Image.open(io.BytesIO(self._jpeg(row)), formats=["JPEG"]) as image:
            image.draft("L", (_HASHED_PX, _HASHED_PX))
            return np.asarray(image.convert("L"))

    def grey(self, row: int) -> Grey:
        """The thumbnail, uint8 (H, W)."""
        return grey_of(self.color(row))

    @cached_property
    def points(self) -> Any:
        """A function from a row to the details of its thumbnail."""

        @lru_cache(maxsize=self.kept)
        def found(row: int) -> Points:
            return points_of(self.grey(row))

        return found

    @cached_property
    def original(self) -> Any:
        """A function from a row to its `Original`; None if it cannot be read here."""

        @lru_cache(maxsize=_ORIGINALS_KEPT)
        def found(row: int) -> Original | None:
            return read_original(local_path(self.rows[row]["uri"]), ENOUGH_PX)

        return found

    @cached_property
    def pixels_checksum(self) -> Any:
        """A function from a row to the SHA-256 of its decoded, upright original; None if unreadable."""

        @lru_cache(maxsize=_CHECKSUMS_KEPT)
        def found(row: int) -> str | None:
            original = read_original(local_path(self.rows[row]["uri"]))
            if original is None:
                return None
            opacity = b"" if original.opacity is None else original.opacity.tobytes()
            shape = repr(original.pixels.shape).encode()
            return hashlib.sha256(shape + original.pixels.tobytes() + opacity).hexdigest()

        return found

    def taken_at(self, row: int) -> float | None:
        """When the picture was taken, by its EXIF, in seconds since 1970; None if unknown."""
        path = local_path(self.rows[row]["uri"])
        try:
            with Image.open(path or "", formats=["JPEG"]) as image:
                exif = image.getexif().get_ifd(ExifTags.IFD.Exif)
            moment = datetime.strptime(str(exif[ExifTags.Base.DateTimeOriginal]), "%Y:%m:%d %H:%M:%S")
            fraction = str(exif.get(ExifTags.Base.SubsecTimeOriginal, 0)).strip() or "0"
            return moment.timestamp() + float(f"0.{fraction}")
        except Exception:  # no original, or its EXIF is missing or damaged: the time is unknown
            return None


def grey_of(pixels: Pixels) -> Grey:
    """uint8 (H, W, 3) to (H, W)."""
    return np.asarray(Image.fromarray(pixels).convert("L"))


def read_original(path: Path | None, side_px: int | None = None) -> Original | None:
    """The picture in a file, reduced to a shorter side of `side_px` if given; None if it cannot be read."""
    if path is None:
        return None
    try:
        pixels = load(path, cover_px=side_px or 2**20).pixels
        opacity = _opacity(path)
    except (ImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return Original(_reduced(pixels, side_px), None if opacity is None else _reduced(opacity, side_px))


def _opacity(path: Path) -> Pixels | None:
    """How opaque each pixel is, uint8 (H, W, 1), upright; None if all are fully opaque."""
    if path.suffix.lower() in (".jpg", ".jpeg"):
        return None
    try:
        image = Image.open(path, formats=_TRANSPARENT_FORMATS)
    except UnidentifiedImageError:
        return None
    with image:
        if not image.has_transparency_data:
            return None
        upright = ImageOps.exif_transpose(image.convert("RGBA"))
        opacity = np.asarray(upright.getchannel("A"))[:, :, None]
    return None if opacity.min() == 255 else opacity


def _reduced(pixels: Pixels, side_px: int | None) -> Pixels:
    height, width = pixels.shape[:2]
    scale = 1.0 if side_px is None else side_px / min(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR)).reshape(size[1], size[0], -1)


def local_path(uri: str) -> Path | None:
    """The file of a `file://` address; None for any other."""
    parts = urlsplit(uri)
    return Path(unquote(parts.path, errors="surrogateescape")) if parts.scheme == "file" else None
