"""lookalike serve: the page of a collection."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_collection, add_page

SUMMARY = "open the page of a collection"
EXAMPLE = "lookalike serve photos.lookalike"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    add_page(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.serving import serve
    from lookalike.collection import open_collection

    return serve(open_collection(options.collection), options)
