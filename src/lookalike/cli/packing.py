"""Packs with progress, for several commands."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from lookalike.acquire.pack import pack
from lookalike.cli.output import print_json, say
from lookalike.cli.progress import Progress
from lookalike.cli.resizing import resize_options
from lookalike.errors import counted


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
            shard_size=options.shard_size,
            resize=resize_options(options) if options.size else None,
            threads=options.threads,
            max_memory_bytes=options.max_memory_bytes,
            on_progress=progress,
            **more,
        )
    if options.json:
        print_json({"out": options.out, **asdict(report)})
    failed = f", {report.failed:,} failed (see: {options.out}/_pack.json)" if report.failed else ""
    say(
        f"{counted(report.images, 'image')} in {counted(report.shards, 'shard')}, "
        f"{report.bytes / 1e6:.1f} MB{failed}"
    )
    return 0 if report.images else 1
