"""Work in threads: how many, results in order, and a limit on how far ahead the work runs.

Threads are enough, because decoders, networks and files release the interpreter lock.
"""

from __future__ import annotations

import gc
import math
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Thing = TypeVar("Thing")
Result = TypeVar("Result")

# New objects after which Python looks for cycles in a block of `undisturbed`; 700 or 2,000 are usual.
_MANY_OBJECTS = 50_000

# The processor time of a container in a period, both in microseconds: cgroups of version 2.
_SHARE = Path("/sys/fs/cgroup/cpu.max")

_lock = Lock()
_blocks: list[_Usual | None] = []  # the first one knows what was before


def cores() -> int:
    """The cores that this process may use: those it is bound to, and no more than its container's share."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(bound, _share())


@lru_cache(maxsize=1)
def _share() -> int:
    try:
        time_us, period_us = map(int, _SHARE.read_text().split())
    except (OSError, ValueError):  # no container, or one without a limit, which says `max`
        return sys.maxsize
    return max(1, math.ceil(time_us / period_us))


def in_order(
    work: Callable[[Thing], Result], things: Iterable[Thing], threads: int | Executor, *, ahead: int
) -> Generator[Result, None, None]:
    """Yield the result of `work` for each thing, in order, as `map` does.

    At most `ahead` things are being worked on, or queued, beyond the one whose result comes next; no further
    thing is taken before then. `threads` is their number, or an executor, which stays open. An exception
    from `work` is raised in place of its result; one from the things, at once.
    When it ends or is stopped early, it closes the things if they are a generator, drops the queued work,
    and waits for work that is running in its own threads.
    """
    waiting: deque[Future[Result]] = deque()
    with ExitStack() as leaving:  # the last one entered is the first one left
        pool = leaving.enter_context(ThreadPoolExecutor(threads)) if isinstance(threads, int) else threads
        leaving.callback(_cancel, waiting)
        if isinstance(things, Generator):
            leaving.callback(things.close)  # first, because the work may be waiting for what they started
        for thing in things:
            waiting.append(pool.submit(work, thing))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _cancel(futures: Iterable[Future[Result]]) -> None:
    for future in futures:
        future.cancel()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let nothing in this process hinder threads of ours that use every core, until the block ends.

    NumPy multiplies matrices in the calling thread alone: its other threads wait for the next product with
    all their might, and take half of the cores. And Python seldom looks for cycles of objects, which was a
    third of the time for which a build held the interpreter lock. Blocks may overlap, in any threads.
    """
    with _lock:
        _blocks.append(None if _blocks else _Usual())
    try:
        yield
    finally:
        with _lock:
            usual = _blocks[0]
            _blocks.pop()
            if not _blocks and usual:
                usual.restore()


class _Usual:
    """What was usual before the first block."""

    def __init__(self) -> None:
        self._threads = ThreadpoolController().limit(limits=1, user_api="blas")
        self._thresholds = gc.get_threshold()
        if self._thresholds[0]:  # 0 is never
            gc.set_threshold(max(_MANY_OBJECTS, self._thresholds[0]), *self._thresholds[1:])

    def restore(self) -> None:
        self._threads.restore_original_limits()
        gc.set_threshold(*self._thresholds)
