"""lookalike recommend: finds images like those you like."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_collection, add_json, add_results

SUMMARY = "find images like those you like"
EXAMPLE = "lookalike recommend photos.lookalike --liked id:a.jpg --liked id:b.jpg --disliked id:c.jpg"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    for name, what in (("liked", "like"), ("disliked", "unlike")):
        parser.add_argument(
            f"--{name}",
            metavar="QUERY",
            action="append",
            default=[],
            help=f"an item (id:…), image file or text:… that results should be {what}; can be given again",
        )
    parser.add_argument(
        "--user", metavar="NAME", help="a user that the model knows: one that was trained from events"
    )
    add_results(parser)
    parser.add_argument(
        "--diverse",
        type=float,
        nargs="?",
        const=0.3,
        default=0.0,
        metavar="D",
        help="0 to 1: avoid results that are like each other (0.3 without a number)",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_found, say_if_stale
    from lookalike.cli.queries import read_query
    from lookalike.collection import open_collection

    collection = open_collection(options.collection)
    liked, disliked = (
        [read_query(collection, [word]) for word in words] for words in (options.liked, options.disliked)
    )
    results = collection.recommend(
        liked, disliked, options.k, user=options.user, where=options.where, diverse=options.diverse
    )
    say_if_stale(collection)
    asked = {"user": options.user} if options.user else {}
    print_found({**asked, "liked": options.liked, "disliked": options.disliked}, results, options.json)
    return 0 if results else 1
