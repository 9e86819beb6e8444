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

from lookalike.errors import ChangedError, CollectionError, LookalikeError, call
from lookalike.storage.files import write_bytes
from lookalike.storage.state import State
from lookalike.storage.writing import writing

FORMAT, FORMAT_VERSION = "lookalike-derived", 1
# Which commands derive a table, by the name of the table.
COMMANDS = {"clusters": "cluster", "duplicates": "duplicates", "outliers": "outliers", "map": "map"}
# The derived tables, and the columns of theirs that an item has beside its own, by the name that they get.
TABLES: Mapping[str, Mapping[str, str]] = {
    "clusters": {"cluster_name": "cluster_name"},
    "duplicates": {},
    "outliers": {"outlier_distance": "outlier_distance"},
    "map": {"map_x": "x", "map_y": "y"},
}


@dataclass(frozen=True, slots=True)
class Derived:
    """A derived table: `rows`, one an item in the order of items, and the `facts` about all of them."""

    rows: pa.Table
    facts: Mapping[str, Any]

    def shown(self, name: str) -> pa.Schema:
        """The columns that an item gets from the table `name`, as it has them."""
        names = TABLES[name].items()
        return pa.schema([pa.field(shown, self.rows.schema.field(own).type) for shown, own in names])


def write_derived(state: State, name: str, made: Derived, command: Sequence[str]) -> None:
    """Keep a table that was made from a state of a collection, in place of the one that is there.

    `command`, a list of words, makes it again. The table is written before the JSON that vouches for it.
    Raises `ChangedError` where the collection has changed since, `LookalikeError` for a table that has not a
    row an item, `TypeError` for a command in one string.
    """
    if isinstance(command, str):  # which is a sequence of letters
        raise TypeError(f"the command is a list of words, not the text {command!r}")
    if made.rows.num_rows != state.count:
        raise LookalikeError(
            f"a table of {made.rows.num_rows:,} rows is not one of all {state.count:,} items",
            "keep what was found of the whole collection",
        )
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(made.rows, buffer, compression="zstd", write_page_checksum=True)
    data = buffer.getvalue()
    facts = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "fingerprint": state.fingerprint,
        "command": shlex.join(command),
        "sha256": hashlib.sha256(data).hexdigest(),
        **made.facts,
    }
    with writing(state.root):
        if State.read(state.root).fingerprint != state.fingerprint:
            raise ChangedError(f"{state.root} was changed while it was read", "run it again")
        table_path, facts_path = _paths(state, name)
        write_bytes(table_path, data)
        write_bytes(facts_path, (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode())


def read_derived(state: State, name: str) -> Derived | None:
    """The table of this state of the collection; None where there is none at all.

    Raises `CollectionError`, which says how to make it again, where it is stale or damaged.
    """
    import pyarrow.parquet as pq

    facts = _facts(state, name)
    if facts is None:
        return None
    hint = _again(state, name)
    table_path, _ = _paths(state, name)
    if facts["fingerprint"] != state.fingerprint:
        raise CollectionError(f"{table_path} is older than the collection", hint)
    try:
        data = table_path.read_bytes()
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise CollectionError(f"{table_path} is damaged, or half written by a killed process", hint)
        return Derived(pq.read_table(io.BytesIO(data)), facts)
    except (OSError, pa.ArrowException) as error:
        raise CollectionError(f"{table_path} cannot be read: {error}", hint) from None


def derived_state(state: State, name: str) -> Literal["none", "fresh", "stale"]:
    """Whether there is such a table, and whether it was made from this state of the collection."""
    facts = _facts(state, name)
    if facts is None:
        return "none"
    return "fresh" if facts["fingerprint"] == state.fingerprint else "stale"


def derived_command(state: State, name: str) -> str:
    """The command that made such a table, or that would make one where there is none."""
    facts = _facts(state, name)
    return facts["command"] if facts else shlex.join(["lookalike", COMMANDS[name], str(state.root)])


def _facts(state: State, name: str) -> dict[str, Any] | None:
    _, path = _paths(state, name)
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
            _again(state, name),
        )
    return facts


def _again(state: State, name: str) -> str:
    kept = "" if name == "duplicates" else "write=True"
    return f"make it again with: {call(state.root, f'{COMMANDS[name]}({kept})')}"


def _paths(state: State, name: str) -> tuple[Path, Path]:
    folder = state.root / "derived"
    return folder / f"{name}.parquet", folder / f"{name}.json"
