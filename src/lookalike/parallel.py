"""Work in threads: results in order, and a limit on how far ahead the work runs.

Threads are enough, because decoders, networks and files release the interpreter lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Thing = TypeVar("Thing")

_lock = Lock()
_alone: list[Any] = []  # one entry for each block in `one_blas_thread`; the first knows what was before
Result = TypeVar("Result")


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
def one_blas_thread() -> Iterator[None]:
    """Let NumPy multiply matrices in the calling thread alone, in this whole process, until the block ends.

    Its other threads would wait for the next product with all their might, and where threads of ours use
    every core, take half of them. Blocks may overlap, in any threads.
    """
    with _lock:
        _alone.append(None if _alone else ThreadpoolController().limit(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _lock:
            before = _alone[0]
            _alone.pop()
            if not _alone:
                before.restore_original_limits()
