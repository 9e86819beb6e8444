"""The work of requests: as much at once as there are cores, and one call of the model for those that wait.

More at once would not be faster, and a large picture takes hundreds of megabytes while it is decoded.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lookalike.images.picture import Pixels
from lookalike.models.model import LoadedModel
from lookalike.models.runner import Gathering
from lookalike.search.query import Floats

Result = TypeVar("Result")


class Workers:
    """Does work in threads, first come, first served; one object for all requests of an application.

    `observe` is told of each call of the model how many pictures it was for.
    """

    def __init__(self, observe: Callable[[int], None]) -> None:
        cores = os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(cores, "lookalike")
        self._pictures = Gathering(cores, observe)

    async def run(self, work: Callable[[], Result]) -> Result:
        """What the work gives, or raises, when its turn has come."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def features(self, model: LoadedModel, pixels: Pixels) -> Floats:
        """What a model makes of the pixels uint8 (S, S, 3) of one picture: float32 (1, D).

        Others that wait for the same model by then go with it, in one call for each core.
        """
        mine = self._pictures.add(model.features, pixels)
        self._threads.submit(self._pictures.run_next)
        return await asyncio.wrap_future(mine)

    def close(self) -> None:
        """Forget the work that has not begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)
