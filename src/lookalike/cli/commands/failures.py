"""lookalike failures: what could not be read, and why."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_collection, add_json

SUMMARY = "the images that could not be read, and why"
EXAMPLE = "lookalike failures photos.lookalike"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_json, say
    from lookalike.collection import open_collection

    rows = open_collection(options.collection).failures().to_pylist()
    if options.json:
        print_json(rows)
        return 0
    for row in rows:
        print(f"{row['stage']:8}  {row['id']}  {row['error']}")
    say(f"{len(rows):,} images failed; build again once they are mended" if rows else "no image failed")
    return 0
