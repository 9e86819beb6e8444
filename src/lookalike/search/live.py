"""A collection that may change: hands out an engine of its newest state."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from lookalike.errors import ChangedError, CollectionError
from lookalike.search.engine import Engine
from lookalike.storage.derived import TABLES
from lookalike.storage.files import MARKS_NAME
from lookalike.storage.manifest import MANIFEST_NAME, is_collection
from lookalike.storage.row_file import write_row_file
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.stores import is_remote

# While a build runs, reading its progress may take at most one part in this many of the time.
_REST_FACTOR = 10
_ATTEMPTS = 3
# A build first rewrites parts, some hundred a second, and then adds others.
_PATIENCE_S = 10.0
# Two changes within this time may leave the same stamp, because file system clocks tick slowly. Until then
# the state itself is compared, but not more often than this.
_SETTLED_NS, _COMPARE_EVERY_S = 2_000_000_000, 0.02

Stamp = tuple[tuple[int, int], ...]
Version = tuple[str, str, Stamp]
Result = TypeVar("Result")


class LiveCollection:
    """Hands out the newest engine of the collection at `path`; safe to use from several threads."""

    def __init__(self, path: Path, *, check_every_s: float = 0.0) -> None:
        """`check_every_s` is how often to look for a change; by default at every call.

        Raises `CollectionError` if there is no collection, or it cannot be read.
        """
        self.path = path
        self._reading = threading.Lock()
        self._every_s = check_every_s
        self._stamped = [str(path / name) for name in (MANIFEST_NAME, "items", "derived", MARKS_NAME)]
        self._gone: CollectionError | None = None
        self._seen, self._settled, self._compared_at = self._stamp_now(), False, time.monotonic()
        self._version, self._engine = self._read(None)
        self._next_check = time.monotonic() + self._every_s

    def engine(self) -> Engine:
        """The engine of the newest state; now and then a caller has to wait while a newer one is looked for.

        Raises `CollectionError` while the collection is not in its place.
        """
        if time.monotonic() >= self._next_check and self._reading.acquire(blocking=self._every_s == 0):
            try:
                self._refresh()
            finally:
                self._reading.release()
        if self._gone:
            raise self._gone
        return self._engine

    def engine_at_hand(self) -> Engine | None:
        """The engine in memory, without waiting; None if it is time to look for a newer one."""
        return None if self._gone or time.monotonic() >= self._next_check else self._engine

    def ask(self, work: Callable[[Engine], Result]) -> Result:
        """Return `work(engine)` for the newest engine; if a build replaces files meanwhile, try a newer one.

        Raises `ChangedError` if, for ten seconds, no state lasts as long as the work takes.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return work(self.engine())
            except ChangedError:
                if time.monotonic() > deadline:
                    raise
            self.newest()

    def newest(self) -> Engine:
        """The engine of the state of this moment; waits until it is read. Raises as `engine`."""
        with self._reading:
            self._settled, self._compared_at = False, -math.inf
            self._refresh()
        return self.engine()

    def _refresh(self) -> None:
        """Look for a change, read the new state if there is one, and plan the next look."""
        stamp, started = self._stamp_now(), time.monotonic()
        recent = started < self._compared_at + _COMPARE_EVERY_S
        if stamp == self._seen and (self._settled or recent) and not self._gone:
            self._next_check = started + self._every_s
            return
        if is_collection(self.path):
            with suppress(CollectionError, OSError):  # while it is being replaced, answer from memory
                self._read_if_changed()
                self._seen, self._settled = stamp, _is_old(stamp) and not is_remote(self.path)
                self._gone = None
        else:
            name = self.path.name.removesuffix(".lookalike")
            self._gone = CollectionError(
                f"the collection {name} is no longer at its place", f"put it back at {self.path}"
            )
        self._compared_at = time.monotonic()
        rest = _REST_FACTOR * (self._compared_at - started) if self._every_s else 0
        self._next_check = self._compared_at + max(self._every_s, rest)

    def _read_if_changed(self) -> None:
        if self._version_now(self._engine) != self._version:
            self._version, self._engine = self._read(self._engine)

    def _read(self, before: Engine | None) -> tuple[Version, Engine]:
        """Read an engine, and the version from before it was read; raises if that fails three times."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                stamp = self._derived_stamp()
                snapshot = Snapshot.open(self.path, before.snapshot if before else None)
                if not snapshot.is_mapped:
                    write_row_file(self.path, snapshot.parts)
                    snapshot = Snapshot.open(self.path, snapshot)
                return (snapshot.fingerprint, _labels_of(snapshot), stamp), Engine(snapshot, before)
            except (CollectionError, OSError):
                if attempt == _ATTEMPTS:
                    raise
        raise AssertionError

    def _version_now(self, engine: Engine) -> Version:
        """What identifies a state: the rows, the labels that people gave, and what was derived."""
        derived = self._derived_stamp()
        fingerprint = Snapshot.open(self.path, engine.snapshot).fingerprint
        return fingerprint, _labels_of(engine.snapshot, now=True), derived

    def _derived_stamp(self) -> Stamp:
        return tuple(_touched(str(self.path / "derived" / f"{name}.json")) for name in ("index", *TABLES))

    def _stamp_now(self) -> Stamp:
        """A stamp that every change alters: renaming a part or an index into place alters its folder."""
        return tuple(map(_touched, self._stamped))


def _labels_of(snapshot: Snapshot, *, now: bool = False) -> str:
    """The key of the labels that people gave; damaged marks are an error only for what reads a label."""
    with suppress(CollectionError):
        return snapshot.newest_labels_key if now else snapshot.labels_key
    return "damaged"


def _is_old(stamp: Stamp) -> bool:
    """Whether all changes are old enough that a new one would leave a different stamp."""
    return time.time_ns() - max(time_ns for time_ns, _ in stamp) > _SETTLED_NS


def _touched(path: str) -> tuple[int, int]:
    """A file's modification time and inode; zeros if it does not exist."""
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_ino
