"""lookalike serve: serves the page and the API of collections."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_decoding_memory, add_page

SUMMARY = "open the page of one or more collections"
EXAMPLE = "lookalike serve photos.lookalike"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("collections", metavar="C", nargs="+", help="the folder of a collection")
    add_page(parser)
    add_decoding_memory(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.serving import serve
    from lookalike.collection import open_collection

    return serve([open_collection(path) for path in options.collections], options)
