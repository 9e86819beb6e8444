"""Packs with progress, for several commands."""

from __future__ import annotations

import argparse
from typing import Any

from lookalike.acquire.pack import pack
from lookalike.cli.output import say_packed
from lookalike.cli.progress import Progress
from lookalike.cli.resizing import resize_options


def pack_and_say(options: argparse.Namespace, **more: Any) -> int:
    """Pack with the flags of both commands, and `more`; prints a report, returns the exit code."""
    with Progress("packing") as progress:
        report = pack(
            options.source,
            options.out,
            format=options.format,
            count=options.count,
            label=options.label,
            by_label=options.by_label,
            resize=resize_options(options) if options.size else None,
            threads=options.threads,
            max_memory_bytes=options.max_memory_bytes,
            on_progress=progress,
            **more,
        )
    return say_packed(report, options)
