"""Flags for fetching URLs, for every command that may get some."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING

from lookalike.cli.arguments import positive, size

if TYPE_CHECKING:
    from lookalike.sources.fetch import FetchOptions


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each field of `FetchOptions`, whose defaults apply."""
    group = parser.add_argument_group("network, for lists of URLs")
    group.add_argument("--concurrency", type=positive, metavar="N", help="requests at once (default: 64)")
    group.add_argument(
        "--per-host", type=positive, metavar="N", help="requests to one host at once (default: 4)"
    )
    group.add_argument(
        "--rate", type=float, metavar="R", help="requests a second to one host (default: 10; 0: no limit)"
    )
    group.add_argument(
        "--timeout", dest="timeout_s", type=float, metavar="S", help="seconds to wait for a URL (default: 30)"
    )
    group.add_argument("--max-bytes", type=size, metavar="B", help="skip larger files (default: 32MB)")
    group.add_argument(
        "--max-redirects", type=int, metavar="N", help="redirects to follow for a URL (default: 5)"
    )
    group.add_argument(
        "--allow-private", action="store_true", help="fetch from private and loopback addresses too"
    )
    group.add_argument("--ignore-robots", action="store_true", help="ignore robots.txt and X-Robots-Tag")
    group.add_argument("--user-agent", metavar="TEXT", help="say who you are (default: lookalike/VERSION)")


def fetch_options(options: argparse.Namespace) -> FetchOptions:
    """The options from the flags of `add_network`."""
    from lookalike.sources.fetch import FetchOptions

    given = {field.name: getattr(options, field.name, None) for field in fields(FetchOptions)}
    return FetchOptions(**{name: value for name, value in given.items() if value is not None})
