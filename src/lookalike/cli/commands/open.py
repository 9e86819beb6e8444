"""lookalike open: builds, then serves."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_page, add_source
from lookalike.cli.network import add_network

SUMMARY = "build what is new, then open the page; the same as: lookalike FOLDER"
EXAMPLE = "lookalike open photos/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_network(parser)
    add_page(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.building import build
    from lookalike.cli.serving import serve
    from lookalike.cli.views import make_views, say_next
    from lookalike.collection import open_collection
    from lookalike.storage.manifest import is_collection
    from lookalike.storage.stores import place

    if is_collection(place(options.source)):
        return serve([open_collection(options.source)], options)
    collection, _ = build(options)
    if not len(collection):
        return 1
    make_views(collection)
    say_next(collection)
    return serve([collection], options)
