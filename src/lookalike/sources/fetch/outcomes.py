"""The options of a fetch, and its outcome: bytes, or an error of a kind that can be counted."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike import __version__
from lookalike.errors import LookalikeError

USER_AGENT = f"lookalike/{__version__} (an open visual search engine; obeys robots.txt)"


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How to fetch; the defaults are gentle to hosts and safe for the machine.

    `concurrency` requests at once altogether, `per_host` and `rate` (requests a second, 0 for no limit) to
    one host. `timeout_s` is for a URL with all its redirects; `connect_s` and `read_s` limit the wait for a
    connection and for the next bytes. `retries` are for hosts that are busy (429, 503) or hang up.
    """

    concurrency: int = 64
    per_host: int = 4
    rate: float = 10.0
    timeout_s: float = 30.0
    connect_s: float = 10.0
    read_s: float = 10.0
    max_bytes: int = 32_000_000
    max_redirects: int = 5
    retries: int = 2
    allow_private: bool = False
    ignore_robots: bool = False
    user_agent: str = USER_AGENT


@dataclass(frozen=True, slots=True)
class Fetched:
    """The body of an answer from `url`, the target of the last redirect."""

    url: str
    data: bytes
    http_status: int


class FetchError(LookalikeError):
    """A URL that could not be fetched.

    `kind` is one of: `invalid-url`, `private-address`, `dns`, `connect`, `disconnected`, `timeout`,
    `redirect`, `http-404` (with the status), `busy` (429 or 503), `robots`, `too-large`, `encoding`,
    `stopped`.
    `retry_after_s` is the pause that the host asked for, 0 if it gave none; None if a retry is useless.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        hint: str = "",
        *,
        http_status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.kind = kind
        self.http_status = http_status
        self.retry_after_s = retry_after_s
