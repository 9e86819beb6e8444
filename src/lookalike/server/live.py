"""Collections as the server sees them: one state in memory, replaced when the one on disk changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lookalike.collection import MANIFEST_NAME, Collection, open_collection
from lookalike.errors import CollectionError
from lookalike.server.state import TABLES, State
from lookalike.storage.stores import is_remote

_CHECK_EVERY_S = 1.0
# While a build runs, reading its progress may take at most one part in this many of the time.
_REST_FACTOR = 10
# In a store, looking is a request a part, and may be charged for.
_CHECK_STORE_EVERY_S = 30.0
_ATTEMPTS = 3
# Two changes within this time may leave the same stamp: the clocks of file systems tick slowly.
_SETTLED_NS = 2_000_000_000

Stamp = tuple[tuple[int, int], ...]
Version = tuple[str, Stamp]


class LiveCollection:
    """Hands out the newest state; its methods block and are called from worker threads."""

    def __init__(self, collection: Collection, name: str) -> None:
        self.path, self.name = collection.path, name
        self._reading = threading.Lock()
        self._every_s = _CHECK_STORE_EVERY_S if is_remote(self.path) else _CHECK_EVERY_S
        self._next_check = time.monotonic() + self._every_s
        self._version, self._state = _read(self.path)
        self._stamp: Stamp | None = None
        self._gone: CollectionError | None = None

    def state(self) -> State:
        """The state in memory; now and then one caller is held up by looking for a newer one.

        Raises `CollectionError` while the collection is not at its place.
        """
        if time.monotonic() >= self._next_check and self._reading.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._reading.release()
        if self._gone:
            raise self._gone
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

    def state_at_hand(self) -> State | None:
        """The state in memory, without any waiting; None where it is time to look for a newer one."""
        return None if self._gone or time.monotonic() >= self._next_check else self._state

    def cached_thumbnail(self, id_: str) -> tuple[str, bytes] | None:
        """As `thumbnail`, where it takes no waiting for a disk; None where it might."""
        state = self.state_at_hand()
        return state.cached_thumbnail(id_) if state else None

    def _refresh(self) -> None:
        started = time.monotonic()
        if (self.path / MANIFEST_NAME).is_file():
            with suppress(CollectionError, OSError):  # while it is replaced, what is in memory answers
                self._read_if_changed()
                self._gone = None
        else:
            self._gone = CollectionError(
                f"the collection {self.name} is no longer at its place", "put it back, or serve another"
            )
        finished = time.monotonic()
        rest = max(self._every_s, _REST_FACTOR * (finished - started))
        self._next_check = finished + rest

    def _read_if_changed(self) -> None:
        stamp = _stamp(self.path)
        if stamp == self._stamp:
            return
        if _version(self.path) != self._version:
            self._version, self._state = _read(self.path)
        if is_remote(self.path):  # folders in a store have no time
            return
        newest_ns = max(time_ns for time_ns, _ in stamp)
        self._stamp = stamp if time.time_ns() - newest_ns > _SETTLED_NS else None


def live_collections(collections: Iterable[Collection]) -> dict[str, LiveCollection]:
    """The collections by name; of several with one name the second is `name-2`, and so on."""
    found: dict[str, LiveCollection] = {}
    for collection in collections:
        name, number = collection.name, 2
        while name in found:
            name, number = f"{collection.name}-{number}", number + 1
        found[name] = LiveCollection(collection, name)
    return found


def _read(path: Path) -> tuple[Version, State]:
    """A state, and its version from before it was read; `CollectionError` where it fails thrice."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _version(path), State.read(path)
        except (CollectionError, OSError) as error:
            if attempt == _ATTEMPTS:
                raise CollectionError(str(error)) from error
    raise AssertionError


def _version(path: Path) -> Version:
    """What tells two states apart: the rows, and what was derived of them. Reads every footer."""
    derived = (path / "derived" / f"{name}.json" for name in ("index", *TABLES))
    return open_collection(path).fingerprint(), tuple(_touched(file) for file in derived)


def _stamp(path: Path) -> Stamp:
    """What every change touches, as a part or an index that is renamed into place touches its folder."""
    return tuple(_touched(path / name) for name in (MANIFEST_NAME, "items", "derived"))


def _touched(path: Path) -> tuple[int, int]:
    """Time and number of a file; zeros where there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_ino
