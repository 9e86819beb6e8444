"""The served collections by name, and the thumbnails of their newest state."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lookalike.search.engine import Engine
from lookalike.search.live import LiveCollection
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.stores import is_remote

_CHECK_EVERY_S = 1.0
# In a store, a look takes one request for each part, and may be charged for.
_CHECK_STORE_EVERY_S = 30.0


class Served(LiveCollection):
    """A collection under its name in addresses; methods block, and run in worker threads."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(path, check_every_s=_CHECK_STORE_EVERY_S if is_remote(path) else _CHECK_EVERY_S)
        self.name = name

    def thumbnail(self, id_: str) -> tuple[str, bytes]:
        """The sha256 and JPEG of an item's picture, even while a build replaces files."""
        return self.ask(lambda engine: thumbnail(engine.snapshot, id_))

    def cached_thumbnail(self, id_: str) -> tuple[str, bytes] | None:
        """The thumbnail if it is in the page cache, else None."""
        engine = self.engine_at_hand()
        return _cached_thumbnail(engine, id_) if engine else None


def served(paths: Iterable[Path]) -> dict[str, Served]:
    """The collections by name; the second with the same name is called `name-2`, and so on.

    Raises `CollectionError` if one cannot be read.
    """
    found: dict[str, Served] = {}
    for path in paths:
        plain = path.name.removesuffix(".lookalike")
        name, number = plain, 2
        while name in found:
            name, number = f"{plain}-{number}", number + 1
        found[name] = Served(path, name)
    return found


def thumbnail(snapshot: Snapshot, id_: str) -> tuple[str, bytes]:
    """The sha256 and JPEG of an item's picture; raises `UnknownIdError`, or `ChangedError` if it is gone."""
    row = snapshot.row_of(id_)
    (sha256,), (jpeg,) = snapshot.values("sha256", [row]), snapshot.thumbnails([row])
    return sha256, jpeg


def _cached_thumbnail(engine: Engine, id_: str) -> tuple[str, bytes] | None:
    snapshot = engine.snapshot
    row = snapshot.find(id_) if snapshot.is_mapped and hasattr(os, "RWF_NOWAIT") else None
    if row is None:
        return None
    (found,) = snapshot.records([row], ("sha256", "thumb_offset", "thumb_size"))
    tar, buffer = snapshot.part_of(row).tar_path, bytearray(found["thumb_size"])
    try:
        with tar.open("rb", buffering=0) as file:
            count = os.preadv(file.fileno(), [buffer], found["thumb_offset"], os.RWF_NOWAIT)
    except OSError:
        return None
    return (found["sha256"], bytes(buffer)) if count == len(buffer) else None
