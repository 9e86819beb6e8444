"""The memory for decoding pictures: one budget for all threads of the process."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from lookalike.errors import ImageError

# A picture of 200 megapixels takes 0.8 GB in Pillow's widest modes, with four bytes a pixel. As a progressive
# JPEG with full colour it takes 1.2 GB, because libjpeg holds the coefficients; it is decoded alone.
DEFAULT_BYTES = 1_000_000_000
_ALONE = 1.21


class Budget:
    """A budget of bytes; a request for more than is left waits, first come, first served.

    A request for up to a fifth more than the budget waits until nobody else holds any.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._taken_bytes = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def taking(self, size_bytes: int) -> Iterator[None]:
        """Hold this many bytes during the block; raises `ImageError` if the budget is never that large."""
        if size_bytes > _ALONE * self.limit_bytes:
            raise ImageError(
                f"decoding takes about {size_bytes / 1e9:.2g} GB, the limit is {self.limit_bytes / 1e9:g} GB",
                f"raise it to `max_memory_bytes={math.ceil(size_bytes / 1e6) * 10**6}`",
            )
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            self._changed.wait_for(lambda: self._waiting[0] is turn and self._has_room(size_bytes))
            self._waiting.popleft()
            self._taken_bytes += size_bytes
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._taken_bytes -= size_bytes
                self._changed.notify_all()

    def _has_room(self, size_bytes: int) -> bool:
        return not self._taken_bytes or self._taken_bytes + size_bytes <= self.limit_bytes

    @contextmanager
    def limited_to(self, limit_bytes: int | None) -> Iterator[None]:
        """Change the limit during the block; None leaves it."""
        before = self.limit_bytes
        self.limit_bytes = before if limit_bytes is None else limit_bytes
        try:
            yield
        finally:
            self.limit_bytes = before


# Shared by the threads of builds, downloads and requests, because memory belongs to the process.
DECODING = Budget(DEFAULT_BYTES)
