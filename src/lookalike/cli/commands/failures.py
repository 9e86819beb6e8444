"""lookalike failures: lists the images that could not be read, and why."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_collection, add_json
from lookalike.errors import counted

SUMMARY = "list the images that could not be read, and why"
EXAMPLE = "lookalike failures photos.lookalike"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_json, say, show
    from lookalike.cli.remedies import in_flags
    from lookalike.collection import open_collection

    rows = open_collection(options.collection).failures().to_pylist()
    if options.json:
        print_json(rows)
        return 0
    for row in rows:
        show(f"{row['stage']:8}  {row['id']}  {in_flags(row['error'], 'build')}")
    say(_summary(len(rows)))
    return 0


def _summary(count: int) -> str:
    if not count:
        return "every image was read"
    return f"{counted(count, 'image')} could not be read; fix or remove them, then build again"
