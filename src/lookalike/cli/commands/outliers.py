"""lookalike outliers: finds images that don't belong."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_collection, add_json, add_label, add_max_memory, positive

SUMMARY = "find images unlike all others, and labels that are likely wrong"
EXAMPLE = "lookalike outliers photos.lookalike --label label"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    add_label(parser)
    parser.add_argument(
        "-k", type=positive, metavar="K", help="how many neighbours to look at (default: 10, or all of fewer)"
    )
    parser.add_argument(
        "--most", type=positive, default=20, metavar="N", help="how many to show (default: 20)"
    )
    add_max_memory(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from lookalike.analysis.outliers import KEPT, find_outliers, write_outliers
    from lookalike.cli.output import print_json, say, say_recall, show
    from lookalike.cli.progress import Progress
    from lookalike.collection import open_collection

    snapshot = open_collection(options.collection).snapshot
    with Progress("comparing") as progress:
        found = find_outliers(
            snapshot,
            options.label,
            k=options.k,
            most=max(options.most, KEPT),
            max_memory_bytes=options.max_memory_bytes,
            on_progress=progress,
        )
    write_outliers(snapshot.state, found)
    found = replace(
        found, farthest=found.farthest[: options.most], mislabelled=found.mislabelled[: options.most]
    )
    say_recall(found.recall, options.collection)
    if options.json:
        print_json(found.facts())
        return 0
    show(f"unlike all others (mean distance to the {found.k} nearest, 0 to 2)")
    for one in found.farthest:
        show(f"  {one.distance:.3f}  {one.id}")
    if found.mislabelled:
        show(f"likely mislabelled (with the label of most of the {found.k} nearest)")
    for wrong in found.mislabelled:
        show(f"  labelled {wrong.label}, but {wrong.share:.0%} are {wrong.suggested}  {wrong.id}")
    if not found.labelled:
        say(f"no item has a value in the column {options.label}, so no labels were checked")
    return 0
