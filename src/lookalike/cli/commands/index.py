"""lookalike index: makes search fast."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from lookalike.cli.arguments import add_collection, add_json, add_max_memory

SUMMARY = "make search fast: pick, build and measure an index"
EXAMPLE = "lookalike index photos.lookalike --max-memory 1GB --min-recall 0.95"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument(
        "--type",
        dest="kind",
        default="auto",
        metavar="TYPE",
        help="auto (default: by count, dimension and memory), flat, hnsw, ivf, ivf-pq, rabitq or ivf-rabitq",
    )
    add_max_memory(parser)
    parser.add_argument(
        "--min-recall",
        type=float,
        default=0.95,
        metavar="R",
        help="the share of the 10 nearest that search must find (default: 0.95)",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_json, show
    from lookalike.cli.progress import Progress
    from lookalike.collection import open_collection
    from lookalike.index import build_index

    collection = open_collection(options.collection)
    with Progress("indexing") as progress:
        built = build_index(
            collection.path,
            options.kind,
            max_memory_bytes=options.max_memory_bytes,
            min_recall=options.min_recall,
            on_progress=progress,
        )
    if options.json:
        print_json(asdict(built))
        return 0
    show(f"{built.kind}: {built.reason}")
    show(
        f"recall@10 {built.recall:.3f}, {built.latency_ms:.2f} ms a query, "
        f"{built.bytes / 1e6:.1f} MB, built in {built.build_s:.1f} s"
    )
    return 0
