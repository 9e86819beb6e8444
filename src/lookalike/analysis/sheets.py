"""Contact sheets: many thumbnails and a title on one picture."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from lookalike.analysis.clusters import NAME, members
from lookalike.collection import Collection
from lookalike.errors import LookalikeError
from lookalike.storage.derived import read_derived
from lookalike.storage.files import write_bytes

_CELL_PX, _GAP_PX, _TITLE_PX, _COLUMNS = 128, 6, 34, 8


def draw_sheets(collection: Collection, folder: str | Path, most: int = 40) -> list[Path]:
    """Write a PNG for each cluster with the thumbnails nearest to its centre, named NUMBER-NAME.png.

    Raises `LookalikeError` where the collection has not been clustered, or no thumbnails.
    """
    made = read_derived(collection, NAME)
    if made is None:
        raise LookalikeError(
            f"{collection.path} has no clusters", f"make them with: lookalike cluster {collection.path}"
        )
    paths = []
    for one in made.facts["clusters"]:
        ids = members(made, one["cluster"], most)
        thumbnails = collection.thumbnails(ids)
        if not thumbnails:
            raise LookalikeError(f"the items of {collection.path} have no pictures to draw")
        title = f"{one['name']}: {one['size']:,} images, cohesion {one['cohesion']:.2f}"
        sheet = contact_sheet(title, [thumbnails[id_] for id_ in ids if id_ in thumbnails])
        name = re.sub(r"[^\w]+", "-", one["name"]).strip("-")[:60]
        paths.append(Path(folder) / f"{one['cluster']:03d}-{name}.png")
        write_bytes(paths[-1], sheet)
    return paths


def contact_sheet(title: str, thumbnails: Sequence[bytes]) -> bytes:
    """JPEGs side by side under a title, as a PNG."""
    columns = min(_COLUMNS, len(thumbnails))
    rows = -(-len(thumbnails) // columns)
    step = _CELL_PX + _GAP_PX
    sheet = Image.new("RGB", (max(columns, 4) * step + _GAP_PX, _TITLE_PX + rows * step + _GAP_PX), "white")
    ImageDraw.Draw(sheet).text((_GAP_PX, 7), title, fill="black", font=ImageFont.load_default(18))
    for place, jpeg in enumerate(thumbnails):
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
            cell = ImageOps.fit(image.convert("RGB"), (_CELL_PX, _CELL_PX))
        row, column = divmod(place, columns)
        sheet.paste(cell, (_GAP_PX + column * step, _TITLE_PX + row * step))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
