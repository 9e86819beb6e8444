"""lookalike info: shows what is in a collection."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, Any

from lookalike.cli.arguments import add_collection, add_json

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.storage.state import State

SUMMARY = "show what is in a collection"
EXAMPLE = "lookalike info photos.lookalike"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_json, show
    from lookalike.collection import open_collection

    collection = open_collection(options.collection)
    facts = _facts(collection)
    if options.json:
        print_json(facts)
        return 0
    for name, value in _in_lines(facts).items():
        show(f"{name:12}  {value:,}" if isinstance(value, int) else f"{name:12}  {value}")
    return 0


def _facts(collection: Collection) -> dict[str, Any]:
    """What is in the collection, and what was made of it."""
    from lookalike.storage.derived import COMMANDS
    from lookalike.storage.label_values import label_counts, own_columns

    snapshot = collection.snapshot
    size = sum(path.stat().st_size for path in collection.path.rglob("*") if path.is_file())
    return {
        "collection": str(collection.path),
        "images": len(snapshot),
        "failures": collection.failures().num_rows,
        "parts": len(snapshot.parts),
        "bytes": size,
        "model": snapshot.manifest.model.name,
        "dimensions": snapshot.manifest.model.dim,
        "dtype": snapshot.manifest.dtype,
        "sources": list(snapshot.manifest.sources),
        "columns": own_columns(snapshot),
        "labels": label_counts(snapshot),
        "fingerprint": snapshot.fingerprint,
        "made": {name: _made(snapshot.state, name) for name in ("index", *COMMANDS)},
    }


def _in_lines(facts: dict[str, Any]) -> dict[str, Any]:
    """The same as a line each: numbers, and text that is not empty."""
    shown = {
        **facts,
        "bytes": f"{facts['bytes']:,} ({facts['bytes'] / 1e6:.1f} MB)",
        "sources": ", ".join(facts["sources"]),
        "columns": ", ".join(facts["columns"]),
        "labels": ", ".join(f"{label} {count:,}" for label, count in facts["labels"].items()),
        **{
            name: _in_words(**made)
            for name, made in facts["made"].items()
            if name != "taught" or made["state"] != "none"  # most collections need no tags
        },
    }
    del shown["made"]
    return {name: value for name, value in shown.items() if value != ""}  # no labels, or no own columns


def _made(state: State, name: str) -> dict[str, str]:
    """Whether an analysis exists and is up to date, or the command that makes it."""
    from lookalike.cli.remedies import in_flags
    from lookalike.errors import CollectionError
    from lookalike.index import index_state
    from lookalike.storage.derived import derived_command, derived_state

    try:
        if name == "index":
            command = shlex.join(["lookalike", "index", str(state.root)])
            return {"state": index_state(state), "command": command}
        return {"state": derived_state(state, name), "command": derived_command(state, name)}
    except CollectionError as error:
        return {"state": "unusable", "command": in_flags(error.hint)}


def _in_words(state: str, command: str) -> str:
    if state == "fresh":
        return "up to date"
    what = {"none": "none yet", "stale": "older than the collection", "unusable": "unusable"}[state]
    return f"{what}: {command}"
