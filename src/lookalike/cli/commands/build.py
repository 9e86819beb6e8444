"""lookalike build: embeds the new images of a source."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from lookalike.cli.arguments import add_json, add_source, positive
from lookalike.cli.network import add_network

SUMMARY = "make a collection of images, or bring it up to date"
EXAMPLE = "lookalike build photos/ -c photos.lookalike --label folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    parser.add_argument(
        "--part-size", type=positive, default=1024, metavar="N", help="images in each part (default: 1024)"
    )
    add_network(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.building import build
    from lookalike.cli.output import print_json
    from lookalike.cli.views import say_next

    collection, report = build(options, options.part_size)
    if not options.collection:
        say_next(collection)
    if options.json:
        print_json({"collection": str(collection.path), **asdict(report)})
    return 0 if len(collection) else 1
