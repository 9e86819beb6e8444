"""Reading and looking in processes: where there are many cores, threads wait for Python's lock.

To read, hash and decode a picture takes some 3 ms without the interpreter lock and a tenth of that with it,
in many pieces, between which other threads wait to be woken. Here each thread has a process of its own, which
reads files and hashes them, and decodes what no GPU does. Pixels and files go through memory that both share,
the rest through sockets. What a process does not answer, because it ended or the file is damaged or large, is
done here: no result depends on where it was made.
"""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain
from multiprocessing.connection import Connection, Pipe
from typing import Any

import numpy as np

from lookalike.builder.worker_process import Work, serve
from lookalike.images.memory import DECODING
from lookalike.models.looking import Encoded, Seen
from lookalike.parallel import cores
from lookalike.sources.local_file import LocalFile

# With fewer cores processes gain nothing, and with fewer files they have hardly started. Each takes 20 MB.
_MANY_CORES, _MANY_FILES, _MOST_PROCESSES = 6, 2000, 32

# Shared with each process; the files and pixels of one message fit in.
_SHARED_BYTES = 16_000_000


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
        most = min(threads, cores(), _MOST_PROCESSES)
        self._most = most if most >= _MANY_CORES and count >= _MANY_FILES and _can_share() else 0
        self._limit_bytes = DECODING.limit_bytes // max(1, threads)
        self._parent: subprocess.Popen[bytes] | None = None
        self._starting: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()

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
                answers = worker.ask(reads)
                yield answers
                reads = reads[len(answers) :]
        finally:
            with self._lock:
                if worker.is_alive:
                    self._idle.append(worker)

    def close(self) -> None:
        """End the processes, and wait for them; call it when no thread is in a call."""
        self._most = 0
        for some in (self._starting, self._idle):
            while some:
                some.pop().close()
        if self._parent:
            # They have nothing to lose; none is left where this program waits for its children itself.
            with suppress(ProcessLookupError):
                os.killpg(self._parent.pid, signal.SIGKILL)
            self._parent.wait()

    def _taken(self) -> _Worker | None:
        """An idle process, if there is one; the first call starts all of them, and nobody waits for that."""
        with self._lock:
            if self._most and self._parent is None:
                try:
                    self._start()
                except OSError:  # no room for more processes
                    self._most = 0
            for one in [one for one in self._starting if one.is_ready()]:
                self._starting.remove(one)
                self._idle.append(one)
            return self._idle.pop() if self._idle else None

    def _start(self) -> None:
        """Start all processes, each with its own connection and memory; raises `OSError` without room."""
        setup = self._work, self._limit_bytes
        with ExitStack() as theirs:
            pairs = []
            for _ in range(self._most):
                ours, other = Pipe()
                memory = os.memfd_create("lookalike")
                theirs.callback(other.close)
                theirs.callback(os.close, memory)
                os.ftruncate(memory, _SHARED_BYTES)
                self._starting.append(_Worker(ours, mmap.mmap(memory, _SHARED_BYTES), setup))
                pairs.append((other.fileno(), memory))
            # It finds modules where this process does; else a numpy.py in the current folder would be one.
            program = f"import sys; sys.path[:] = {sys.path!a}; from {serve.__module__} import serve"
            self._parent = subprocess.Popen(
                [sys.executable, "-P", "-c", f"{program}; serve({pairs})"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=list(chain(*pairs)),
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # what has threads of its own must not fork
                start_new_session=True,  # the terminal interrupts this process, which ends those
            )


class _Worker:
    """The connection to a process, and the memory that both share."""

    def __init__(self, connection: Connection, memory: mmap.mmap, setup: tuple[Work, int]) -> None:
        self._connection, self._memory = connection, memory
        self._setup: tuple[Work, int] | None = setup
        work, self._limit_bytes = setup
        self._size_px, self._leaves_jpegs = work.spec.size_px, work.leaves_jpegs
        self.is_alive = True
        self.pid = 0

    def is_ready(self) -> bool:
        """Whether the process has started, or ended."""
        return self._connection.poll()

    def ask(self, reads: Reads) -> list[Answer]:
        """The answers for the first ones, for at least one, and as many as there is room for."""
        if not self.is_alive:
            return [None] * len(reads)
        asked = list(self._asked(reads))
        if not any(asked):
            return [None] * max(1, len(asked))
        try:
            if self._setup:
                self.pid = self._connection.recv()
                self._connection.send(self._setup)
                self._setup = None
            with DECODING.taking(self._limit_bytes):
                self._connection.send(asked)
                answers = self._connection.recv()
            return [one and self._answer(*one) for _, one in zip(asked, answers, strict=True)]
        except Exception:  # it ended, or an answer may be left there, which is for no other question
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
        """Let the process end, which it does when nobody can ask any more."""
        self.is_alive = False
        self._connection.close()


def _can_share() -> bool:
    """Whether memory can be shared with another Python, which Linux alone lets do without a name."""
    return hasattr(os, "memfd_create") and bool(sys.executable) and not getattr(sys, "frozen", False)
