"""Request bodies: read within limits on size and time, and on the memory of all of them together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.requests import Request

from lookalike.server.problems import Problem

MAX_BODY_BYTES = 50_000_000
MAX_TOGETHER_BYTES = 10 * MAX_BODY_BYTES
TIMEOUT_S = 60.0


class Bodies:
    """Reads bodies; one object for all requests of an application."""

    def __init__(self) -> None:
        self._held_bytes = 0

    @asynccontextmanager
    async def read(self, request: Request, most_bytes: int | None = None) -> AsyncIterator[bytes]:
        """The body, of at most `most_bytes` (default: 50 MB), available during the block.

        Raises a `Problem` if it is empty, too large or too slow, or if the bodies of all requests together
        would take too much memory.
        """
        body = bytearray()
        with self.holding() as hold:
            await self._fill(body, request, hold, most_bytes or MAX_BODY_BYTES)
            if not body:
                raise Problem("empty-body", "send a picture, or JSON with a query")
            yield bytes(body)

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """A function that counts bytes as held during the block; raises a `Problem` if they are too many."""
        held = 0

        def hold(size_bytes: int) -> None:
            nonlocal held
            held += size_bytes
            self._held_bytes += size_bytes
            if self._held_bytes > MAX_TOGETHER_BYTES:
                raise Problem("busy", "too many pictures are being sent at once; try again")

        try:
            yield hold
        finally:
            self._held_bytes -= held

    async def _fill(
        self, body: bytearray, request: Request, hold: Callable[[int], None], most_bytes: int
    ) -> None:
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most_bytes:
            raise _too_large(most_bytes)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > most_bytes:
                        raise _too_large(most_bytes)
                    hold(len(chunk))
        except TimeoutError:
            raise Problem("too-slow", f"the body has to arrive within {TIMEOUT_S:g} s") from None


def content_type(request: Request) -> str:
    """The media type of the body, in lower case, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _too_large(most_bytes: int) -> Problem:
    return Problem("too-large", f"the limit is {most_bytes // 1_000_000} MB")
