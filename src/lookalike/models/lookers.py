"""Looking at files in processes: where there are many cores, threads wait for each other's interpreter lock.

A picture takes decoders 2 ms without the lock and Python some 0.3 ms with it, so a few threads keep the lock
busy. Here each thread has a process of its own, which decodes, resizes and makes thumbnails. Files and pixels
go through memory that both share, the rest through pipes. What a process does not answer, because it ended
or the file is damaged or large, is done here: no result depends on where it was made.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from lookalike.images.memory import DECODING
from lookalike.models.looking import Seen, look_at
from lookalike.models.spec import ModelSpec

# With fewer cores processes gain nothing, and with fewer files they have hardly started. Each takes 20 MB.
_MANY_CORES, _MANY_FILES, _MOST_PROCESSES = 6, 1000, 16

# Shared with each process; files and pixels of one message fit in.
_SHARED_BYTES = 16_000_000
_MOST_FILES = 16

Outcome = Seen | str


class Lookers:
    """Looks at files as `look_at` does, in processes where there are many cores; call `close` at the end.

    Safe to call from `threads` threads at once. There are as many processes, but at most one a core.
    """

    def __init__(self, spec: ModelSpec, threads: int, *, max_megapixels: float, thumbnails: bool) -> None:
        self._spec = spec
        self._options: dict[str, Any] = {"max_megapixels": max_megapixels, "thumbnails": thumbnails}
        cores = min(threads, _cores(), _MOST_PROCESSES)
        self._most = cores if cores >= _MANY_CORES and _can_share() else 0
        self._pixel_bytes = 3 * spec.size_px**2
        self._limit_bytes = DECODING.limit_bytes // max(1, threads)
        self._idle: list[_Looker] = []
        self._lock = threading.Lock()
        self._started = self._files = 0

    def __call__(self, files: Sequence[bytes]) -> list[Outcome]:
        looker = self._taken(len(files))
        if looker is None:
            return self._here(files)
        found: list[Outcome] = []
        for some in _messages(files, self._pixel_bytes):
            answers = looker.ask(some)
            found += [answer or self._here([file])[0] for answer, file in zip(answers, some, strict=True)]
        with self._lock:
            if looker.is_alive:
                self._idle.append(looker)
        return found

    def close(self) -> None:
        """End the processes; call it when no thread is in a call."""
        while self._idle:
            self._idle.pop().close()
        self._most = 0

    def _here(self, files: Sequence[bytes]) -> list[Outcome]:
        return look_at(files, self._spec, **self._options)

    def _taken(self, count: int) -> _Looker | None:
        """An idle process, or a new one; None if there is to be none."""
        with self._lock:
            self._files += count
            if self._files <= _MANY_FILES or not self._most:
                return None
            if self._idle:
                return self._idle.pop()
            if self._started == self._most:
                return None
            self._started += 1
        try:
            return _Looker(self._spec, self._options, self._limit_bytes)
        except OSError:  # no room for another process
            return None


class _Looker:
    """One process, and the memory that it shares with this one."""

    def __init__(self, spec: ModelSpec, options: dict[str, Any], limit_bytes: int) -> None:
        shared = os.memfd_create("lookalike")
        try:
            os.ftruncate(shared, _SHARED_BYTES)
            self._memory = mmap.mmap(shared, _SHARED_BYTES)
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import answer; answer({shared})"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=[shared],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        finally:
            os.close(shared)
        assert self._process.stdin and self._process.stdout
        self._to = Connection(os.dup(self._process.stdin.fileno()), readable=False)
        self._from = Connection(os.dup(self._process.stdout.fileno()), writable=False)
        self._process.stdin.close()
        self._process.stdout.close()
        self.is_alive = True
        self._size_px = spec.size_px
        self._setup: Any = spec, options, limit_bytes

    def ask(self, files: Sequence[bytes]) -> list[Seen | None]:
        """What is seen of each file; None for each that the process could not answer."""
        if not self.is_alive or sum(map(len, files)) + len(files) * 3 * self._size_px**2 > _SHARED_BYTES:
            return [None] * len(files)
        at = 0
        for file in files:
            self._memory[at : at + len(file)] = file
            at += len(file)
        try:
            self._to.send((self._setup, [len(file) for file in files]))
            answers = self._from.recv()
        except (OSError, EOFError):
            self.close()
            return [None] * len(files)
        self._setup = None  # it is told once
        return [one and self._seen(*one) for one in answers]

    def _seen(self, place: int, seen: dict[str, Any]) -> Seen:
        shape = self._size_px, self._size_px, 3
        return Seen(**seen, pixels=np.ndarray(shape, np.uint8, self._memory, place).copy())

    def close(self) -> None:
        """Let the process end, which it does when nobody can ask any more, and wait for it."""
        self.is_alive = False
        self._to.close()
        self._from.close()
        self._process.wait()


def answer(shared: int) -> None:
    """Answer the questions on the standard input until it ends; the life of a process."""
    import signal

    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process decides when to end
    memory = mmap.mmap(shared, _SHARED_BYTES)
    asked, answers = Connection(0, writable=False), Connection(1, readable=False)
    told: Any = None
    with suppress(EOFError, OSError):
        while True:
            setup, sizes = asked.recv()
            told = setup or told
            answers.send(list(_answers(memory, sizes, *told)))


def _answers(
    memory: mmap.mmap, sizes: Sequence[int], spec: ModelSpec, options: dict[str, Any], limit_bytes: int
) -> Iterator[tuple[int, dict[str, Any]] | None]:
    ends = np.cumsum([0, *sizes]).tolist()
    place, number = ends[-1], 3 * spec.size_px**2
    with DECODING.limited_to(limit_bytes):
        for first, end in pairwise(ends):
            (seen,) = look_at([memory[first:end]], spec, **options)
            if isinstance(seen, str):
                yield None
                continue
            memory[place : place + number] = np.ascontiguousarray(seen.pixels).tobytes()
            fields = {name: getattr(seen, name) for name in ("width", "height", "exif", "thumbnail")}
            yield place, fields
            place += number


def _messages(files: Sequence[bytes], pixel_bytes: int) -> Iterator[Sequence[bytes]]:
    """Split files, in order, into as many as one message has room for; a file may be too large for any."""
    first = size = 0
    for at, file in enumerate(files):
        needed = len(file) + pixel_bytes
        if at > first and (size + needed > _SHARED_BYTES or at - first == _MOST_FILES):
            yield files[first:at]
            first, size = at, 0
        size += needed
    if files:
        yield files[first:]


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _can_share() -> bool:
    """Whether memory can be shared with another Python, which Linux alone lets do without a name."""
    return hasattr(os, "memfd_create") and bool(sys.executable) and not getattr(sys, "frozen", False)
