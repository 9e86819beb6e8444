"""How URLs are fetched, for every command that may be given some."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lookalike.cli.arguments import positive, size

if TYPE_CHECKING:
    from lookalike.fetch import FetchOptions


def add_network(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("network, for lists of URLs")
    group.add_argument("--concurrency", type=positive, default=64, metavar="N", help="requests at once (64)")
    group.add_argument("--per-host", type=positive, default=4, metavar="N", help="of them to one host (4)")
    group.add_argument(
        "--rate",
        type=float,
        default=10.0,
        metavar="R",
        help="requests a second to one host (10; 0: no limit)",
    )
    group.add_argument("--timeout", type=float, default=30.0, metavar="S", help="seconds for a URL (30)")
    group.add_argument("--max-bytes", type=size, default=32_000_000, metavar="B", help="of an image (32MB)")
    group.add_argument("--max-redirects", type=int, default=5, metavar="N", help="of a URL (5)")
    group.add_argument(
        "--allow-private", action="store_true", help="fetch from private and loopback addresses too"
    )
    group.add_argument(
        "--ignore-robots", action="store_true", help="do not ask robots.txt, nor heed X-Robots-Tag"
    )
    group.add_argument("--user-agent", metavar="TEXT", help="say who you are (default: lookalike/VERSION)")


def fetch_options(options: argparse.Namespace) -> FetchOptions:
    """What `add_network` has read."""
    from lookalike.fetch import USER_AGENT, FetchOptions

    return FetchOptions(
        concurrency=options.concurrency,
        per_host=options.per_host,
        rate=options.rate,
        timeout_s=options.timeout,
        max_bytes=options.max_bytes,
        max_redirects=options.max_redirects,
        allow_private=options.allow_private,
        ignore_robots=options.ignore_robots,
        user_agent=options.user_agent or USER_AGENT,
    )
