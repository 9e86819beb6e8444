"""lookalike search: finds the items nearest to a query."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lookalike.cli.arguments import add_collection, add_json, add_results
from lookalike.errors import counted

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.search.results import Results

SUMMARY = "find the images most like a picture"
# What is said of the ways of `search.thumbs`.
REFINED = {
    "query": "the marks say nothing that the query does not: it stays as it is",
    "rocchio": "refined by moving the query towards what you like",
    "lda": "refined by what sets the pictures that you like apart",
    "svm": "refined by a plane between the pictures that you like and don't",
}
EXAMPLE = (
    "lookalike search photos.lookalike rose.jpg^2 id:img_7.jpg --not thorn.jpg -k 10\n"
    "  lookalike search photos.lookalike --like id:a.jpg --like id:b.jpg --unlike id:c.jpg"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument(
        "query",
        metavar="QUERY",
        nargs="*",
        help="an image file, id:… for an item of the collection, or text:… for words; several are added up, "
        "and ^2 at the end is a weight; not needed with --like",
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
            metavar="PICTURE",
            action="append",
            default=[],
            help=f"refine the query: an item (id:…) or image file that {what}; can be given again",
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
    from lookalike.collection import open_collection

    _check(options)
    collection = open_collection(options.collection)
    results = _found(collection, options)
    say_if_stale(collection)
    marks = {
        name: [one.removeprefix("id:") for one in marked]
        for name, marked in (("like", options.marked_like), ("unlike", options.marked_unlike))
    }
    asked = {"query": options.query, "not": options.unlike, **marks}
    print_found({name: words for name, words in asked.items() if words}, results, options.json)
    if results.refined:
        say(REFINED[results.refined])
    if results.by_chance:
        say(f"the best hit is weak (confidence {results.surest:.2f}): there may be nothing like it")
    if len(results) < options.k:
        limited = options.where or options.min_confidence > 0 or options.group_by
        how_many = f"only {len(results):,} match" if results else "none matches"
        matching = how_many if limited else "that is all of them"
        say(f"the collection has {counted(len(collection), 'image')}; {matching}")
    return 0 if results else 1


def _check(options: argparse.Namespace) -> None:
    """Raise `LookalikeError` for words that do not go together."""
    from lookalike.errors import LookalikeError, QueryError

    if not options.query and not options.marked_like:
        raise QueryError("nothing is searched for", "give a file, id:…, text:…, or --like with an item")
    if options.group_by and options.unlike:
        raise LookalikeError("--group-by needs pictures of one item", "leave --not out")
    if options.group_by and (options.marked_like or options.marked_unlike):
        raise LookalikeError("--group-by needs pictures of one item", "leave --like and --unlike out")


def _found(collection: Collection, options: argparse.Namespace) -> Results:
    from lookalike.cli.queries import read_marks, read_query
    from lookalike.search.recommend import taste

    wishes: dict[str, Any] = {
        "k": options.k,
        "where": options.where,
        "include_query": options.include_query,
        "min_confidence": options.min_confidence,
    }
    like, unlike = (read_marks(collection, some) for some in (options.marked_like, options.marked_unlike))
    if options.group_by:
        parts = [read_query(collection, [word]) for word in options.query]
        grouped: Results = collection.search(parts, group_by=options.group_by, **wishes)
        return grouped
    query = read_query(collection, options.query, options.unlike)
    if options.query and (like or unlike):
        return collection.refine(query, like, unlike, **wishes)
    if not options.query:  # what is liked is a query by itself
        query += taste(like, unlike)
    found: Results = collection.search(query, **wishes)
    return found
