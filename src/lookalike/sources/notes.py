"""Reads the notes that `pack` and `download` leave beside their shards, for readers to rely on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lookalike.errors import StoreError

PACK_NOTES, DOWNLOAD_NOTES = "_pack.json", "download.json"
DOWNLOADED = "lookalike download"

# The measures that both take of the bytes they write, under the collection's own names.
MEASURED = frozenset({"width", "height", "sha256"})


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes about the shards in a folder.

    `measured`: their `width`, `height` and `sha256` are those of the stored image. `has_ids`: their
    `path`, or else `image_name`, is the image's id in its source, and no two are equal.
    """

    measured: bool = False
    has_ids: bool = False


def notes_beside(folder: Path) -> Notes:
    """Read Lookalike's notes in a folder; without valid ones, nothing is known.

    Raises `StoreError` if a store fails, because continuing without the notes would change the ids.
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
        if not isinstance(error.__cause__, PermissionError):  # some stores report a missing object like this
            raise
        return {}
    except (OSError, ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
