"""Pictures that queries name by URL: fetched only if allowed, and from public addresses only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from lookalike.search.query import Image
from lookalike.server.bodies import MAX_BODY_BYTES, Bodies
from lookalike.server.problems import Problem
from lookalike.server.queries import Sum, Url
from lookalike.sources.fetch import FetchError, FetchOptions

if TYPE_CHECKING:
    from lookalike.sources.fetch.blocking import BlockingFetcher

# Anyone who may ask chooses the URLs, so these limits are so low that no other site suffers.
URL_QUERIES = FetchOptions(concurrency=8, timeout_s=10, max_bytes=MAX_BODY_BYTES, retries=0)
MAX_URLS = 10
TIMEOUT_S = 30.0


class Pictures:
    """Fetches the pictures of queries according to `options`; refuses if there are none."""

    def __init__(self, options: FetchOptions | None, bodies: Bodies) -> None:
        """Raises `ExtraError` if the libraries for fetching are missing."""
        self._bodies = bodies
        self._fetcher: BlockingFetcher | None = None
        if options is not None:
            from lookalike.sources.fetch.blocking import BlockingFetcher

            self._fetcher = BlockingFetcher(options)

    @asynccontextmanager
    async def fetched(self, queries: Sequence[Sum]) -> AsyncIterator[tuple[Sum, ...]]:
        """The queries with pictures instead of URLs, during the block.

        Raises a `Problem` for a URL that may not or cannot be fetched, and for too many URLs.
        """
        urls = {term.url: term.field for query in queries for term, _ in query if isinstance(term, Url)}
        if len(urls) > MAX_URLS:
            raise Problem("bad-parameter", f"a request has at most {MAX_URLS} URLs, not {len(urls)}")
        found: dict[str, bytes] = {}
        with self._bodies.holding() as hold:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    for url, field in urls.items():
                        found[url] = await self._fetch(url, field)
                        hold(len(found[url]))
            except TimeoutError:
                raise Problem("not-fetched", f"the pictures did not arrive within {TIMEOUT_S:g} s") from None
            yield tuple(
                tuple(
                    (Image(found[term.url], term.box) if isinstance(term, Url) else term, weight)
                    for term, weight in query
                )
                for query in queries
            )

    async def _fetch(self, url: str, field: str) -> bytes:
        if self._fetcher is None:
            detail, hint = "this server does not fetch pictures", "send it as image"
            raise Problem("bad-parameter", detail, field=field, hint=hint)
        try:
            return (await asyncio.wrap_future(self._fetcher.submit(url))).data
        except FetchError as error:
            # What a name resolves to inside the server's network is nobody's business.
            private = error.kind == "private-address"
            detail = "the URL leads to an address that is not public" if private else error.message
            raise Problem("not-fetched", detail, field=field) from None

    def close(self) -> None:
        """Stop fetches in progress."""
        if self._fetcher:
            self._fetcher.close()
