"""The collection as the server sees it: one state in memory, replaced when the one on disk changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.collection import Collection, open_collection
from lookalike.errors import CollectionError
from lookalike.parts import Part, read_ranges
from lookalike.query import unknown_id
from lookalike.search import Snapshot
from lookalike.stores import each, is_remote

_CHECK_EVERY_S = 1.0
# While a build runs, reading its progress may take at most one part in this many of the time.
_REST_FACTOR = 10
# In a store, looking is a request a part, and may be charged for.
_CHECK_STORE_EVERY_S = 30.0
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class State:
    """Rows and vectors in memory, and the files that their thumbnails are in."""

    snapshot: Snapshot
    tars: Mapping[Part, Path]

    def row(self, id_: str) -> dict[str, Any]:
        """The columns of an item; `UnknownIdError` if there is none."""
        return self._row_and_part(id_)[0]

    def thumbnail(self, id_: str) -> tuple[str, bytes]:
        """The sha256 of the item's picture, and its JPEG; `CollectionError` where the tar is replaced."""
        row, part = self._row_and_part(id_)
        (jpeg,) = read_ranges(self.tars[part], [(row["thumb_offset"], row["thumb_size"])])
        return row["sha256"], jpeg

    def _row_and_part(self, id_: str) -> tuple[dict[str, Any], Part]:
        place = self.snapshot.row_of.get(id_)
        if place is None:
            raise unknown_id(self.snapshot.collection, id_, list(self.snapshot.row_of))
        return self.snapshot.rows([place])[0]


class LiveCollection:
    """Hands out the newest state; its methods block and are called from worker threads."""

    def __init__(self, collection: Collection) -> None:
        self.path, self.name = collection.path, collection.name
        self._state = _read(self.path)
        self._reading = threading.Lock()
        self._every_s = _CHECK_STORE_EVERY_S if is_remote(self.path) else _CHECK_EVERY_S
        self._next_check = time.monotonic() + self._every_s

    def state(self) -> State:
        """The state in memory; now and then one caller is held up by looking for a newer one."""
        if time.monotonic() >= self._next_check and self._reading.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._reading.release()
        return self._state

    def thumbnail(self, id_: str) -> tuple[str, bytes]:
        """The sha256 of the item's picture, and its JPEG; also while a build replaces files."""
        for _ in range(_ATTEMPTS):
            try:
                return self.state().thumbnail(id_)
            except CollectionError:
                with self._reading:
                    self._refresh()
        return self.state().thumbnail(id_)

    def _refresh(self) -> None:
        started = time.monotonic()
        try:
            if _fingerprint(self.path) != self._state.snapshot.fingerprint:
                self._state = _read(self.path)
        except (CollectionError, OSError):
            pass  # it is being replaced: what is in memory answers until it can be read again
        finished = time.monotonic()
        rest = max(self._every_s, _REST_FACTOR * (finished - started))
        self._next_check = finished + rest


def _fingerprint(path: Path) -> str:
    return open_collection(path).fingerprint()


def _read(path: Path) -> State:
    """Read rows, vectors and files that belong together; `CollectionError` where it fails thrice."""
    for _ in range(_ATTEMPTS):
        try:
            snapshot = Snapshot.of(open_collection(path))
            parts = list(dict.fromkeys(snapshot.parts))
            tars = dict(zip(parts, each(parts, Part.thumbnails_path, path), strict=True))
            if _fingerprint(path) == snapshot.fingerprint:
                return State(snapshot, tars)
        except (CollectionError, OSError) as error:
            failure = error
        else:
            failure = CollectionError(f"{path} changes faster than it can be read")
    raise CollectionError(str(failure)) from failure
