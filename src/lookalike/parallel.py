"""One way to do work in threads: the results in order, and a bound on what is done ahead.

Threads suffice, since decoders, networks and files leave the interpreter lock alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Thing], Result], things: Iterable[Thing], threads: int | Executor, *, ahead: int
) -> Generator[Result, None, None]:
    """The result of `work` for each thing, in the order of the things, as `map` gives them.

    Up to `ahead` things are worked on, or wait to be, beyond the one whose result comes next; no other thing
    is taken yet. `threads` is how many there are, or an executor, which stays open. What `work` raises is
    raised in the place of its result; what the things raise, at once.
    At its end, or left early, it closes the things if they are a generator, forgets the work that has not
    begun, and waits for that of threads of its own.
    """
    waiting: deque[Future[Result]] = deque()
    with ExitStack() as leaving:  # the last that is entered is the first that is left
        pool = leaving.enter_context(ThreadPoolExecutor(threads)) if isinstance(threads, int) else threads
        leaving.callback(_cancel, waiting)
        if isinstance(things, Generator):
            leaving.callback(things.close)  # first: the work may be waiting for what they have begun
        for thing in things:
            waiting.append(pool.submit(work, thing))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _cancel(futures: Iterable[Future[Result]]) -> None:
    for future in futures:
        future.cancel()
