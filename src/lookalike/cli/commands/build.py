"""lookalike build: embeds what is new in a source."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from lookalike.cli.arguments import add_json, add_source, positive
from lookalike.cli.network import add_network

SUMMARY = "embed what is new in a source and drop what is gone"
EXAMPLE = "lookalike build photos/ -c photos.lookalike --label folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    parser.add_argument(
        "--part-size", type=positive, default=1024, metavar="N", help="images a part (default: 1024)"
    )
    add_network(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.building import build
    from lookalike.cli.output import print_json

    collection, report = build(options, options.part_size)
    if options.json:
        print_json({"collection": str(collection.path), **asdict(report)})
    return 0 if len(collection) else 1
