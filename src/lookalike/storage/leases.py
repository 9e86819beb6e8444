"""One writer at a time where there are no file locks: an object says who writes, and is renewed meanwhile."""

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

# A writer that has not been heard of for so long is dead. S3 refuses requests of a machine whose clock is a
# quarter of an hour off; this has to be longer than clocks differ in practice.
LEASE_S = 600.0
RENEWAL_S = 60.0
# Two that find a dead writer at the same moment: the later one's name stands after this time.
_SETTLING_S = 1.0


@contextmanager
def lease(path: StorePath) -> Iterator[Callable[[], None]]:
    """Hold the object `path` while the block runs; `LockedError` where another holds it.

    Yields a function that raises `LockedError` once another has taken the lease over, which happens to a
    writer that was stopped, or cut off, for longer than `LEASE_S`.
    """
    name = uuid.uuid4().hex
    _take(path, name)
    done, lost = threading.Event(), threading.Event()
    renewal = threading.Thread(target=_renew, args=(path, name, done, lost), daemon=True)
    renewal.start()

    def check() -> None:
        if lost.is_set():
            raise LockedError(f"another process has taken {path} over", "wait until it has finished")

    try:
        yield check
    finally:
        done.set()
        renewal.join()
        with suppress(OSError):  # what is not removed now is dead later
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
    now = _holder(path)  # read again: some stores know no conditions
    if now.get("name") != name:
        raise _locked(path, now)


def _renew(path: StorePath, name: str, done: threading.Event, lost: threading.Event) -> None:
    while not done.wait(RENEWAL_S):
        with suppress(OSError):  # a store that is away for a moment: try again at the next renewal
            if _holder(path).get("name") != name:
                lost.set()
                return
            path.put(_claim(name))


def _claim(name: str) -> bytes:
    fields = {"name": name, "host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
    return json.dumps(fields).encode()


def _holder(path: StorePath) -> dict[str, Any]:
    """What the holder wrote; empty where there is none."""
    try:
        fields = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        fields = None
    return fields if isinstance(fields, dict) and fields else {"name": ""}


def _is_dead(path: StorePath, holder: dict[str, Any]) -> bool:
    """Whether the holder was killed on this machine, or has not been heard of for long."""
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
    """How long ago the lease was renewed, by the clock of the store and the one here."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:  # it was given back just now
        return 0


def _locked(path: StorePath, holder: dict[str, Any]) -> LockedError:
    who = f"process {holder.get('pid')} on {holder.get('host')}" if "pid" in holder else "another process"
    return LockedError(
        f"{path.parent} is being written by {who}, last heard of {_silent_s(path):.0f} s ago",
        f"wait until it has finished; one that was killed is passed over after {LEASE_S / 60:.0f} minutes, "
        f"or once {path} is removed",
    )
