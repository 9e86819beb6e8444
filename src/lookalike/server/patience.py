"""Ends what a request asks for when it takes too long, or when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from lookalike.search.stopping import checked_by
from lookalike.server.problems import Problem

# How long a condition may take: hundreds of ordinary ones take less, over a million rows.
MAX_CONDITION_S = 5.0


@asynccontextmanager
async def attended(request: Request) -> AsyncIterator[None]:
    """What a thread computes for the block ends after `max_condition_s`, or when the client goes away.

    The body of the request has been read before. Raises the `Problem` bad-condition, or `ClientDisconnect`.
    """
    gone = threading.Event()
    watching = asyncio.create_task(_watch(request, gone))
    try:
        with checked_by(_check(request.app.state.max_condition_s, gone)):
            yield
    finally:
        gone.set()  # also where the server ends before the thread
        watching.cancel()


def attending(endpoint: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that runs in a thread, attended."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        async with attended(request):
            return await run_in_threadpool(endpoint, request)

    return answer


async def _watch(request: Request, gone: threading.Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    gone.set()


def _check(limit_s: float, gone: threading.Event) -> Callable[[], None]:
    """A check for several threads; the time begins with the first, not while a request waits its turn."""
    ends_at: list[float] = []

    def check() -> None:
        if gone.is_set():
            raise ClientDisconnect
        now = time.monotonic()
        if not ends_at:
            ends_at.append(now + limit_s)
        if now > ends_at[0]:
            raise Problem(
                "bad-condition",
                f"the condition takes longer than {limit_s:g} seconds, the limit of this server",
                hint="use a simpler one: fewer operations, or shorter patterns",
                field="where",
            )

    return check
