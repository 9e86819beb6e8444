"""lookalike verify: reads every byte and finds damage."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_collection, add_json
from lookalike.errors import counted

SUMMARY = "read every byte of a collection and find damage"
EXAMPLE = "lookalike verify photos.lookalike"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_json, say, show
    from lookalike.cli.remedies import in_flags
    from lookalike.collection import open_collection

    collection = open_collection(options.collection)
    problems = list(collection.verify())
    if options.json:
        print_json({"collection": str(collection.path), "problems": problems})
    else:
        for problem in problems:
            show(in_flags(problem))
    if not problems:
        say(f"{collection.path}: {counted(len(collection), 'image')}, nothing wrong")
        return 0
    say(f"{len(problems):,} problems; to repair a damaged part, remove its items file and build again")
    return 1
