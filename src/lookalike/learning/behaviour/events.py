"""Reads events: which user did something with which item, when, and how much it counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.errors import LookalikeError, counted, one_line
from lookalike.storage.snapshot import Snapshot

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

_NO_TIME = np.iinfo(np.int64).min

# Names by which a column is recognised, in order.
_NAMES = {
    "user": ("user", "user_id", "userid", "visitor", "visitor_id", "customer", "customer_id", "session"),
    "item": ("item", "item_id", "itemid", "id", "product", "product_id", "image", "key"),
    "when": ("when", "time", "timestamp", "at", "date", "datetime", "ts", "event_time"),
    "weight": ("weight", "how_much", "amount", "count", "rating", "value"),
}


@dataclass(frozen=True, slots=True)
class Events:
    """E events in the order of time: `user` (E,) in [0, U), and `item` (E,), rows of the snapshot.

    `when` int64 (E,) are microseconds since 1970, or row numbers if there are no times. `weight`
    float32 (E,) is above 0. `users` are the names of users. The counts are of events that were left out:
    of `unknown` items, in the `future`, and `invalid` ones: a value is missing, NaN, or a weight not above 0.
    """

    users: Sequence[str]
    user: Ints
    item: Ints
    when: Ints
    weight: Floats
    timed: bool
    unknown: int = 0
    future: int = 0
    invalid: int = 0

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return f"Events({len(self):,} of {counted(len(self.users), 'user')})"


def read_events(
    snapshot: Snapshot,
    path: str | Path,
    *,
    user: str = "",
    item: str = "",
    when: str = "",
    weight: str = "",
    now: datetime | None = None,
) -> Events:
    """Read events about a collection's items from a Parquet or CSV file.

    `user`, `item`, `when` and `weight` name its columns; without a name the usual ones are recognised, and
    without a weight each event counts 1. An item is named by its id. Raises `LookalikeError` if the file
    cannot be read, a column is missing, or no event is left.
    """
    table = _table(Path(path), (user, item))
    columns = {
        what: _column(table, given, what, path)
        for what, given in (("user", user), ("item", item), ("when", when), ("weight", weight))
    }
    if not len(table):
        raise LookalikeError(f"{path} has no events")
    users, items = (_texts(table[columns[what]]) for what in ("user", "item"))
    times, timed = _times(table, columns["when"], path)
    weights = _weights(table, columns["weight"], path)
    latest = int((now or datetime.now(UTC)).timestamp() * 1e6)
    rows = _rows_of(snapshot, items)
    named = np.array([bool(user and item) for user, item in zip(users, items, strict=True)], np.bool_)
    valid = named & np.isfinite(weights) & (weights > 0) & (times > _NO_TIME)
    known = valid & (rows >= 0)
    past = times <= latest if timed else np.ones(len(times), np.bool_)
    kept = np.flatnonzero(known & past)
    if not len(kept):
        raise _nothing_left(path, snapshot.name, columns, rows, known)
    order = kept[np.argsort(times[kept], kind="stable")]
    people, who = np.unique(np.array(users, dtype=object)[order].astype(str), return_inverse=True)
    return Events(
        people.tolist(),
        who.astype(np.int64),
        rows[order],
        times[order],
        weights[order].astype(np.float32),
        timed,
        unknown=int((valid & (rows < 0)).sum()),
        future=int((known & ~past).sum()),
        invalid=int((~valid).sum()),
    )


def _rows_of(snapshot: Snapshot, items: Sequence[str | None]) -> Ints:
    """The rows of items by their ids, (E,); -1 for an unknown one."""
    names, number = np.unique([one or "" for one in items], return_inverse=True)
    found = [snapshot.find(name) if name else None for name in names.tolist()]
    return np.array([-1 if row is None else row for row in found], np.int64)[number]


def _nothing_left(
    path: str | Path, collection: str, columns: Mapping[str, str | None], rows: Ints, known: NDArray[np.bool_]
) -> LookalikeError:
    """Why no event is left: `rows` are those of their items, `known` are complete and about an item."""
    if known.any():
        return LookalikeError(
            f"all {known.sum():,} events in {path} of items of {collection} are in the future",
            f"the column {columns['when']} has to have the times at which they happened",
        )
    if (rows >= 0).any():
        return LookalikeError(
            f"none of the {len(rows):,} events in {path} is complete",
            "each needs a user, an item, a time if the others have one, and a weight above 0 if there is one",
        )
    return LookalikeError(
        f"none of the {len(rows):,} events in {path} is about an item of {collection}",
        f"the column {columns['item']} has to have the ids of its items",
    )


def _table(path: Path, names: Sequence[str]) -> pa.Table:
    """All columns; in a CSV file those that may name users and items, and `names`, are text: 007 is not 7."""
    if not path.exists():
        raise LookalikeError(f"there is no file {path}", "give a Parquet or CSV file as `events`")
    try:
        if path.suffix.lower() in (".csv", ".tsv"):
            from pyarrow import csv

            tabs = csv.ParseOptions(delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            texts = {name: pa.string() for name in (*_NAMES["user"], *_NAMES["item"], *filter(None, names))}
            types = csv.ConvertOptions(column_types=texts, strings_can_be_null=True)
            read: pa.Table = csv.read_csv(path, parse_options=tabs, convert_options=types)
            return read
        import pyarrow.parquet as pq

        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise LookalikeError(
            f"{path} cannot be read: {one_line(error)}", "events are a Parquet or CSV file"
        ) from None


def _column(table: pa.Table, given: str, what: str, path: str | Path) -> str | None:
    """The column that was named, or that has a usual name; None for a missing time or weight."""
    names = table.column_names
    if given:
        if given in names:
            return given
        raise LookalikeError(f"{path} has no column {given}", f"it has: {', '.join(names)}")
    by_name: dict[str, str] = {name.lower(): name for name in reversed(names)}
    for usual in _NAMES[what]:
        if usual in by_name:
            return by_name[usual]
    if what in ("when", "weight"):
        return None
    raise LookalikeError(
        f"{path} has no column that is recognised as the {what}",
        f"name one of {', '.join(names)} as `{what}_column`",
    )


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    return [None if one is None else str(one) for one in column.to_pylist()]


def _weights(table: pa.Table, name: str | None, path: str | Path) -> NDArray[np.float64]:
    if name is None:
        return np.ones(len(table))
    return _numbers(table[name], name, path)


def _numbers(column: pa.ChunkedArray, name: str, path: str | Path) -> NDArray[np.float64]:
    try:
        numbers = column.cast(pa.float64())
    except pa.ArrowException:
        raise LookalikeError(f"the column {name} of {path} has values that are not numbers") from None
    return np.asarray(pc.fill_null(numbers, float("nan")).to_numpy(), np.float64)


def _microseconds(text: object) -> int | None:
    """Since 1970, of a time as text; without a zone it is UTC. None if it is no time."""
    try:
        found = datetime.fromisoformat(str(text).strip())
    except ValueError:
        return None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1e6)


def _times(table: pa.Table, name: str | None, path: str | Path) -> tuple[Ints, bool]:
    """Microseconds since 1970, `_NO_TIME` for a missing one; row numbers without a column."""
    if name is None:
        return np.arange(len(table)), False
    column = table[name]
    if pa.types.is_string(column.type) or pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        try:
            moments = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        except pa.ArrowException:  # of text with zones, or that is no time
            moments = pa.chunked_array(
                [pa.array([_microseconds(one) for one in column.to_pylist()], pa.int64())]
            )
        if moments.null_count == len(moments) > 0:
            raise LookalikeError(
                f"the column {name} of {path} has no times", "write them as in 2026-01-31T18:30:00"
            )
        return np.asarray(pc.fill_null(moments, _NO_TIME).to_numpy(), np.int64), True
    seconds = _numbers(column, name, path)
    finite = np.isfinite(seconds)
    largest = float(np.abs(seconds[finite]).max(initial=0))
    # Seconds since 1970 have ten digits, milliseconds thirteen, microseconds sixteen.
    unit = 1e6 if largest < 1e11 else 1e3 if largest < 1e14 else 1.0
    scaled = np.where(finite, seconds, 0) * unit
    return np.where(finite & (np.abs(scaled) < 9e18), scaled, _NO_TIME).astype(np.int64), True
