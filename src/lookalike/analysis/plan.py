"""Plans what to do about duplicates: a file that people can read, change and apply.

A plan moves nothing. Each file that it would move was compared with the very file that stays.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from lookalike.analysis.comparing import Pair
from lookalike.analysis.duplicates import Duplicates
from lookalike.analysis.pictures import local_path
from lookalike.analysis.tiers import DUPLICATES, check_tiers
from lookalike.errors import LookalikeError, counted
from lookalike.storage.derived import Derived, write_derived
from lookalike.storage.files import write_bytes
from lookalike.storage.state import State

NAME = "duplicates"
FORMAT, FORMAT_VERSION = "lookalike-duplicates", 1
Keep = Literal["largest", "oldest"]
Identity = tuple[int | str, int]
_SAME_BYTES = "the files have the same SHA-256"


@dataclass(frozen=True, slots=True)
class File:
    """One file as it was when the plan was made; if it changes, it is not moved."""

    id: str
    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Move:
    """A file to move, the tier in which it duplicates the one that stays, and the evidence."""

    file: File
    tier: str
    reason: str


@dataclass(frozen=True, slots=True)
class Group:
    """One file that stays, why this one, and the files to move."""

    keep: File
    why: str
    move: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The files to move, planned from the collection at the address `collection`, with state `fingerprint`.

    `left_out` images have duplicates, but cannot be moved, because they are in an archive or on the web.
    """

    collection: str
    fingerprint: str
    keep: Keep
    groups: tuple[Group, ...]
    left_out: int

    def __repr__(self) -> str:
        return f"Plan({len(self.moves()):,} files to move, of {counted(len(self.groups), 'group')})"

    def moves(self) -> list[Move]:
        return [move for group in self.groups for move in group.move]


def make_plan(
    found: Duplicates, collection: str, *, keep: Keep = "largest", tiers: Sequence[str] = DUPLICATES
) -> Plan:
    """Plan which files stay and which could move, from the pairs of these tiers.

    `largest` keeps the most pixels, then the most bytes; `oldest` the earliest modification time. A file that
    people have marked as `keep` comes first and is never moved; next comes a picture with transparency that
    the other lacks. If that other has more pixels, each has what the other lacks, and neither is moved. A
    file with several names is moved under one of them at most, and never as a duplicate of another. Raises
    `LookalikeError` for an unknown tier.
    """
    check_tiers(tiers)
    pairs = [pair for pair in found.pairs if pair.tier in tiers and not _differ_in_use(found, pair)]
    movable = [local_path(item["uri"]) is not None for item in found.items]
    doubled = {row for pair in pairs for row in pair.rows}
    groups = tuple(_groups(found, [pair for pair in pairs if all(movable[row] for row in pair.rows)], keep))
    left_out = sum(not movable[row] for row in doubled)
    return Plan(collection, found.state.fingerprint, keep, groups, left_out)


def keep_plan(state: State, items: Sequence[dict[str, Any]], plan: Plan, *, tiers: Sequence[str]) -> None:
    """Write what a plan says about each of the `items` to `derived/duplicates.parquet` and `.json`.

    `group` is the number of the item's group, -1 for none; `tier` is null for the one that stays; `reason`
    says why it stays, or what was checked.
    """
    said: dict[str, tuple[int, str | None, str]] = {}
    for number, group in enumerate(plan.groups):
        said[group.keep.id] = number, None, group.why
        said.update({move.file.id: (number, move.tier, move.reason) for move in group.move})
    ids = [item["id"] for item in items]
    columns = list(zip(*(said.get(id_, (-1, None, None)) for id_ in ids), strict=True))
    types = {"group": pa.int32(), "tier": pa.string(), "reason": pa.string()}
    named = zip(types.items(), columns, strict=True)
    rows = pa.table({"id": ids, **{name: pa.array(values, type_) for (name, type_), values in named}})
    facts = {"keep": plan.keep, "tiers": list(tiers), "groups": len(plan.groups), "left_out": plan.left_out}
    command = ["lookalike", "duplicates", str(state.root), "--keep", plan.keep]
    command += ["--tiers", ",".join(tiers)]
    made = Derived(rows, facts)
    write_derived(state, NAME, made, command)


def _differ_in_use(found: Duplicates, pair: Pair) -> bool:
    """Whether one has transparency, and the other more pixels."""
    if pair.richer is None:
        return False
    richer, other = (found.items[row] for row in (pair.richer, sum(pair.rows) - pair.richer))
    return bool(richer["width"] * richer["height"] < other["width"] * other["height"])


