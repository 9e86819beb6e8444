"""A Fetcher for threads."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError

from lookalike.fetch.fetcher import Fetcher
from lookalike.fetch.outcomes import Fetched, FetchError, FetchOptions


class BlockingFetcher:
    """Fetches for any number of threads, from an event loop in a thread of its own, until it is closed."""

    def __init__(self, options: FetchOptions = FetchOptions()) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(options,), name="fetcher", daemon=True)
        self._ready = threading.Event()
        self._closed = False
        self._lock = threading.Lock()
        self._thread.start()
        self._ready.wait()

    def fetch(self, url: str) -> Fetched:
        """The body behind a URL; raises `FetchError`, of the kind `stopped` when it is closed meanwhile."""
        stopped = FetchError("stopped", "the fetch was stopped")
        with self._lock:  # what is handed over before the stop is cancelled by it, nothing comes after
            if self._closed:
                raise stopped
            future = asyncio.run_coroutine_threadsafe(self._fetcher.fetch(url), self._loop)
        try:
            return future.result()
        except CancelledError:
            raise stopped from None

    def close(self) -> None:
        """Stop what is on its way."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self, options: FetchOptions) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(options))

    async def _serve(self, options: FetchOptions) -> None:
        """Until `close`; the runner then cancels the fetches that are left."""
        self._stop = asyncio.Event()
        async with Fetcher(options) as self._fetcher:
            self._ready.set()
            await self._stop.wait()
