"""Respects what site owners allow: robots.txt (RFC 9309) and the X-Robots-Tag of an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from protego import Protego
from yarl import URL

from lookalike.sources.fetch.outcomes import Fetched, FetchError

# The name of this program in a robots.txt.
TOKEN = "lookalike"

# The directives of an answer that a collection of images must respect; `none` includes noindex.
_REFUSALS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})

_MAX_ORIGINS = 2_000
_KEEP_S, _KEEP_FAILED_S = 86_400.0, 300.0  # RFC 9309, 2.4: at most a day


@dataclass(frozen=True, slots=True)
class _Answer:
    """The outcome of one robots.txt: its rules, None if it has none, or why it could not be read."""

    rules: Protego | FetchError | None
    until_s: float


class Robots:
    """Reads the robots.txt of each origin once, with `fetch`, and keeps it for a day."""

    def __init__(self, fetch: Callable[[URL], Awaitable[Fetched]]) -> None:
        self._fetch = fetch
        self._answers: dict[URL, asyncio.Task[_Answer]] = {}

    async def check(self, url: URL) -> float:
        """The seconds that the site wants between two requests; raises `FetchError` if it allows none."""
        rules = (await asyncio.shield(self._answer(url.origin()))).rules
        if rules is None:
            return 0.0
        if isinstance(rules, FetchError):
            raise rules
        if not rules.can_fetch(str(url), TOKEN):
            raise FetchError("robots", f"robots.txt of {url.host} disallows it")
        return float(rules.crawl_delay(TOKEN) or 0)

    def _answer(self, origin: URL) -> asyncio.Task[_Answer]:
        task = self._answers.get(origin)
        if task is None or (task.done() and task.result().until_s < time.monotonic()):
            if len(self._answers) >= _MAX_ORIGINS:
                del self._answers[next(iter(self._answers))]
            task = self._answers[origin] = asyncio.create_task(self._read(origin))
        return task

    async def _read(self, origin: URL) -> _Answer:
        """No rules if the file is missing; but if the host fails, no answer means no permission."""
        rules: Protego | FetchError | None
        try:
            fetched = await self._fetch(origin / "robots.txt")
            rules = Protego.parse(fetched.data.decode("utf-8", "replace"))
        except FetchError as error:
            rules = error
            missing = 400 <= (error.http_status or 0) < 500 and error.kind != "busy"
            if missing or error.kind == "redirect":
                rules = None
            elif error.http_status:
                text = f"robots.txt of {origin.host} cannot be read: {error.message}"
                rules = FetchError("robots", text, http_status=error.http_status)
        keep_s = _KEEP_FAILED_S if isinstance(rules, FetchError) else _KEEP_S
        return _Answer(rules, time.monotonic() + keep_s)


def check_tags(values: Iterable[str]) -> None:
    """Raise `FetchError` if an X-Robots-Tag refuses; one for another robot does not count."""
    for value in values:
        agent = TOKEN
        for part in value.lower().split(","):
            before, colon, after = (text.strip() for text in part.partition(":"))
            directive = after if colon else before
            if colon and before != "unavailable_after":
                agent = before
            if agent == TOKEN and directive in _REFUSALS:
                raise FetchError("robots", f"the answer's X-Robots-Tag says {directive}")
