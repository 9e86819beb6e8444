"""Contact sheets: many thumbnails in one picture, each with a caption, under a title."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

_CELL_PX, _GAP_PX, _TITLE_PX, _CAPTION_PX, _COLUMNS = 128, 6, 34, 16, 8
_CAPTION_LENGTH = 22  # characters that fit below a cell


def contact_sheet(jpegs: Sequence[bytes], captions: Sequence[str] = (), title: str = "") -> Image.Image:
    """Arrange JPEGs, eight in a row, in one RGB picture; an empty one leaves its cell grey."""
    columns = min(_COLUMNS, max(1, len(jpegs)))
    lines = -(-len(jpegs) // columns)
    top = _TITLE_PX if title else _GAP_PX
    across, down = _CELL_PX + _GAP_PX, _CELL_PX + _GAP_PX + (_CAPTION_PX if captions else 0)
    width = max(columns, 4 if title else 1) * across + _GAP_PX
    sheet = Image.new("RGB", (width, top + lines * down + _GAP_PX), "white")
    pen = ImageDraw.Draw(sheet)
    if title:
        pen.text((_GAP_PX, 7), title, fill="black", font=ImageFont.load_default(18))
    for place, jpeg in enumerate(jpegs):
        line, column = divmod(place, columns)
        left, upper = _GAP_PX + column * across, top + line * down
        sheet.paste(_cell(jpeg), (left, upper))
        if captions:
            text = captions[place][:_CAPTION_LENGTH]
            pen.text((left, upper + _CELL_PX + 1), text, fill="black", font=ImageFont.load_default(11))
    return sheet


def _cell(jpeg: bytes) -> Image.Image:
    if not jpeg:
        return Image.new("RGB", (_CELL_PX, _CELL_PX), "#dddddd")
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        return ImageOps.fit(image.convert("RGB"), (_CELL_PX, _CELL_PX))


def png(image: Image.Image) -> bytes:
    """Encode a picture as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
