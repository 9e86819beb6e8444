"""Read the notes that `pack` and `download` leave beside their shards: what a reader may rely on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lookalike.errors import StoreError

PACK_NOTES, DOWNLOAD_NOTES = "_pack.json", "download.json"
DOWNLOADED = "lookalike download"

# What both measure of the very bytes they write, under the names that a collection has for it.
MEASURED = frozenset({"width", "height", "sha256"})


@dataclass(frozen=True, slots=True)
class Notes:
    """What is known of the shards in a folder.

    `measured`: their `width`, `height` and `sha256` are those of the image as it lies there. `has_ids`: their
    `path`, or else `image_name`, is the id that the image has in its source, and no two have the same.
    """

    measured: bool = False
    has_ids: bool = False


def notes_beside(folder: Path) -> Notes:
    """Read Lookalike's notes in a folder; where there are none that make sense, nothing is known.

    Raises `StoreError` where a store fails: to go on without the notes would change the ids.
    """
    packed, downloaded = _read(folder / PACK_NOTES), _read(folder / DOWNLOAD_NOTES)
    return Notes(
        measured="plan" in packed or downloaded.get("made_by") == DOWNLOADED,
        has_ids=packed.get("has_ids") is True,
    )


def _read(path: Path) -> dict[str, object]:
    try:
        fields = json.loads(path.read_bytes())
    except StoreError as error:
        if not isinstance(error.__cause__, PermissionError):  # which is how some stores say: no such object
            raise
        return {}
    except (OSError, ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
