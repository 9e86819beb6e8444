"""lookalike teach: teaches words by examples, so that they can be searched for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lookalike.cli.arguments import add_collection, add_json
from lookalike.errors import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lookalike.collection import Collection
    from lookalike.search.own_words import OwnWord
    from lookalike.search.taught import ColumnWords

SUMMARY = "teach a word by examples, to search for it"
EXAMPLE = "lookalike teach photos.lookalike rex --like id:a.jpg --like id:b.jpg --unlike id:c.jpg"

_SHOWN = 40  # characters of a value that is no word


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument(
        "word",
        metavar="WORD",
        nargs="?",
        help="the word; without one, make the tags of the taught words again, and list these",
    )
    for name, what in (("like", "shows it"), ("unlike", "does not")):
        parser.add_argument(
            f"--{name}",
            metavar="PICTURE",
            action="append",
            default=[],
            help=f"an item (id:…), or the file of one, that {what}; can be given again",
        )
    parser.add_argument(
        "--from",
        dest="column",
        metavar="COLUMN",
        help="teach every value of a column, or every folder: folder",
    )
    parser.add_argument("--forget", action="store_true", help="take back all that WORD was taught")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import say
    from lookalike.cli.queries import read_example
    from lookalike.collection import open_collection
    from lookalike.errors import LookalikeError
    from lookalike.models.spelling import spelling
    from lookalike.search.taught import column_words

    collection = open_collection(options.collection)
    examples = [[read_example(collection, word) for word in some] for some in (options.like, options.unlike)]
    ways = [options.forget, bool(options.column), any(examples)]
    if sum(ways) > 1 or (options.forget or any(examples)) != (options.word is not None):
        raise LookalikeError(
            "it is not clear what to teach",
            "give a WORD with --like and --unlike or with --forget, or --from",
        )
    if options.forget:
        return _forget(collection, options)
    other = _also(options.word, collection)
    found = column_words(collection.snapshot, options.column) if options.column else None
    taught = collection.teach_from(options.column) if found else collection.teach(options.word, *examples)
    if options.word:
        taught = [one for one in taught if spelling(one.name) == spelling(options.word)]
    _show(collection, taught, found, is_json=options.json)
    if found:
        _say_what_became(found, options.column)
    if other:
        say(f"{other}; what you taught goes before that")
    if not taught:
        say("no picture here has taught a word; teach one with WORD --like id:…")
    return 0


def _forget(collection: Collection, options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_json, say

    collection.forget(options.word)
    if options.json:
        print_json({"forgot": options.word})
    say(f"forgot {options.word}")
    return 0


def _show(
    collection: Collection, taught: Sequence[OwnWord], found: ColumnWords | None, *, is_json: bool
) -> None:
    """Print the taught words, and how many pictures have each as a tag."""
    from lookalike.cli.output import print_json, show

    tagged = collection.to_arrow()["taught"].to_pylist() if taught else []
    counts = {one.name: sum(one.name in (tags or ()) for tags in tagged) for one in taught}
    if is_json:
        words = [{"word": one.name, "examples": one.count, "pictures": counts[one.name]} for one in taught]
        more = {"joined": found.joined, "left_out": found.left_out} if found else {}
        print_json({"words": words, **more})
    else:
        for one in taught:
            show(f"{one}; tag of {counted(counts[one.name], 'picture')}")


def _say_what_became(found: ColumnWords, column: str) -> None:
    """Say which values of a column are one word, and which are none."""
    from lookalike.cli.output import say
    from lookalike.search.taught import WORD_RULE

    if found.joined:
        first = found.joined[0]
        also = f", and {len(found.joined) - 1:,} more" if len(found.joined) > 1 else ""
        say(f"spelled alike, and so one word: {', '.join(map(repr, first))}{also}")
    if found.left_out:
        first_out = found.left_out[0]
        shown = first_out if len(first_out) <= _SHOWN else f"{first_out[:_SHOWN]}…"
        say(f"left out: {counted(len(found.left_out), 'value')} of {column}, such as {shown!r}; {WORD_RULE}")


def _also(word: str | None, collection: Collection) -> str:
    """What a word means so far, if nobody taught it; empty if nothing."""
    from lookalike.models.known import BUILT_IN
    from lookalike.models.spelling import spelling
    from lookalike.models.words import vocabulary

    own = (one for one in collection.words() if spelling(one.name) == spelling(word or ""))
    found = next(own, None)
    if word is None or (found is not None and found.origin == "taught"):
        return ""
    if found is not None:
        return str(found)
    is_built_in = collection.manifest.model.name == BUILT_IN
    return f"{word}: a word of the model" if is_built_in and vocabulary().find(word) else ""
