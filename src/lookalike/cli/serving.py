"""Serving the page, as several commands do."""

from __future__ import annotations

import argparse

from lookalike.cli.output import say
from lookalike.collection import Collection


def serve(collection: Collection, options: argparse.Namespace) -> int:
    """Serve until Ctrl-C, and say where."""
    from lookalike.server import serve as serve_collection

    def ready(url: str) -> None:
        say(f"{len(collection):,} images at {url} (Ctrl-C stops)")

    serve_collection(
        [collection],
        host=options.host,
        port=options.port,
        open_browser=not options.no_browser,
        on_ready=ready,
    )
    return 0
