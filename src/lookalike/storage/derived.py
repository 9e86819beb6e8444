"""Tables that are derived from a collection and can be made again: clusters, outliers, a map.

`derived/NAME.parquet` has a row an item; `derived/NAME.json` vouches for it: from which state of the
collection it was made, by which command, and its checksum. docs/format.md specifies both.
"""

from __future__ import annotations

import hashlib
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from lookalike.collection import Collection, writing
from lookalike.errors import CollectionError
from lookalike.storage.files import write_bytes

FORMAT, FORMAT_VERSION = "lookalike-derived", 1
# Which commands derive a table, by the name of the table.
COMMANDS = {"clusters": "cluster", "duplicates": "duplicates", "outliers": "outliers", "map": "map"}


@dataclass(frozen=True, slots=True)
class Derived:
    """A derived table: `rows`, one an item in the order of items, and the `facts` about all of them."""

    rows: pa.Table
    facts: Mapping[str, Any]


def write_derived(
    collection: Collection, name: str, made: Derived, *, fingerprint: str, command: Sequence[str]
) -> None:
    """Keep a table that was made from the state `fingerprint`, in place of the one that is there.

    `command`, a list of words, makes it again. The table is written before the JSON that vouches for it.
    Raises `CollectionError` where the collection has changed since, `TypeError` for a command in one string.
    """
    if isinstance(command, str):  # which is a sequence of letters
        raise TypeError(f"the command is a list of words, not the text {command!r}")
    buffer = io.BytesIO()
    pq.write_table(made.rows, buffer, compression="zstd", write_page_checksum=True)
    data = buffer.getvalue()
    facts = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "fingerprint": fingerprint,
        "command": shlex.join(command),
        "sha256": hashlib.sha256(data).hexdigest(),
        **made.facts,
    }
    with writing(collection.path):
        if collection.fingerprint() != fingerprint:
            raise CollectionError(
                f"{collection.path} was changed while it was read", f"run it again: {shlex.join(command)}"
            )
        table_path, facts_path = _paths(collection, name)
        write_bytes(table_path, data)
        write_bytes(facts_path, (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode())


def read_derived(collection: Collection, name: str) -> Derived | None:
    """The table of this state of the collection; None where there is none at all.

    Raises `CollectionError`, with the command that makes it again, where it is stale or damaged.
    """
    facts = _facts(collection, name)
    if facts is None:
        return None
    hint = f"make it again with: {facts['command']}"
    table_path, _ = _paths(collection, name)
    if facts["fingerprint"] != collection.fingerprint():
        raise CollectionError(f"{table_path} is older than the collection", hint)
    try:
        data = table_path.read_bytes()
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise CollectionError(f"{table_path} is damaged, or half written by a killed process", hint)
        return Derived(pq.read_table(io.BytesIO(data)), facts)
    except (OSError, pa.ArrowException) as error:
        raise CollectionError(f"{table_path} cannot be read: {error}", hint) from None


def derived_state(collection: Collection, name: str) -> Literal["none", "fresh", "stale"]:
    """Whether there is such a table, and whether it was made from this state of the collection."""
    facts = _facts(collection, name)
    if facts is None:
        return "none"
    return "fresh" if facts["fingerprint"] == collection.fingerprint() else "stale"


def derived_command(collection: Collection, name: str) -> str:
    """The command that made such a table, or that would make one where there is none."""
    facts = _facts(collection, name)
    return facts["command"] if facts else shlex.join(["lookalike", COMMANDS[name], str(collection.path)])


def _facts(collection: Collection, name: str) -> dict[str, Any] | None:
    _, path = _paths(collection, name)
    try:
        facts: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CollectionError(f"{path} cannot be read: {error}", f"remove it: {path}") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise CollectionError(f"{path} does not describe a derived table", "remove it")
    if not all(isinstance(facts.get(key), str) for key in ("fingerprint", "command", "sha256")):
        raise CollectionError(f"{path} does not describe a derived table", "remove it")
    if facts.get("version") != FORMAT_VERSION:
        raise CollectionError(
            f"{path} has version {facts.get('version')}, this Lookalike reads {FORMAT_VERSION}",
            f"make it again with: {facts['command']}",
        )
    return facts


def _paths(collection: Collection, name: str) -> tuple[Path, Path]:
    folder = collection.path / "derived"
    return folder / f"{name}.parquet", folder / f"{name}.json"
