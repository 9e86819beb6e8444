"""Serves the page, for several commands."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from lookalike.cli.output import say
from lookalike.collection import Collection
from lookalike.errors import counted


def serve(collections: Sequence[Collection], options: argparse.Namespace) -> int:
    """Serve until Ctrl-C, and say where."""
    from lookalike.server import serve as serve_collection

    def ready(url: str, is_read_only: bool) -> None:
        count = sum(len(collection) for collection in collections)
        say(f"{counted(count, 'image')} at {url} (Ctrl-C stops)")
        if is_read_only and options.read_only is None:
            say("whoever reaches it can look, and nobody can label or teach; --no-read-only lets everyone")

    serve_collection(
        [collection.path for collection in collections],
        host=options.host,
        port=options.port,
        token=options.token or os.environ.get("LOOKALIKE_TOKEN"),
        no_auth=options.no_auth,
        allow_hosts=options.allow_host,
        allow_origins=options.allow_origin,
        allow_url_queries=options.allow_url_queries,
        max_megapixels=options.max_upload_megapixels,
        max_memory_bytes=options.max_memory_bytes,
        max_condition_s=options.max_condition_seconds,
        read_only=options.read_only,
        open_browser=not options.no_browser,
        on_ready=ready,
    )
    return 0
