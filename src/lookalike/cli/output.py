"""Prints for the commands: results on the standard output, everything else on the standard error."""

from __future__ import annotations

import json
import re
import shlex
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.search.results import Results

_GOOD_RECALL = 0.9  # an index has 0.95 if memory allows

# Control characters, ends of lines, and the marks that change the writing direction (UAX 9).
_UNSAFE = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """A line that is safe to print: characters that control a terminal, as in file names, are escaped."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def show(line: str) -> None:
    """Print one line of the results."""
    print(printable(line))


def say(message: str) -> None:
    """Print one line of messages."""
    print(printable(message), file=sys.stderr, flush=True)


def say_recall(recall: float, collection: str) -> None:
    """Warn if many of the neighbours used were not the nearest."""
    if recall < _GOOD_RECALL:
        say(
            f"the index found {recall:.0%} of the nearest neighbours; for more, raise --max-memory of "
            f"lookalike index {shlex.quote(collection)}, then run this again"
        )


def print_json(value: Any) -> None:
    from lookalike.storage.columns import jsonable

    print(json.dumps(jsonable(value), indent=2, ensure_ascii=False, default=str))


def print_results(results: Results) -> None:
    """Print a line for each hit: rank, score, confidence, label, id and tags."""
    width = max((len(hit.label or "") for hit in results), default=0)
    for rank, hit in enumerate(results, 1):
        tags = f"  ({', '.join(hit.tags)})" if hit.tags else ""
        confidence = "" if hit.confidence is None else f"{hit.confidence:.0%}"
        show(f"{rank:4}  {hit.score:6.3f}  {confidence:>4}  {hit.label or '':{width}}  {hit.id}{tags}")


def print_found(asked: dict[str, Any], results: Results, as_json: bool) -> None:
    """Print the results; as JSON, after the query."""
    if as_json:
        meant = [one.as_dict() for one in results.meant]
        print_json({**asked, **({"words": meant} if meant else {}), "hits": results.as_dicts()})
    else:
        print_results(results)
    for one in results.meant:
        for line in one.lines:
            say(line)


def say_if_stale(collection: Collection) -> None:
    """Say if the index could not be used."""
    from lookalike.index import index_state

    if index_state(collection.snapshot.state) == "stale":
        path = shlex.quote(str(collection.path))
        say(f"the index is older than the collection, so the search was exact; lookalike index {path}")
