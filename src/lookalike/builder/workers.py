"""Reading and looking in processes: where there are many cores, threads wait for Python's lock.

To read, hash and decode a picture takes some 3 ms without the interpreter lock and a tenth of that with it,
in many pieces, between which other threads wait to be woken. Here each thread has a process of its own, which
reads files and hashes them, and decodes what no GPU does. Pixels and files go through memory that both share,
the rest through pipes. What a process does not answer, because it ended or the file is damaged or large, is
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
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from lookalike.images.memory import DECODING
from lookalike.models.looking import Encoded, Seen, encoded, look_at
from lookalike.models.spec import ModelSpec
from lookalike.sources.local_file import LocalFile

# With fewer cores processes gain nothing, and with fewer files they have hardly started. Each takes 20 MB.
_MANY_CORES, _MANY_FILES, _MOST_PROCESSES = 6, 2000, 16

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
    """Processes for `threads` threads, which may call it at once; call `close` at the end.

    `count` is how many files there are to be: for few, or on few cores, none is started.
    """

    def __init__(self, work: Work, threads: int, count: int) -> None:
        self._work = work
        cores = min(threads, _cores(), _MOST_PROCESSES)
        self._most = cores if cores >= _MANY_CORES and count >= _MANY_FILES and _can_share() else 0
        self._limit_bytes = DECODING.limit_bytes // max(1, threads)
        self._starting: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._started = 0

    def answers(self, reads: Reads) -> Iterator[Sequence[Answer]]:
        """Yield an answer for each, in order, some at a time; `LocalFile` and `Held` alone get any but None.

        The bytes of a `Read` hold until the next are asked for.
        """
        worker = self._taken()
        if worker is None:
            yield [None] * len(reads)
            return
        try:
            while reads:
                answers = worker.ask(reads) or [None]
                yield answers
                reads = reads[len(answers) :]
        finally:
            with self._lock:
                if worker.is_alive:
                    self._idle.append(worker)

    def close(self) -> None:
        """End the processes; call it when no thread is in a call."""
        self._most = 0
        for some in (self._starting, self._idle):
            while some:
                some.pop().close()

    def _taken(self) -> _Worker | None:
        """An idle process, if there is one; each call starts another, until there are enough."""
        with self._lock:
            if self._started < self._most:
                self._started += 1
                with suppress(OSError):  # no room for another process
                    self._starting.append(_Worker(self._work, self._limit_bytes))
            for one in [one for one in self._starting if one.is_ready()]:
                self._starting.remove(one)
                self._idle.append(one)
            return self._idle.pop() if self._idle else None


class _Worker:
    """One process, and the memory that it shares with this one."""

    def __init__(self, work: Work, limit_bytes: int) -> None:
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
        self._size_px = work.spec.size_px
        self._setup: Any = work, limit_bytes

    def is_ready(self) -> bool:
        """Whether the process has started, or ended: until then nobody waits for it."""
        return self._from.poll()

    def ask(self, reads: Reads) -> list[Answer]:
        """The answers for the first ones, as many as there is room for; None for all if the process ended."""
        asked = list(self._asked(reads))
        if not self.is_alive or not any(asked):
            return [None] * len(asked)
        try:
            if self._setup:
                self._from.recv()  # its greeting
            self._to.send((self._setup, asked))
            answers = self._from.recv()
        except (OSError, EOFError):
            self.close()
            return [None] * len(asked)
        self._setup = None  # it is told once
        return [one and self._answer(*one) for one in answers]

    def _asked(self, reads: Reads) -> Iterator[LocalFile | int]:
        """What the process is to read: a file, or so many bytes of the memory, put there; 0 for nothing."""
        at = 0
        for read in reads:
            if isinstance(read, Held):
                if at + len(read.data) > len(self._memory) // 2:
                    return
                self._memory[at : at + len(read.data)] = read.data
                at += len(read.data)
                yield len(read.data)
            else:
                yield read if isinstance(read, LocalFile) else 0

    def _answer(self, size_bytes: int, sha256: str, place: int, seen: Any) -> Prepared | Read:
        if isinstance(seen, dict):
            pixels = np.ndarray((self._size_px, self._size_px, 3), np.uint8, self._memory, place).copy()
            return Prepared(size_bytes, sha256, Seen(**seen, pixels=pixels))
        data = memoryview(self._memory)[place : place + size_bytes]
        return Read(size_bytes, sha256, Encoded(data, *seen))

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
    memory = mmap.mmap(shared, 0)
    asked, answers = Connection(0, writable=False), Connection(1, readable=False)
    told: Any = None
    with suppress(EOFError, OSError):
        answers.send("ready")
        while True:
            setup, files = asked.recv()
            told = setup or told
            work, limit_bytes = told
            with DECODING.limited_to(limit_bytes):
                answers.send(list(_answers(memory, files, work)))


def _answers(
    memory: mmap.mmap, files: Sequence[LocalFile | int], work: Work
) -> Iterator[tuple[int, str, int, Any] | None]:
    """For each file its size, checksum, the place of its pixels or bytes, and the rest of what is seen of it.

    Ends where the memory has no more room.
    """
    given, free = 0, sum(file for file in files if isinstance(file, int))
    for file in files:
        if isinstance(file, int):
            data, given = memory[given : given + file], given + file
        else:
            try:
                data = file()
            except OSError:
                data = b""
        if not data:
            yield None
            continue
        found = _seen(data, work)
        if isinstance(found, str):
            yield None
            continue
        rest: Any
        if isinstance(found, Encoded):
            kept, rest = data, (found.header, found.is_plain)
        else:
            kept = np.ascontiguousarray(found.pixels).tobytes()
            rest = {name: getattr(found, name) for name in _SEEN}
        if free + len(kept) > len(memory):
            return
        memory[free : free + len(kept)] = kept
        yield len(data), hashlib.sha256(data).hexdigest(), free, rest
        free += len(kept)


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
