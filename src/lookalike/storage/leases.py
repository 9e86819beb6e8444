"""One writer at a time without file locks: an object names the writer, who keeps renewing it."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lookalike.errors import LockedError
from lookalike.storage.files import storage_error
from lookalike.storage.stores import StorePath

# A writer that has not renewed its lease for this long is dead. S3 refuses requests from machines whose clock
# is a quarter of an hour off; this has to be longer than clocks differ in practice.
LEASE_S = 600.0
RENEWAL_S = 60.0
# If two find a dead writer at the same moment, the later name stands after this time.
_SETTLING_S = 1.0


@contextmanager
def lease(path: StorePath) -> Iterator[Callable[[], None]]:
    """Hold the object `path` while the block runs; raises `LockedError` if another process holds it.

    Yields a function that raises `LockedError` once another process has taken over the lease, which happens
    to a writer that was stopped or cut off for longer than `LEASE_S`.
    """
    name = uuid.uuid4().hex
    _take(path, name)
    done, lost = threading.Event(), threading.Event()
    renewal = threading.Thread(target=_renew, args=(path, name, done, lost), daemon=True)
    renewal.start()

    def check() -> None:
        if lost.is_set():
            raise LockedError(f"another process has taken over {path}", "wait until it has finished")

    try:
        yield check
    finally:
        done.set()
        renewal.join()
        with suppress(OSError):  # if this fails, the lease expires later
            if _holder(path).get("name") == name:
                path.unlink(missing_ok=True)


def _take(path: StorePath, name: str) -> None:
    holder = _holder(path)
    if holder:
        if not _is_dead(path, holder):
            raise _locked(path, holder)
        path.unlink(missing_ok=True)
    try:
        path.put(_claim(name), create=True)
    except FileExistsError:
        raise _locked(path, _holder(path)) from None
    except OSError as error:
        raise storage_error(path, error) from error
    if holder:
        time.sleep(_SETTLING_S)
    now = _holder(path)  # read again: some stores cannot create conditionally
    if now.get("name") != name:
        raise _locked(path, now)


def _renew(path: StorePath, name: str, done: threading.Event, lost: threading.Event) -> None:
    while not done.wait(RENEWAL_S):
        with suppress(OSError):  # the store is unreachable for a moment: try again at the next renewal
            if _holder(path).get("name") != name:
                lost.set()
                return
            path.put(_claim(name))


def _claim(name: str) -> bytes:
    fields = {"name": name, "host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
    return json.dumps(fields).encode()


def _holder(path: StorePath) -> dict[str, Any]:
    """What the holder wrote; empty if there is none."""
    try:
        fields = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        fields = None
    return fields if isinstance(fields, dict) and fields else {"name": ""}


def _is_dead(path: StorePath, holder: dict[str, Any]) -> bool:
    """Whether the holder was killed on this machine, or has not renewed the lease for long."""
    pid = holder.get("pid")
    if os.name == "posix" and holder.get("host") == socket.gethostname() and type(pid) is int and pid > 0:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass
    return _silent_s(path) > LEASE_S


def _silent_s(path: StorePath) -> float:
    """Seconds since the lease was renewed, by the store's clock and ours."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:  # it was released just now
        return 0


def _locked(path: StorePath, holder: dict[str, Any]) -> LockedError:
    who = f"process {holder.get('pid')} on {holder.get('host')}" if "pid" in holder else "another process"
    return LockedError(
        f"{path.parent} is being written by {who}, last heard of {_silent_s(path):.0f} s ago",
        f"wait until it has finished; a killed process loses its lock after {LEASE_S / 60:.0f} minutes, "
        f"or once {path} is removed",
    )
