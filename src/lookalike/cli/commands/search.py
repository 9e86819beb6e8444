"""lookalike search: finds the items nearest to a query."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_collection, add_json, add_results
from lookalike.errors import counted

SUMMARY = "find the images most like a picture"
# What is said of the ways of `search.thumbs`.
REFINED = {
    "query": "the marks say nothing that the query does not: it stays as it is",
    "rocchio": "refined by moving the query towards what you like",
    "lda": "refined by what sets the pictures that you like apart",
    "svm": "refined by a plane between the pictures that you like and don't",
}
EXAMPLE = "lookalike search photos.lookalike rose.jpg^2 id:img_7.jpg --not thorn.jpg -k 10"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument(
        "query",
        metavar="QUERY",
        nargs="+",
        help="an image file, id:… for an item of the collection, or text:… for words; several are added up, "
        "and ^2 at the end is a weight",
    )
    parser.add_argument(
        "--not",
        dest="unlike",
        metavar="QUERY",
        action="append",
        default=[],
        help="a query that results should not be like",
    )
    for name, what in (("like", "is what you want"), ("unlike", "is not")):
        parser.add_argument(
            f"--{name}",
            dest=f"marked_{name}",
            metavar="ID",
            action="append",
            default=[],
            help=f"refine the query: an item (id:…) that {what}; can be given again",
        )
    add_results(parser)
    parser.add_argument("--include-query", action="store_true", help="show the items of the query too")
    parser.add_argument(
        "--min-confidence",
        type=float,
        default=0.0,
        metavar="P",
        help="leave out hits with less confidence, 0 to 1 (default: 0)",
    )
    parser.add_argument(
        "--group-by",
        metavar="COLUMN",
        help="take the queries as pictures of one item, and show one hit for each value of COLUMN",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_found, say, say_if_stale
    from lookalike.cli.queries import read_query
    from lookalike.collection import open_collection
    from lookalike.errors import LookalikeError
    from lookalike.search.query import Query

    collection = open_collection(options.collection)
    query: Query | list[Query] = read_query(collection, options.query, options.unlike)
    if options.group_by:
        query = [read_query(collection, [word]) for word in options.query]
        if options.unlike:
            raise LookalikeError("--group-by needs pictures of one item", "leave --not out")
    like, unlike = (
        [one.removeprefix("id:") for one in marked] for marked in (options.marked_like, options.marked_unlike)
    )
    if (like or unlike) and options.group_by:
        raise LookalikeError("--group-by needs pictures of one item", "leave --like and --unlike out")
    wishes = {
        "k": options.k,
        "where": options.where,
        "include_query": options.include_query,
        "min_confidence": options.min_confidence,
    }
    if like or unlike:
        assert isinstance(query, Query)
        results = collection.refine(query, like, unlike, **wishes)
    else:
        results = collection.search(query, group_by=options.group_by, **wishes)
    say_if_stale(collection)
    asked = {"query": options.query, "not": options.unlike, "like": like, "unlike": unlike}
    print_found({name: words for name, words in asked.items() if words}, results, options.json)
    if results.refined:
        say(REFINED[results.refined])
    if results.by_chance:
        say(f"the best hit is weak (confidence {results[0].confidence:.2f}): there may be nothing like it")
    if len(results) < options.k:
        limited = options.where or options.min_confidence > 0 or options.group_by
        matching = f"only {len(results):,} match" if limited else "that is all of them"
        say(f"the collection has {counted(len(collection), 'image')}; {matching}")
    return 0 if results else 1
