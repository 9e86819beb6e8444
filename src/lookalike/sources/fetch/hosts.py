"""Politeness: limits a host's requests at once and per second, and keeps the pauses it asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from heapq import nlargest

from lookalike.sources.fetch.outcomes import FetchError

# A longer interval between two requests is never respected.
MAX_INTERVAL_S = 60.0

# State is kept for this many hosts; idle ones are forgotten first.
_MAX_HOSTS = 10_000


@dataclass(slots=True)
class _Host:
    slots: asyncio.Semaphore
    interval_s: float
    free_at_s: float = 0.0
    paused_until_s: float = 0.0
    users: int = 0
    requests: int = 0
    busy_s: float = 0.0


class Hosts:
    """Allows each host `per_host` requests at once and `rate` a second, and none while it wants a pause."""

    def __init__(self, per_host: int, rate: float) -> None:
        self._per_host = per_host
        self._interval_s = 1 / rate if rate else 0.0
        self._hosts: dict[str, _Host] = {}

    @asynccontextmanager
    async def turn(self, name: str, patience_s: float) -> AsyncIterator[None]:
        """Wait for a turn at the host, and hold it during the block.

        Raises `FetchError` if the host has asked for a longer pause than `patience_s`.
        """
        host = self._host(name)
        host.users += 1
        try:
            async with host.slots:
                while (wait_s := max(host.free_at_s, host.paused_until_s) - time.monotonic()) > 0:
                    pause_s = host.paused_until_s - time.monotonic()
                    if pause_s > patience_s:
                        raise FetchError("busy", f"{name} asked to be left alone for {pause_s:.0f} s more")
                    await asyncio.sleep(wait_s)
                host.free_at_s = time.monotonic() + host.interval_s
                yield
        finally:
            host.users -= 1

    def took(self, name: str, seconds: float) -> None:
        """Note how long a request took."""
        host = self._host(name)
        host.requests += 1
        host.busy_s += seconds

    def slowest(self, count: int) -> list[tuple[str, float]]:
        """Hosts with the mean seconds of their requests, the slowest first."""
        means = ((name, one.busy_s / one.requests) for name, one in self._hosts.items() if one.requests)
        return nlargest(count, means, key=lambda mean: mean[1])

    def pause(self, name: str, seconds: float) -> None:
        """Send the host no request for this long."""
        host = self._host(name)
        host.paused_until_s = max(host.paused_until_s, time.monotonic() + seconds)

    def slow_down(self, name: str, interval_s: float) -> None:
        """Leave at least this many seconds between two requests to the host."""
        if interval_s:
            host = self._host(name)
            host.interval_s = max(host.interval_s, min(interval_s, MAX_INTERVAL_S))

    def _host(self, name: str) -> _Host:
        if name not in self._hosts:
            if len(self._hosts) >= _MAX_HOSTS:
                now = time.monotonic()
                busy = {
                    name: one
                    for name, one in self._hosts.items()
                    if one.users or max(one.free_at_s, one.paused_until_s) > now
                }
                self._hosts = busy
            self._hosts[name] = _Host(asyncio.Semaphore(self._per_host), self._interval_s)
        return self._hosts[name]
