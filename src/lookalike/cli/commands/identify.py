"""lookalike identify: says what pictures show, by the labelled pictures of a collection."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, Any

from lookalike.cli.arguments import add_collection, add_json, add_label, positive

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.learning.identify import Identified

SUMMARY = "say which label a picture has, or that it is unknown"
_ALL_LABELLED = "all items have a label"
_NONE_PROPOSED = "no label is proposed; identify --fill proposes some"
_NO_STRANGERS = (
    "the model has learned to tell labels apart, and takes many pictures of other things for one of them; "
    "ask in a collection of its base model, which tells these better"
)
EXAMPLE = "lookalike identify leaves.lookalike leaf.jpg --label species"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument(
        "pictures", metavar="PICTURE", nargs="*", help="an image file, or id:… for an item of the collection"
    )
    add_label(parser)
    parser.add_argument(
        "--right",
        type=float,
        default=0.9,
        metavar="SHARE",
        help="how many of the answers should be right; the others are unknown (default: 0.9)",
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--fill", action="store_true", help="propose labels for all items without one")
    other.add_argument("--proposed", action="store_true", help="list the proposed labels")
    other.add_argument(
        "--confirm", action="store_true", help="make proposed labels labels: those of the items, or all"
    )
    other.add_argument(
        "--reject",
        action="store_true",
        help="what is proposed for these items is wrong; don't propose it again",
    )
    other.add_argument(
        "--ask", type=positive, metavar="N", help="name N items whose labels would say most about the others"
    )
    other.add_argument("--as", dest="value", metavar="LABEL", help="give the items this label")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.collection import open_collection
    from lookalike.errors import LookalikeError

    collection = open_collection(options.collection)
    if options.fill or options.proposed:
        return _proposals(collection, options)
    if options.confirm or options.reject or options.value is not None:
        return _label(collection, options)
    if options.ask:
        return _ask(collection, options)
    if not options.pictures:
        raise LookalikeError("no picture is given", "name an image file, or id:… for an item")
    return _identify(collection, options)


def _identify(collection: Collection, options: argparse.Namespace) -> int:
    """A line for each picture; one that cannot be read costs no other, and ends with code 1."""
    from lookalike.cli.output import print_json, say, show
    from lookalike.cli.queries import read_query
    from lookalike.errors import ImageError, QueryError

    found: list[dict[str, Any]] = []
    knows_strangers = True
    for word in options.pictures:
        try:
            query = read_query(collection, [word], takes_text=False)
            one = collection.identify(query, options.label, right=options.right)
        except (ImageError, QueryError) as error:
            if len(options.pictures) == 1:
                raise
            say(str(error))
            found.append({"picture": word, "error": str(error)})
            continue
        found.append({"picture": word, **one.as_dict()})
        knows_strangers = one.knows_strangers
        if not options.json:
            show(_line(word, one))
    if options.json:
        print_json(found)
    if not knows_strangers:
        say(_NO_STRANGERS)
    return int(any("error" in one for one in found))


def _line(word: str, one: Identified) -> str:
    """The answer for one picture, and the neighbours that say so."""
    near = ", ".join(f"{hit.id} {hit.score:.2f}" for hit in one.neighbours[:3]) or "no other"
    likeliest, chance = one.likely[0]
    if one.label is not None:
        same = f"the same picture as {one.same}; " if one.same else ""
        return f"{one.label}  {_percent(chance)}  {word}  ({same}like {near})"
    if one.reason == "strange":
        return f"unknown  {word}  (unlike all that is labelled; the nearest is {likeliest}: {near})"
    guesses = " or ".join(f"{name} {_percent(share)}" for name, share in one.likely[:2])
    return f"unknown  {word}  (not sure: {guesses})"


def _percent(chance: float) -> str:
    """A probability is never shown as certain."""
    return f"{min(chance, 0.99):.0%}"


def _proposals(collection: Collection, options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from lookalike.cli.output import print_json, say, show
    from lookalike.cli.progress import Progress
    from lookalike.learning.identify import proposals

    if options.fill:
        with Progress("identifying", "items") as progress:
            made = collection.identify_missing(
                options.label, right=options.right, write=True, on_progress=progress
            )
        waiting, trial = made.proposed, made.trial
        could = f"{trial.answered:.0%} could, and {trial.right:.0%} of those rightly"
        say(
            f"{len(waiting):,} of {made.asked:,} items without a label can be identified; of labelled ones "
            f"that were held out, {could if trial.answered else 'none could'}"
            if made.asked
            else _ALL_LABELLED
        )
        if waiting and not made.knows_strangers:
            say(_NO_STRANGERS)
    else:
        waiting = proposals(collection.snapshot, options.label)
        if not waiting:
            say(_NONE_PROPOSED)
    if options.json:
        print_json([asdict(one) for one in waiting])
    else:
        for one in waiting:
            show(f"{one.label}  {_percent(one.probability)}  {one.id}")
    if waiting and options.fill:
        say(f"nothing is labelled yet; if they are right: {_again(options)} --confirm")
    return 0 if waiting else 1


def _label(collection: Collection, options: argparse.Namespace) -> int:
    """Confirm or reject proposals, or give items a label."""
    from lookalike.cli.output import print_json, say
    from lookalike.cli.queries import read_example
    from lookalike.errors import LookalikeError
    from lookalike.storage.own_pictures import example_of

    ids = [example_of(collection.snapshot, read_example(collection, word)) for word in options.pictures]
    if not ids and not options.confirm:
        raise LookalikeError("no item is given", "name id:… for each item")
    if options.reject:
        collection.reject(ids, label=options.label)
        if options.json:
            print_json({"rejected": len(ids)})
        say(f"{len(ids):,} {'proposal is' if len(ids) == 1 else 'proposals are'} withdrawn")
        return 0
    if options.confirm:
        count = collection.confirm(ids or None, label=options.label)
    else:
        count = len(ids)
        collection.give_label(ids, options.value, label=options.label)
    if options.json:
        print_json({"labelled": count})
    say(f"{count:,} {'item has' if count == 1 else 'items have'} a label now" if count else _NONE_PROPOSED)
    return 0 if count else 1


def _ask(collection: Collection, options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_json, say, show

    ids = [item.id for item in collection.to_label(options.ask, options.label)]
    if options.json:
        print_json(ids)
    else:
        for id_ in ids:
            show(id_)
    say(f"label them: {_again(options)} id:… --as LABEL" if ids else _ALL_LABELLED)
    return 0 if ids else 1


def _again(options: argparse.Namespace) -> str:
    """The command for the same collection and column."""
    column = [] if options.label == "label" else ["--label", options.label]
    return shlex.join(["lookalike", "identify", options.collection, *column])
