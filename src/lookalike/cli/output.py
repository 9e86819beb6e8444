"""What commands print: results on the standard output, everything else on the standard error."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lookalike.acquire.pack import Report
    from lookalike.collection import Collection
    from lookalike.search.results import Results

_GOOD_RECALL = 0.9  # that of an index is 0.95 where memory allows it

# Control characters, ends of lines, and the marks that turn the direction of writing (UAX 9).
_UNSAFE = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """A line that a terminal shows as it is: what would steer it, as in names of files, becomes escapes."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def show(line: str) -> None:
    """One line of the results."""
    print(printable(line))


def say(message: str) -> None:
    """One line beside the results."""
    print(printable(message), file=sys.stderr, flush=True)


def say_recall(recall: float, collection: str) -> None:
    """Whether many of the neighbours that something was judged by were not the nearest."""
    if recall < _GOOD_RECALL:
        say(
            f"the index found {recall:.0%} of the nearest neighbours; for more, give more --max-memory to "
            f"lookalike index {shlex.quote(collection)}, then run this again"
        )


def print_json(value: Any) -> None:
    from lookalike.storage.columns import jsonable

    print(json.dumps(jsonable(value), indent=2, ensure_ascii=False, default=str))


def say_packed(report: Report, options: argparse.Namespace) -> int:
    """What a pack has done; returns the exit code."""
    if options.json:
        print_json({"out": options.out, **asdict(report)})
    failed = f", {report.failed:,} failed (see: {options.out}/_pack.json)" if report.failed else ""
    say(f"{report.images:,} images in {report.shards:,} shards, {report.bytes / 1e6:.1f} MB{failed}")
    return 0 if report.images else 1


def print_results(results: Results) -> None:
    """A line a hit: rank, score, confidence, label, id and tags."""
    width = max((len(hit.label or "") for hit in results), default=0)
    for rank, hit in enumerate(results, 1):
        tags = f"  ({', '.join(hit.tags)})" if hit.tags else ""
        confidence = "" if hit.confidence is None else f"{hit.confidence:.0%}"
        show(f"{rank:4}  {hit.score:6.3f}  {confidence:>4}  {hit.label or '':{width}}  {hit.id}{tags}")


def print_found(asked: dict[str, Any], results: Results, as_json: bool) -> None:
    """The results; as JSON, after what was asked."""
    if as_json:
        print_json({**asked, "hits": results.as_dicts()})
    else:
        print_results(results)


def say_if_stale(collection: Collection) -> None:
    """Tell that an index was there and could not be used."""
    from lookalike.index import index_state

    if index_state(collection.snapshot.state) == "stale":
        path = shlex.quote(str(collection.path))
        say(f"the index is older than the collection, so the search was exact; lookalike index {path}")
