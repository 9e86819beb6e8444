"""Reads the directories of a TIFF, which is EXIF's format, with limits against damaged data.

TIFF 6.0, section 2; EXIF 2.32, section 4.6.2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ASCII, SHORT, LONG, RATIONAL, UTF8 = 2, 3, 4, 5, 129

# Cameras write some 60 entries a directory, and texts of some 30 bytes: anything above is damage.
MAX_ENTRIES, MAX_VALUE_BYTES = 512, 256

_SIZES = {ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, UTF8: 1}


@dataclass(frozen=True, slots=True)
class Tiff:
    """A TIFF in memory; `order` is its byte order, `<` or `>`; `start` is its first directory."""

    data: bytes
    order: str
    start: int

    @staticmethod
    def of(data: bytes) -> Tiff | None:
        """Read the TIFF in these bytes; None if they are too short, not a TIFF, or a BigTIFF."""
        order = {b"II": "<", b"MM": ">"}.get(data[:2])
        if order is None or len(data) < 8 or data[2:4] in (b"+\0", b"\0+"):
            return None
        return Tiff(data, order, *struct.unpack_from(f"{order}I", data, 4))

    def values(self, at: int, wanted: Mapping[int, int]) -> dict[int, Any]:
        """The values of the `wanted` tags in the directory at `at`, each in its type.

        Text is bytes, numbers are a tuple; of two values for one tag, the first counts. Values longer than
        `MAX_VALUE_BYTES`, or outside the data, are left out.
        """
        found: dict[int, Any] = {}
        for tag, kind, count, field in self._entries(at):
            asked = wanted.get(tag)
            if asked is not None and tag not in found and (kind == asked or (kind, asked) == (UTF8, ASCII)):
                value = self._value(kind, count, field)
                if value is not None:
                    found[tag] = value
        return found

    def _entries(self, at: int) -> Iterator[tuple[int, int, int, bytes]]:
        """The tag, type, count and last four bytes of each entry that is actually there."""
        if not 8 <= at <= len(self.data) - 2:
            return iter(())
        (count,) = struct.unpack_from(f"{self.order}H", self.data, at)
        count = min(count, (len(self.data) - at - 2) // 12, MAX_ENTRIES)
        return struct.iter_unpack(f"{self.order}HHI4s", self.data[at + 2 : at + 2 + 12 * count])

    def _value(self, kind: int, count: int, field: bytes) -> Any:
        """The value of an entry: in `field` itself if it has at most four bytes, else where that points."""
        size = count * _SIZES[kind]
        if not 0 < size <= MAX_VALUE_BYTES:
            return None
        if size > 4:
            (place,) = struct.unpack(f"{self.order}I", field)
            field = self.data[place : place + size]
        if len(field) < size:
            return None
        if kind in (ASCII, UTF8):
            return field[:size]
        code = {SHORT: "H", LONG: "I", RATIONAL: "II"}[kind]
        return struct.unpack_from(f"{self.order}{code * count}", field)
