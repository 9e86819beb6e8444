"""Reading and looking in processes: where there are many cores, threads wait for Python's lock.

To read, hash and decode a picture takes some 3 ms without the interpreter lock and a tenth of that with it,
in many pieces, between which other threads wait to be woken. Here each thread has a process of its own, which
reads files and hashes them, and decodes what no GPU does. Pixels and files go through memory that both share,
the rest through a pipe. What a process does not answer, because it ended or the file is damaged or large, is
done here: no result depends on where it was made.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import Any

import numpy as np

from lookalike.images.memory import DECODING
from lookalike.models.looking import Encoded, Seen, encoded, look_at
from lookalike.models.spec import ModelSpec
from lookalike.sources.local_file import LocalFile

# With fewer cores processes gain nothing, and with fewer files they have hardly started. Each takes 20 MB.
_MANY_CORES, _MANY_FILES, _MOST_PROCESSES = 6, 1000, 16

# The fields of `Seen` but for its pixels.
_SEEN = ("width", "height", "exif", "thumbnail")

# Shared with each process; the files and pixels of one message fit in.
_SHARED_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class Work:
    """How files are looked at: for a model; those that a GPU can decode, only read, if `leaves_jpegs`."""

    spec: ModelSpec
    max_megapixels: float
    thumbnails: bool
    leaves_jpegs: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file that was read and looked at: its size, its checksum, and what is seen of it."""

    size_bytes: int
    sha256: str
    seen: Seen


