"""The collection as the server sees it: one state in memory, replaced when the one on disk changes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

from lookalike.collection import Collection, open_collection
from lookalike.errors import CollectionError
from lookalike.parts import Part
from lookalike.search import Snapshot
from lookalike.server.problems import Problem

_CHECK_EVERY_S = 1.0
# While a build runs, reading its progress may take at most one part in this many of the time.
_REST_FACTOR = 10
_ATTEMPTS = 3
# Comparing spellings is slow: a hundred thousand ids would take seconds.
_MAX_SPELLINGS = 20_000


@dataclass(frozen=True, slots=True)
class Tar:
    """A file of thumbnails as it was when its rows were read."""

    path: Path
    identity: tuple[int, int, int]  # inode, time and size: a new file of the same name has another

    @staticmethod
    def of(part: Part) -> Tar:
        path = part.thumbnails_path()
        return Tar(path, _identity(path))

    def read(self, offset: int, size: int) -> bytes | None:
        """The bytes of one thumbnail; None where the file is no longer the one that rows refer to."""
        try:
            with self.path.open("rb") as file:
                if _identity(file.fileno()) != self.identity:
                    return None
                file.seek(offset)
                return file.read(size)
        except OSError:
            return None


@dataclass(frozen=True, slots=True)
class State:
    """Rows and vectors in memory, and the files that their thumbnails are in."""

    snapshot: Snapshot
    tars: Mapping[Part, Tar]

    def row(self, id_: str) -> dict[str, Any]:
        """The columns of an item; a `Problem` with the ids spelled most like it if there is none."""
        return self._row_and_part(id_)[0]

    def thumbnail(self, id_: str) -> tuple[str, bytes | None]:
        """The sha256 of the item's picture, and its JPEG as `Tar.read` has it."""
        row, part = self._row_and_part(id_)
        return row["sha256"], self.tars[part].read(row["thumb_offset"], row["thumb_size"])

    def _row_and_part(self, id_: str) -> tuple[dict[str, Any], Part]:
        place = self.snapshot.row_of.get(id_)
        if place is None:
            spellings = list(islice(self.snapshot.row_of, _MAX_SPELLINGS))
            nearest = get_close_matches(id_, spellings, n=3, cutoff=0.4)
            hint = {"hint": f"did you mean {' or '.join(nearest)}?"} if nearest else {}
            detail = f"{self.snapshot.collection.name} has no item {id_!r}"
            raise Problem("unknown-item", detail, **hint, nearest=nearest)
        return self.snapshot.rows([place])[0]


class LiveCollection:
    """Hands out the newest state; its methods block and are called from worker threads."""

    def __init__(self, collection: Collection) -> None:
        self.path, self.name = collection.path, collection.name
        self._state = _read(self.path)
        self._reading = threading.Lock()
        self._next_check = time.monotonic() + _CHECK_EVERY_S

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
            sha256, jpeg = self.state().thumbnail(id_)
            if jpeg is not None:
                return sha256, jpeg
            with self._reading:
                self._refresh()
        raise CollectionError(f"{self.path}: the thumbnail of {id_} is missing", "verify the collection")

    def _refresh(self) -> None:
        started = time.monotonic()
        try:
            if _fingerprint(self.path) != self._state.snapshot.fingerprint:
                self._state = _read(self.path)
        except (CollectionError, OSError):
            pass  # it is being replaced: what is in memory answers until it can be read again
        finished = time.monotonic()
        rest = max(_CHECK_EVERY_S, _REST_FACTOR * (finished - started))
        self._next_check = finished + rest


def _fingerprint(path: Path) -> str:
    return open_collection(path).fingerprint()


def _read(path: Path) -> State:
    """Read rows, vectors and files that belong together; `CollectionError` where it fails thrice."""
    for _ in range(_ATTEMPTS):
        try:
            snapshot = Snapshot.of(open_collection(path))
            tars = {part: Tar.of(part) for part in set(snapshot.parts)}
            if _fingerprint(path) == snapshot.fingerprint:
                return State(snapshot, tars)
        except (CollectionError, OSError) as error:
            failure = error
        else:
            failure = CollectionError(f"{path} changes faster than it can be read")
    raise CollectionError(str(failure)) from failure


def _identity(file: Path | int) -> tuple[int, int, int]:
    status = os.stat(file)
    return status.st_ino, status.st_mtime_ns, status.st_size
