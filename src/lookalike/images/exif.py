"""When, where and with which camera a picture was taken (EXIF 2.32)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image

from lookalike.images.tiff import ASCII, LONG, RATIONAL, SHORT, Tiff

_Base, _Gps = ExifTags.Base, ExifTags.GPS
# The tags to read in each directory, and their types.
_MAIN: dict[int, int] = {
    _Base.Make: ASCII,
    _Base.Model: ASCII,
    ExifTags.IFD.Exif: LONG,
    ExifTags.IFD.GPSInfo: LONG,
}
# Times with their fractions of a second. `DateTime` is missing, because it says when the file was changed.
_TIMES = (
    (_Base.DateTimeOriginal, _Base.SubsecTimeOriginal),
    (_Base.DateTimeDigitized, _Base.SubsecTimeDigitized),
)
_DETAILS: dict[int, int] = {tag: ASCII for pair in _TIMES for tag in pair}
_PLACE: dict[int, int] = {
    _Gps.GPSLatitudeRef: ASCII,
    _Gps.GPSLatitude: RATIONAL,
    _Gps.GPSLongitudeRef: ASCII,
    _Gps.GPSLongitude: RATIONAL,
}

# "2019:07:31 18:04:09"; some programs write dashes.
_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Exif:
    """When, where and with which camera a picture was taken; None for what is unknown.

    `taken_at` is the local time at the camera, without a zone; `latitude` in [-90, 90] and `longitude` in
    [-180, 180] are degrees, south and west negative; `camera` is its make and model.
    """

    taken_at: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None
    camera: str | None = None


def read_exif(block: bytes) -> Exif | None:
    """Read an EXIF block, with or without its header `Exif`; None if it says nothing of interest.

    Damage is never an error: what cannot be read is unknown.
    """
    tiff = Tiff.of(block.removeprefix(b"Exif\0\0"))
    if tiff is None:
        return None
    main = tiff.values(tiff.start, _MAIN)
    details = tiff.values(main.get(ExifTags.IFD.Exif, (0,))[0], _DETAILS)
    place = tiff.values(main.get(ExifTags.IFD.GPSInfo, (0,))[0], _PLACE)
    found = Exif(
        _taken_at(details),
        _degrees(place, _Gps.GPSLatitude, _Gps.GPSLatitudeRef, "NS", 90),
        _degrees(place, _Gps.GPSLongitude, _Gps.GPSLongitudeRef, "EW", 180),
        _camera(_text(main.get(_Base.Make)), _text(main.get(_Base.Model))),
    )
    return None if found == Exif() else found


def orientation_of(block: bytes) -> int | None:
    """The orientation in an EXIF block; None without one, or if it is not a SHORT (EXIF 2.32, 4.6.4)."""
    tiff = Tiff.of(block.removeprefix(b"Exif\0\0"))
    found = tiff.values(tiff.start, {_Base.Orientation: SHORT}) if tiff else {}
    return int(found[_Base.Orientation][0]) if found else None


def exif_block(image: Image.Image) -> bytes:
    """The EXIF block of an image that Pillow has opened; empty if there is none or it is a TIFF itself."""
    block = image.info.get("exif")
    if isinstance(block, bytes):
        return block
    profile = image.info.get("Raw profile type exif")  # the text chunk of a PNG by ImageMagick
    try:
        return bytes.fromhex("".join(profile.split("\n")[3:])) if isinstance(profile, str) else b""
    except ValueError:
        return b""


def _taken_at(details: Mapping[int, Any]) -> datetime | None:
    times = (_time(_text(details.get(tag)), _text(details.get(fraction))) for tag, fraction in _TIMES)
    return next((one for one in times if one), None)


def _time(text: str, fraction: str) -> datetime | None:
    """The written time, with the digits of its fraction of a second; None if it is not a valid time."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    micros = int(fraction.ljust(6, "0")[:6]) if fraction.isascii() and fraction.isdigit() else 0
    try:
        return datetime(year, month, day, hour, minute, second, micros)
    except ValueError:  # 0000:00:00, say
        return None


def _degrees(place: Mapping[int, Any], tag: int, side_tag: int, sides: str, limit: int) -> float | None:
    """Convert degrees, minutes and seconds to degrees; `sides` are the letters for positive and negative."""
    numbers, side = place.get(tag, ()), _text(place.get(side_tag)).upper()
    if len(numbers) != 6 or side not in (*sides,) or 0 in numbers[1::2]:
        return None
    parts = zip(numbers[::2], numbers[1::2], (1, 60, 3600), strict=True)
    value: float = sum(over / under / unit for over, under, unit in parts)
    if value > limit:
        return None
    return 0.0 - value if side == sides[1] else value


def _camera(make: str, model: str) -> str | None:
    """The make and the model; only the model if it begins with the make, or with a word of it."""
    whole, by = model.casefold(), make.casefold()
    said = whole.startswith(by) or whole.split(" ")[0] in by.split()
    return (model if said else f"{make} {model}").strip() or None


def _text(value: bytes | None) -> str:
    """Text up to its first NUL, on one line, without surrounding blanks or unprintable characters."""
    data = (value or b"").strip(b"\0 ").split(b"\0")[0]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
