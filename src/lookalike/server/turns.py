"""The work of requests: as much at once as there are cores, and one call of the model for those that wait.

More at once would not be faster, and a large picture takes hundreds of megabytes while it is decoded.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from lookalike.images.decoding import Pixels
from lookalike.models.model import LoadedModel
from lookalike.search.query import Floats

# A call for more pictures is hardly faster for each, and all of them wait for its end.
MAX_BATCH = 16

Result = TypeVar("Result")


@dataclass(eq=False, slots=True)
class _Waiting:
    """A picture that waits for the model, uint8 (S, S, 3), and its features (1, D) to come."""

    model: LoadedModel
    pixels: Pixels
    features: Future[Floats] = field(default_factory=Future)


class Turns:
    """Does work in threads, first come, first served; one object for all requests of an application.

    `observe` is told of each call of the model how many pictures it was for.
    """

    def __init__(self, observe: Callable[[int], None]) -> None:
        self._cores = os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(self._cores, "lookalike")
        self._observe = observe
        self._waiting: list[_Waiting] = []
        self._lock = threading.Lock()

    async def run(self, work: Callable[[], Result]) -> Result:
        """What the work gives, or raises, when its turn has come."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def features(self, model: LoadedModel, pixels: Pixels) -> Floats:
        """What a model makes of the pixels uint8 (S, S, 3) of one picture: float32 (1, D).

        Others that wait for the same model by then go with it, in one call for each core.
        """
        mine = _Waiting(model, pixels)
        with self._lock:
            self._waiting.append(mine)
        self._threads.submit(self._embed)
        return await asyncio.wrap_future(mine.features)

    def close(self) -> None:
        """Forget the work that has not begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _embed(self) -> None:
        """Embed those that wait; there may be none left, where an earlier turn took them along."""
        batch = self._taken()
        if not batch:
            return
        self._observe(len(batch))
        try:
            features = batch[0].model.features(np.stack([one.pixels for one in batch]))
        except Exception as error:
            for one in batch:
                one.features.set_exception(error)
        else:
            for row, one in enumerate(batch):
                one.features.set_result(features[row : row + 1])

    def _taken(self) -> list[_Waiting]:
        """The share of one core of those that wait for the same model as the first does."""
        with self._lock:
            alike = [one for one in self._waiting if one.model is self._waiting[0].model]
            batch = alike[: min(MAX_BATCH, math.ceil(len(alike) / self._cores))]
            self._waiting = [one for one in self._waiting if one not in batch]
        return [one for one in batch if one.features.set_running_or_notify_cancel()]
