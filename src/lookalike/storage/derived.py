"""Tables that are derived from a collection and can be made again: clusters, outliers, a map.

`derived/NAME.parquet` has a row for each item. `derived/NAME.json` records which state of the collection it
was made from, which command made it, and its checksum. docs/format.md specifies both.
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
# The command that makes each table, by the table's name.
COMMANDS = {
    "clusters": "cluster",
    "duplicates": "duplicates",
    "outliers": "outliers",
    "map": "map",
    "taught": "teach",
}
# The columns that each derived table adds to an item, by the name that they get there.
TABLES: Mapping[str, Mapping[str, str]] = {
    "clusters": {"cluster_name": "cluster_name"},
    "duplicates": {},
    "outliers": {"outlier_distance": "outlier_distance"},
    "map": {"map_x": "x", "map_y": "y"},
    "taught": {"taught": "taught"},
}


@dataclass(frozen=True, slots=True)
class Derived:
    """A derived table: `rows`, one for each item in the same order, and `facts` about all of them."""

    rows: pa.Table
    facts: Mapping[str, Any]

    def shown(self, name: str) -> pa.Schema:
        """The columns that the table `name` adds to an item, and their types."""
        names = TABLES[name].items()
        return pa.schema([pa.field(shown, self.rows.schema.field(own).type) for shown, own in names])


def write_derived(state: State, name: str, made: Derived, command: Sequence[str]) -> None:
    """Store a table made from a state of a collection, and replace an older one.

    `command`, a list of words, makes it again. The table is written before the JSON that describes it.
    Raises `ChangedError` if the collection has changed since, `LookalikeError` if the table does not have
    one row for each item, `TypeError` if the command is a single string.
    """
    if isinstance(command, str):  # a string is a sequence too, of letters
        raise TypeError(f"the command has to be a list of words, not the string {command!r}")
    if made.rows.num_rows != state.count:
        raise LookalikeError(
            f"the table has {made.rows.num_rows:,} rows for {state.count:,} items",
            "write results for the whole collection only",
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
    """Return the table of this state of the collection, or None if there is none.

    Raises `CollectionError`, with the call that makes it again, if it is stale or damaged.
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
            raise CollectionError(f"{table_path} is damaged or incomplete", hint)
        return Derived(pq.read_table(io.BytesIO(data)), facts)
    except (OSError, pa.ArrowException) as error:
        raise CollectionError(f"{table_path} cannot be read: {error}", hint) from None


def derived_state(state: State, name: str) -> Literal["none", "fresh", "stale"]:
    """Whether the table exists, and whether it belongs to this state of the collection."""
    facts = _facts(state, name)
    if facts is None:
        return "none"
    return "fresh" if facts["fingerprint"] == state.fingerprint else "stale"


def derived_command(state: State, name: str) -> str:
    """The command that made the table or, if there is none, the command that would."""
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
    kept = "" if name in ("duplicates", "taught") else "write=True"
    return f"make it again with: {call(state.root, f'{COMMANDS[name]}({kept})')}"


def _paths(state: State, name: str) -> tuple[Path, Path]:
    folder = state.root / "derived"
    return folder / f"{name}.parquet", folder / f"{name}.json"