@dataclass(frozen=True, slots=True)
class Read:
    """A file that was read alone: its size, its checksum, and its bytes."""

    size_bytes: int
    sha256: str
    file: Encoded


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that were read here, as what reads them."""

    data: bytes

    def __call__(self) -> bytes:
        return self.data


# What a process answers for a file; None leaves it to this process.
Answer = Prepared | Read | None
Reads = Sequence[Callable[[], bytes]]


class Workers:
    """Processes for `threads` threads, which may call it at once; call `close` at the end."""

    def __init__(self, work: Work, threads: int) -> None:
        self._work = work
        cores = min(threads, _cores(), _MOST_PROCESSES)
        self._most = cores if cores >= _MANY_CORES and _can_share() else 0
        self._limit_bytes = DECODING.limit_bytes // max(1, threads)
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._started = self._files = 0

    def answers(self, reads: Reads) -> Iterator[Sequence[Answer]]:
        """Yield an answer for each, in order, some at a time; `LocalFile` and `Held` alone get any but None.

        The bytes of a `Read` hold until the next are asked for.
        """
        worker = self._taken(len(reads))
        if worker is None:
            yield [None] * len(reads)
            return
        try:
            while reads:
                answers = worker.ask(reads)
                yield answers
                reads = reads[len(answers) :]
        finally:
            with self._lock:
                if worker.is_alive:
                    self._idle.append(worker)

    def close(self) -> None:
        """End the processes; call it when no thread is in a call."""
        while self._idle:
            self._idle.pop().close()
        self._most = 0

    def _taken(self, count: int) -> _Worker | None:
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
            return _Worker(self._work, self._limit_bytes)
        except OSError:  # no room for another process
            return None


class _Worker:
    """One process, and the memory that it shares with this one."""

    def __init__(self, work: Work, limit_bytes: int) -> None:
        self._limit_bytes, self._leaves_jpegs = limit_bytes, work.leaves_jpegs
        self._size_px = work.spec.size_px
        self._setup: Any = work, limit_bytes
        self._pipe, theirs = Pipe()
        shared = -1
        try:
            shared = os.memfd_create("lookalike")
            os.ftruncate(shared, _SHARED_BYTES)
            self._memory = mmap.mmap(shared, _SHARED_BYTES)
            # It finds modules where this process does; else a numpy.py in the current folder would be one.
            program = f"import sys; sys.path[:] = {sys.path!a}; from {__name__} import answer; "
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", f"{program}answer({shared}, {theirs.fileno()})"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[shared, theirs.fileno()],
            )
        finally:
            theirs.close()
            if shared >= 0:
                os.close(shared)
        self.is_alive = True

    def ask(self, reads: Reads) -> list[Answer]:
        """The answers for the first ones, for at least one, and as many as there is room for."""
        if not self.is_alive:
            return [None] * len(reads)
        asked = list(self._asked(reads))
        if not any(asked):
            return [None] * max(1, len(asked))
        try:
            with DECODING.taking(self._limit_bytes):
                self._pipe.send((self._setup, asked))
                answers = self._pipe.recv()
            self._setup = None  # it is told once
            return [one and self._answer(*one) for _, one in zip(asked, answers, strict=True)]
        except Exception:  # it ended, or an answer may be left in the pipe, which is for no other question
            self.close()
            return [None] * len(asked)

    def _asked(self, reads: Reads) -> Iterator[LocalFile | int]:
        """What the process is to read: a file, or so many bytes of the memory, put there; 0 for nothing.

        Ends where the memory has no room for what it may answer.
        """
        at, room = 0, len(self._memory)
        for read in reads:
            data = read.data if isinstance(read, Held) else b""
            room -= len(data) + self._answer_bytes(read)
            if room < 0:
                return
            self._memory[at : at + len(data)] = data
            at += len(data)
            yield read if isinstance(read, LocalFile) else len(data)

    def _answer_bytes(self, read: Callable[[], bytes]) -> int:
        """The bytes of the memory that are kept for an answer: pixels, or a file unless it is too large."""
        pixels = 3 * self._size_px**2
        if self._leaves_jpegs and isinstance(read, LocalFile) and read.size_bytes <= len(self._memory):
            return max(pixels, read.size_bytes)
        return pixels

    def _answer(self, size_bytes: int, sha256: str, place: int, seen: Any) -> Prepared | Read:
        if isinstance(seen, dict):
            pixels = np.ndarray((self._size_px, self._size_px, 3), np.uint8, self._memory, place).copy()
            return Prepared(size_bytes, sha256, Seen(**seen, pixels=pixels))
        data = memoryview(self._memory)[place : place + size_bytes]
        return Read(size_bytes, sha256, Encoded(data, *seen))

    def close(self) -> None:
        """End the process, which has nothing to lose, and wait for it."""
        self.is_alive = False
        self._pipe.close()
        self._process.kill()
        self._process.wait()


def answer(shared: int, connected: int) -> None:
    """Answer questions until nobody can ask any more; the life of a process."""
    import signal

    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process decides when to end
    memory, pipe = mmap.mmap(shared, 0), Connection(connected)
    told: Any = None
    with suppress(EOFError, OSError):
        while True:
            setup, files = pipe.recv()
            told = setup or told
            work, limit_bytes = told
            with DECODING.limited_to(limit_bytes):
                pipe.send(list(_answers(memory, files, work)))


def _answers(
    memory: mmap.mmap, files: Sequence[LocalFile | int], work: Work
) -> Iterator[tuple[int, str, int, Any] | None]:
    """For each file its size, checksum, the place of its pixels or bytes, and what else is seen of it."""
    given, free = 0, sum(file for file in files if isinstance(file, int))
    for file in files:
        if isinstance(file, int):
            data, given = memory[given : given + file], given + file
        else:
            data = _read(file)
        found = _seen(data, work) if data else ""
        if isinstance(found, str):
            yield None
            continue
        rest: Any
        if isinstance(found, Encoded):
            kept, rest = data, (found.header, found.is_plain)
        else:
            kept = np.ascontiguousarray(found.pixels).tobytes()
            rest = {name: getattr(found, name) for name in _SEEN}
        if free + len(kept) > len(memory):  # it is large, or has grown
            yield None
            continue
        memory[free : free + len(kept)] = kept
        yield len(data), hashlib.sha256(data).hexdigest(), free, rest
        free += len(kept)


def _read(file: LocalFile) -> bytes:
    try:
        return file()
    except (OSError, MemoryError):
        return b""


def _seen(data: bytes, work: Work) -> Seen | Encoded | str:
    if work.leaves_jpegs and (found := encoded(data, work.max_megapixels)):
        return found
    (seen,) = look_at([data], work.spec, max_megapixels=work.max_megapixels, thumbnails=work.thumbnails)
    return seen


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _can_share() -> bool:
    """Whether memory can be shared with another Python, which Linux alone lets do without a name."""
    return hasattr(os, "memfd_create") and bool(sys.executable) and not getattr(sys, "frozen", False)
