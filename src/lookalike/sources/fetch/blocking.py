"""A Fetcher that threads can use."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError, Future

from lookalike.sources.fetch.fetcher import Fetcher
from lookalike.sources.fetch.outcomes import Fetched, FetchError, FetchOptions


class BlockingFetcher:
    """Fetches for any number of threads, from an event loop in its own thread, until it is closed.

    The thread starts with the first fetch.
    """

    def __init__(self, options: FetchOptions = FetchOptions()) -> None:
        self.options = options
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False

    def fetch(self, url: str) -> Fetched:
        """The body behind a URL; raises `FetchError`, of the kind `stopped` if it is closed meanwhile."""
        try:
            return self.submit(url).result()
        except CancelledError:
            raise _stopped() from None

    def submit(self, url: str) -> Future[Fetched]:
        """The same without waiting for it; closing cancels the future, and cancelling it ends the fetch."""
        with self._lock:  # the stop cancels fetches submitted before it, and none come after
            if self._closed:
                raise _stopped()
            if self._thread is None:
                self._start()
            return asyncio.run_coroutine_threadsafe(self._fetcher.fetch(url), self._loop)

    def close(self) -> None:
        """Stop the fetches in progress."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._thread is None:
                return
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _start(self) -> None:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="fetch", daemon=True)
        self._thread.start()
        self._ready.wait()

    async def _serve(self) -> None:
        """Run until `close`, which cancels the remaining fetches."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with Fetcher(self.options) as self._fetcher:
            self._ready.set()
            await self._stop.wait()


def _stopped() -> FetchError:
    return FetchError("stopped", "the fetch was stopped")