def _groups(found: Duplicates, pairs: Sequence[Pair], keep: Keep) -> Iterator[Group]:
    """Group the best file with all that were compared with it, then the best of the rest, and so on.

    So if A is like B and B is like C, C is not moved as a duplicate of A, which may be different.
    """
    alike: dict[int, list[Pair]] = defaultdict(list)  # by the first with the same bytes, which was compared
    copies: dict[int, list[int]] = defaultdict(list)
    for pair in pairs:
        one, other = pair.rows
        if pair.tier == "bytes":
            copies[one].append(other)
        else:
            alike[one].append(pair)
            alike[other].append(pair)
    richer = {pair.richer for pair in pairs}

    def merit(row: int) -> tuple[Any, ...]:
        return (row not in found.kept, row not in richer, *_merit(found.items[row], keep))

    same = {row: sorted([row, *copies[row]], key=merit) for row in {*alike, *copies}}
    free, taken = set(same), set[Identity]()
    for first in sorted(same, key=lambda row: merit(same[row][0])):
        if first not in free:
            continue
        free.remove(first)
        best, *others = same[first]
        wanted = dict.fromkeys(others, ("bytes", _SAME_BYTES))
        for pair in alike[first]:
            other = sum(pair.rows) - first
            if other in free and not found.kept.intersection(same[other]):
                free.remove(other)
                wanted.update(dict.fromkeys(same[other], (pair.tier, pair.reason)))
        taken.add(identity(_path(found.items[best])))
        moves = []
        for row, (tier, reason) in sorted(wanted.items()):
            file = identity(_path(found.items[row]))
            if file in taken or row in found.kept or (min(best, row), max(best, row)) in found.apart:
                continue
            taken.add(file)
            moves.append(Move(_file(found.items[row]), tier, reason))
        if moves:
            why = _why(found.items[best], keep, best in found.kept, best in richer)
            yield Group(_file(found.items[best]), why, tuple(moves))


def identity(path: Path) -> Identity:
    """Identify a file, whatever its name, by its device and inode.

    A link to its folder, another mount of it and a hard link all lead to the same. A missing file
    has its real path.
    """
    try:
        status = path.stat()
    except OSError:
        return os.path.realpath(path), 0
    return (status.st_dev, status.st_ino) if status.st_ino else (os.path.realpath(path), 0)


def _merit(item: dict[str, Any], keep: Keep) -> tuple[Any, ...]:
    """The sort key for which file to keep; the lowest is kept."""
    largest = (-item["width"] * item["height"], -item["size_bytes"])
    oldest = (item["mtime_ns"],)
    return (*(largest + oldest if keep == "largest" else oldest + largest), item["id"])


def _why(item: dict[str, Any], keep: Keep, is_marked: bool, is_richer: bool) -> str:
    if is_marked:
        return "you chose to keep it"
    if is_richer:
        return "the one with transparency"
    if keep == "oldest":
        return "the oldest of them"
    return f"the largest of them: {item['width']} x {item['height']}, {item['size_bytes']:,} bytes"


def _path(item: dict[str, Any]) -> Path:
    path = local_path(item["uri"])
    assert path is not None  # only such pairs are planned
    return path


def _file(item: dict[str, Any]) -> File:
    return File(item["id"], str(_path(item)), item["size_bytes"], item["sha256"])


def write_plan(plan: Plan, path: str | Path) -> None:
    """Write a plan as JSON, for people to read and change."""
    fields = {"format": FORMAT, "version": FORMAT_VERSION, **asdict(plan)}
    text = json.dumps(fields, indent=2, ensure_ascii=False)
    # A file name that is not valid text keeps its bytes as surrogates, which UTF-8 cannot write.
    write_bytes(Path(path), text.encode("ascii", "backslashreplace") + b"\n" if _odd(text) else text.encode())


def _odd(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def read_plan(path: str | Path) -> Plan:
    """Read a plan; raises `LookalikeError` for anything that is not one."""
    hint = "make the plan again"
    try:
        fields = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise LookalikeError(f"{path} cannot be read: {error.strerror}", hint) from None
    except ValueError as error:
        raise LookalikeError(f"{path} is not JSON: {error}", hint) from None
    if not isinstance(fields, dict) or (fields.get("format"), fields.get("version")) != (
        FORMAT,
        FORMAT_VERSION,
    ):
        raise LookalikeError(f"{path} is not a plan of duplicates", hint)
    try:
        groups = tuple(
            Group(
                _checked(group["keep"]),
                str(group["why"]),
                tuple(
                    Move(_checked(move["file"]), str(move["tier"]), str(move["reason"]))
                    for move in group["move"]
                ),
            )
            for group in fields["groups"]
        )
        return Plan(
            str(fields["collection"]), str(fields["fingerprint"]), fields["keep"], groups, fields["left_out"]
        )
    except (KeyError, TypeError) as error:
        raise LookalikeError(f"{path} has a missing or invalid field: {error}", hint) from None


def _checked(fields: dict[str, Any]) -> File:
    file = File(**fields)
    if not all(isinstance(text, str) for text in (file.id, file.path, file.sha256)):
        raise TypeError(f"file {fields}")
    return file
