"""lookalike cluster: finds groups and names them."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_collection, add_json, add_max_memory, positive

SUMMARY = "find groups of similar images, and name them"
EXAMPLE = "lookalike cluster photos.lookalike --k auto --sheets sheets/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument(
        "--k", type=_number, default="auto", metavar="K", help="how many groups (default: auto)"
    )
    parser.add_argument(
        "--method",
        choices=["kmeans", "hdbscan"],
        default="kmeans",
        help="kmeans puts every image into a group (default); hdbscan leaves out those that fit none",
    )
    parser.add_argument(
        "--min-size",
        type=positive,
        metavar="N",
        help="the smallest group, for hdbscan (default: a third of √N)",
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other groups (default: 0)")
    parser.add_argument("--sheets", metavar="FOLDER", help="write a picture of each group into this folder")
    add_max_memory(parser)
    add_json(parser)


def _number(text: str) -> int | str:
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor auto") from None


def run(options: argparse.Namespace) -> int:
    from lookalike.analysis.clusters import cluster, write_clusters
    from lookalike.analysis.sheets import draw_sheets
    from lookalike.cli.output import print_json, say, show
    from lookalike.collection import open_collection

    snapshot = open_collection(options.collection).snapshot
    found = cluster(
        snapshot,
        options.k,
        method=options.method,
        min_size=options.min_size,
        seed=options.seed,
        max_memory_bytes=options.max_memory_bytes,
    )
    write_clusters(snapshot.state, found)
    if options.json:
        print_json(found.facts())
    else:
        for one in found.clusters:
            show(f"{one.cluster:4} {one.size:7,}  {one.cohesion:.2f}  {one.name}  (such as {one.medoid})")
    say(found.reason + (f"; {found.noise:,} images are in no group" if found.noise else ""))
    if options.sheets:
        sheets = draw_sheets(snapshot, options.sheets)
        say(f"{len(sheets)} contact sheets are in {options.sheets}")
    return 0
