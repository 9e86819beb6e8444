"""Draws the map: thumbnails where there is room, dots below them, coloured by a column."""

from __future__ import annotations

import colorsys
import io
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lookalike.errors import LookalikeError
from lookalike.storage.columns import column_names
from lookalike.storage.derived import TABLES, read_derived
from lookalike.storage.snapshot import Snapshot

_MARGIN_PX, _THUMBNAIL_PX, _DOT_PX = 60, 56, 2
# The commonest values have their own colours; the others are grey.
_MOST_COLOURS = 12
_GREY = (150, 150, 150)
Colour = tuple[int, int, int]


def draw_map(
    snapshot: Snapshot,
    rows: NDArray[np.int64],
    places: NDArray[np.float32],
    *,
    color: str | None = None,
    size_px: int = 1600,
    thumbnails: bool = True,
) -> Image.Image:
    """Draw the items in `rows` (N,), whose `places` (N, 2) go from -1 to 1, `size_px` a side.

    Each item is a dot, coloured by the column `color`, of the items or of the clusters. In each cell of a
    grid, the item nearest to the middle shows its thumbnail, framed in its colour. Raises
    `LookalikeError` for an unknown column.
    """
    if size_px < 4 * _MARGIN_PX:
        raise LookalikeError(f"a map of {size_px} pixels is too small", f"use at least {4 * _MARGIN_PX}")
    values = _values(snapshot, rows, color)
    colours = _colours(values)
    sheet = Image.new("RGB", (size_px, size_px), "white")
    pen = ImageDraw.Draw(sheet)
    at = _pixels(places, size_px)
    for (x, y), value in zip(at.tolist(), values, strict=True):
        box = (x - _DOT_PX, y - _DOT_PX, x + _DOT_PX, y + _DOT_PX)
        pen.ellipse(box, fill=colours.get(value, _GREY))
    if thumbnails:
        shown = _shown(at)
        for place, jpeg in zip(shown, snapshot.thumbnails(rows[shown]), strict=True):
            if jpeg:
                _paste(sheet, jpeg, at[place].tolist(), colours.get(values[place], _GREY))
    _legend(pen, colours)
    return sheet


def _values(snapshot: Snapshot, rows: NDArray[np.int64], color: str | None) -> list[str | None]:
    """The value of the column for each item, as text."""
    if color is None:
        return [None] * len(rows)
    values = _column(snapshot, color).take(pa.array(rows)).to_pylist()
    return [None if value is None else str(value) for value in values]


def _column(snapshot: Snapshot, name: str) -> pa.ChunkedArray:
    """A column of all rows, stored or derived; raises `LookalikeError` if it is missing or stale."""
    if name in snapshot.schema.names:
        return snapshot.column(name)
    for table, columns in {**TABLES, "clusters": {**TABLES["clusters"], "cluster": "cluster"}}.items():
        # Includes columns derived after the map was made.
        made = read_derived(snapshot.state, table) if name in columns else None
        if made is not None:
            return made.rows[columns[name]]
    raise LookalikeError(
        f"{snapshot.root} has no column {name}", f"it has: {column_names(snapshot.all_columns)}"
    )


def _colours(values: Sequence[str | None]) -> dict[str | None, Colour]:
    """A colour for each of the commonest values, spread over the hues."""
    common = [value for value, _ in Counter(values).most_common() if value is not None][:_MOST_COLOURS]
    colours: dict[str | None, Colour] = {}
    for place, value in enumerate(sorted(common)):
        red, green, blue = colorsys.hls_to_rgb(place / len(common), 0.45, 0.75)
        colours[value] = (round(red * 255), round(green * 255), round(blue * 255))
    return colours


def _pixels(places: NDArray[np.float32], size_px: int) -> NDArray[np.int64]:
    """The places (N, 2) in pixels, x to the right and y downwards."""
    half = size_px / 2 - _MARGIN_PX
    return np.asarray(np.rint(places * (half, -half) + size_px / 2), np.int64)


def _shown(places: NDArray[np.int64]) -> list[int]:
    """The row nearest to the middle of each grid cell that has any."""
    cells = places // _THUMBNAIL_PX
    offsets = ((places % _THUMBNAIL_PX - _THUMBNAIL_PX // 2) ** 2).sum(axis=1)
    best: dict[tuple[int, int], int] = {}
    for row in np.argsort(offsets, kind="stable").tolist():
        best.setdefault((int(cells[row, 0]), int(cells[row, 1])), row)
    return sorted(best.values())


def _paste(sheet: Image.Image, jpeg: bytes, place: Sequence[int], colour: Colour) -> None:
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        small = image.convert("RGB")
    small.thumbnail((_THUMBNAIL_PX - 6, _THUMBNAIL_PX - 6))
    left, top = place[0] - small.width // 2, place[1] - small.height // 2
    frame = (left - 2, top - 2, left + small.width + 1, top + small.height + 1)
    ImageDraw.Draw(sheet).rectangle(frame, fill=colour)
    sheet.paste(small, (left, top))


def _legend(pen: ImageDraw.ImageDraw, colours: dict[str | None, Colour]) -> None:
    for line, (value, colour) in enumerate(colours.items()):
        y = 8 + 20 * line
        pen.rectangle((8, y + 2, 20, y + 14), fill=colour)
        pen.text((26, y), str(value)[:40], fill="black", font=ImageFont.load_default(14))
