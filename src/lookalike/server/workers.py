"""The work of requests: one task for each core at a time, and shared model calls for waiting pictures.

More at once would not be faster, and decoding a large picture takes hundreds of megabytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from lookalike.images.picture import Pixels
from lookalike.models.model import LoadedModel
from lookalike.models.runner import Gathering
from lookalike.parallel import cores
from lookalike.search.query import Floats
from lookalike.search.stopping import go_on

Result = TypeVar("Result")


class Workers:
    """Runs work in threads, first come, first served; one object for all requests of an application.

    `observe` is called for each model call with its number of pictures.
    """

    def __init__(self, observe: Callable[[int], None]) -> None:
        self._threads = ThreadPoolExecutor(cores(), "lookalike")
        self._pictures = Gathering(cores(), observe)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return or raise the result of the work, when its turn comes; it runs in this context."""

        def begin() -> Result:
            go_on()
            return work()

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, copy_context().run, begin)

    async def features(self, model: LoadedModel, pixels: Pixels) -> Floats:
        """Return the model's features float32 (1, D) for the pixels uint8 (S, S, 3) of one picture.

        Pictures waiting for the same model at that time share its calls, one for each core.
        """
        mine = self._pictures.add(model.features, pixels)
        self._threads.submit(self._pictures.run_next)
        return await asyncio.wrap_future(mine)

    def close(self) -> None:
        """Drop the work that has not begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)
