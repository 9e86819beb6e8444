"""Contact sheets: many thumbnails and a title in one picture."""

from __future__ import annotations

import re
from pathlib import Path

from lookalike.analysis.clusters import NAME, members
from lookalike.errors import LookalikeError, call
from lookalike.images.contact import contact_sheet, png
from lookalike.storage.derived import read_derived
from lookalike.storage.files import write_bytes
from lookalike.storage.snapshot import Snapshot


def draw_sheets(snapshot: Snapshot, folder: str | Path, most: int = 40) -> list[Path]:
    """Write a PNG for each cluster with the thumbnails nearest to its centre, named NUMBER-NAME.png.

    Raises `LookalikeError` if the collection has no clusters, or no thumbnails.
    """
    made = read_derived(snapshot.state, NAME)
    if made is None:
        raise LookalikeError(
            f"{snapshot.root} has no clusters",
            f"make them with: {call(snapshot.root, 'cluster(write=True)')}",
        )
    paths = []
    for one in made.facts["clusters"]:
        ids = members(made, one["cluster"], most)
        thumbnails = [jpeg for jpeg in snapshot.thumbnails(snapshot.rows_of(ids)) if jpeg]
        if not thumbnails:
            raise LookalikeError(f"the items of {snapshot.root} have no pictures to draw")
        title = f"{one['name']}: {one['size']:,} images, cohesion {one['cohesion']:.2f}"
        sheet = png(contact_sheet(thumbnails, title=title))
        name = re.sub(r"[^\w]+", "-", one["name"]).strip("-")[:60]
        paths.append(Path(folder) / f"{one['cluster']:03d}-{name}.png")
        write_bytes(paths[-1], sheet)
    return paths
