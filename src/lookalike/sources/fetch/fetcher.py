"""Fetches URLs over HTTP, many at once: guarded, polite, and limited in bytes and time.

async with Fetcher(FetchOptions()) as fetcher:
    fetched = await fetcher.fetch("https://example.org/a.jpg")
"""

from __future__ import annotations

import asyncio
import random
import time
import zlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any

import aiohttp
from yarl import URL

from lookalike.sources.fetch.guards import check_url, socket_factory
from lookalike.sources.fetch.hosts import Hosts
from lookalike.sources.fetch.outcomes import Fetched, FetchError, FetchOptions
from lookalike.sources.fetch.robots import Robots, check_tags

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({429, 503})
_RESOLVER_THREADS = 32
_ROBOTS_BYTES = 512_000  # RFC 9309, 2.5: at least 500 KiB must be read


class _Redirect(Exception):
    def __init__(self, target: URL) -> None:
        self.target = target


class Fetcher:
    """An open client; use it as an async context, in an event loop of its own."""

    def __init__(
        self, options: FetchOptions = FetchOptions(), resolver: aiohttp.abc.AbstractResolver | None = None
    ) -> None:
        self.options = options
        self._resolver = resolver
        self._hosts = Hosts(options.per_host, options.rate)
        self._robots = Robots(self._robots_txt)
        self._slots = asyncio.Semaphore(options.concurrency)

    async def __aenter__(self) -> Fetcher:
        # Names are resolved by the loop's threads: the default of a few would wait for slow name servers.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_RESOLVER_THREADS, "resolver"))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # the slots are the limit
                resolver=self._resolver,
                socket_factory=socket_factory(self.options.allow_private),
                happy_eyeballs_delay=None,  # addresses in turn, so that a refused one ends the attempt
            ),
            headers={
                "User-Agent": self.options.user_agent,
                "Accept": "image/*,*/*;q=0.5",
                "Accept-Encoding": "identity",
            },
            timeout=aiohttp.ClientTimeout(sock_connect=self.options.connect_s, sock_read=self.options.read_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=2**18,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def fetch(self, url: str) -> Fetched:
        """The body behind a URL; raises `FetchError`."""
        async with self.fetching(url) as fetched:
            return fetched

    @asynccontextmanager
    async def fetching(self, url: str) -> AsyncIterator[Fetched]:
        """The same for a block that holds one of the `concurrency` slots, which limit bodies in memory."""
        fetched = await self._with_retries(check_url(url), self.options.max_bytes)
        try:
            yield fetched
        finally:
            self._slots.release()

    def slowest_hosts(self, count: int = 5) -> list[tuple[str, float]]:
        """Hosts with the mean seconds of their requests, the slowest first."""
        return self._hosts.slowest(count)

    async def _robots_txt(self, url: URL) -> Fetched:
        fetched = await self._with_retries(url, _ROBOTS_BYTES, is_robots=True)
        self._slots.release()
        return fetched

    async def _with_retries(self, url: URL, max_bytes: int, is_robots: bool = False) -> Fetched:
        """A fetch that succeeds holds a slot when it returns.

        All waits between attempts together take no longer than a URL may: a host that asks for more has
        failed for now.
        """
        left_s = self.options.timeout_s
        for attempt in count():
            try:
                return await self._follow(url, max_bytes, is_robots)
            except FetchError as error:
                if error.retry_after_s is None or attempt == self.options.retries:
                    raise
                wait_s = error.retry_after_s or 2**attempt * random.uniform(0.5, 1)  # backoff with jitter
                if wait_s > left_s:
                    raise
            await asyncio.sleep(wait_s)
            left_s -= wait_s
        raise AssertionError("count() has no end")

    async def _follow(self, url: URL, max_bytes: int, is_robots: bool) -> Fetched:
        left_s = self.options.timeout_s
        for _ in range(self.options.max_redirects + 1):
            host = check_url(url).host or ""
            if not (self.options.ignore_robots or is_robots):
                self._hosts.slow_down(host, await self._robots.check(url))
            async with self._hosts.turn(host, self.options.timeout_s):
                await self._slots.acquire()
                started_s = time.monotonic()
                try:
                    return await self._get(url, left_s, max_bytes)
                except _Redirect as redirect:
                    self._slots.release()
                    url = redirect.target
                except BaseException:
                    self._slots.release()
                    raise
                finally:
                    took_s = time.monotonic() - started_s
                    self._hosts.took(host, took_s)
            left_s -= took_s
        raise FetchError("redirect", f"more than {self.options.max_redirects} redirects")

    async def _get(self, url: URL, timeout_s: float, max_bytes: int) -> Fetched:
        """One request; raises `_Redirect` or `FetchError`."""
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.get(url, allow_redirects=False) as answer,
            ):
                if answer.status in _REDIRECTS:
                    raise _Redirect(_target(answer))
                self._check_status(answer)
                if not self.options.ignore_robots:
                    check_tags(answer.headers.getall("X-Robots-Tag", ()))
                return Fetched(str(url), await _body(answer, max_bytes), answer.status)
        except aiohttp.ServerTimeoutError as error:
            raise FetchError("timeout", str(error) or "no answer") from None
        except TimeoutError:
            raise FetchError("timeout", f"not done within {self.options.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _as_fetch_error(error) from None

    def _check_status(self, answer: aiohttp.ClientResponse) -> None:
        """Raise `FetchError` unless the status is 200; a host that asks for a pause gets it."""
        if answer.status == 200:
            return
        text = f"HTTP {answer.status} {answer.reason or ''}".strip()
        if answer.status not in _BUSY:
            raise FetchError(f"http-{answer.status}", text, http_status=answer.status)
        patience_s = _retry_after_s(answer.headers.get("Retry-After", ""))
        if patience_s or answer.status == 429:
            self._hosts.pause(answer.url.host or "", patience_s or 1.0)
        raise FetchError("busy", text, http_status=answer.status, retry_after_s=patience_s)


def _target(answer: aiohttp.ClientResponse) -> URL:
    try:
        return check_url(answer.url.join(URL(answer.headers["Location"])))
    except (KeyError, ValueError):
        raise FetchError("redirect", "a redirect to nowhere", http_status=answer.status) from None
    except FetchError as error:
        raise FetchError("redirect", f"bad redirect: {error.message}") from None


async def _body(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Read the body, limiting the bytes both received and inflated; the announced length is only a hint."""
    too_large = FetchError("too-large", f"more than {max_bytes:,} bytes", "raise `max_bytes`")
    if (answer.content_length or 0) > max_bytes:
        raise too_large
    data = bytearray()
    async for chunk in answer.content.iter_any():
        data += chunk
        if len(data) > max_bytes:
            raise too_large
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return bytes(data)
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise FetchError("encoding", f"the answer is compressed as {encoding!r}, which was not asked for")
    try:
        inflated = zlib.decompressobj(wbits=47).decompress(data, max_bytes + 1)  # 47: gzip or zlib
    except zlib.error as error:
        raise FetchError("encoding", f"the answer claims to be {encoding}, but is not: {error}") from None
    if len(inflated) > max_bytes:
        raise too_large
    return inflated


def _retry_after_s(value: str) -> float:
    """Seconds from a number or a date (RFC 9110, 10.2.3); 0 if it is neither."""
    if value.isascii() and value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _as_fetch_error(error: Any) -> FetchError:
    """Convert a client's error to a `FetchError`; a broken connection is worth another try."""
    text = str(error) or type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return FetchError(
            "dns", f"{error.host} cannot be resolved: {error.os_error.strerror or error.os_error}"
        )
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return FetchError("invalid-url", text)
    if isinstance(error, aiohttp.ClientConnectorError):
        return FetchError("connect", f"cannot connect: {error.os_error.strerror or error.os_error}")
    if isinstance(error, aiohttp.ClientResponseError):
        return FetchError("disconnected", f"not HTTP: {error.message}")
    return FetchError("disconnected", f"the answer broke off: {text}", retry_after_s=0.0)
