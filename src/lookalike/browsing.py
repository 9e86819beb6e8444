"""The items of a collection that meet some conditions, to look at one by one, or all in a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.checking import checked_methods
from lookalike.errors import ArgumentError, counted
from lookalike.search.engine import Engine
from lookalike.search.live import LiveCollection
from lookalike.storage.items import Item, Items, data_frame
from lookalike.storage.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas

Rows = NDArray[np.int64]
Answer = TypeVar("Answer")

# The number of pictures that represent a collection in a notebook.
_SHOWN = 24


@checked_methods
class Browsed:
    """The items of a collection that meet all `conditions`; see `View`, which also searches them."""

    def __init__(
        self, path: Path, conditions: tuple[str, ...] = (), live: LiveCollection | None = None
    ) -> None:
        self.path, self.conditions = path, conditions
        self._live = live

    @property
    def name(self) -> str:
        """The folder's name without its suffix."""
        return self.path.name.removesuffix(".lookalike")

    @property
    def snapshot(self) -> Snapshot:
        """The current state of the collection; whatever is read from it later belongs to this state."""
        return self._ask(lambda engine, rows: engine.snapshot)

    # Items.

    def __len__(self) -> int:
        return self._ask(lambda engine, rows: len(engine) if rows is None else len(rows))

    def __bool__(self) -> bool:
        return True  # an empty collection is true too

    def __iter__(self) -> Iterator[Item]:
        snapshot, rows = self._ask(lambda engine, rows: (engine.snapshot, _all(engine, rows)))
        return (Item(snapshot, row) for row in rows.tolist())

    def __contains__(self, id_: object) -> bool:
        def found(engine: Engine, rows: Rows | None) -> bool:
            row = engine.snapshot.find(id_) if isinstance(id_, str) else None
            return row is not None and (rows is None or bool(np.isin(row, rows)))

        return self._ask(found)

    @overload
    def __getitem__(self, key: str | int) -> Item: ...
    @overload
    def __getitem__(self, key: slice) -> Items: ...
    def __getitem__(self, key: str | int | slice) -> Item | Items:
        """An item by id or number, or several by a slice; `KeyError` with similar ids, or `IndexError`."""
        return self._ask(lambda engine, rows: _item(engine.snapshot, rows, key))

    @property
    def ids(self) -> list[str]:
        return self._ask(lambda engine, rows: engine.snapshot.ids(_all(engine, rows)))

    def items(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows as a table: the stored columns that describe a picture, or the named ones.

        The embedding and the position of a thumbnail come only by name.
        """
        return self._ask(
            lambda engine, rows: _taken(_table(engine.snapshot, engine.snapshot.schema, columns), rows)
        )

    def to_arrow(self) -> pa.Table:
        """As `items`, with what was derived of them: the names of clusters, places on the map and so on."""
        return self._ask(
            lambda engine, rows: _taken(_table(engine.snapshot, engine.snapshot.all_columns), rows)
        )

    def to_pandas(self) -> pandas.DataFrame:
        """The same as a DataFrame; raises `ExtraError` without pandas."""
        return data_frame(self.to_arrow())

    def embeddings(self, ids: Sequence[str] | None = None) -> NDArray[np.float32]:
        """The stored vectors, float32 (N, D) of unit length, in the order of `items()` or of `ids`."""

        def read(engine: Engine, rows: Rows | None) -> NDArray[np.float32]:
            return engine.snapshot.vectors(_all(engine, rows) if ids is None else _rows_of(engine, rows, ids))

        return self._ask(read)

    def thumbnails(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The JPEGs of these items by id; items without a picture are left out."""

        def read(engine: Engine, rows: Rows | None) -> dict[str, bytes]:
            names = list(ids)
            jpegs = engine.snapshot.thumbnails(_rows_of(engine, rows, names))
            return {id_: jpeg for id_, jpeg in zip(names, jpegs, strict=True) if jpeg}

        return self._ask(read)

    def _repr_html_(self) -> str:
        first = self[:_SHOWN]
        count = len(self)
        more = f" The first {len(first)}:" if count > len(first) else ""
        return f"<p>{counted(count, 'image')}.{more}</p>{first._repr_html_()}"

    # Internals.

    def _followed(self) -> LiveCollection:
        if self._live is None:
            self._live = LiveCollection(self.path)
        return self._live

    def _ask(self, work: Callable[[Engine, Rows | None], Answer]) -> Answer:
        """Return `work(engine, rows)` for the newest engine; `rows` is None if all rows count."""

        def asked(engine: Engine) -> Answer:
            masks = [engine.mask(condition) for condition in self.conditions]
            return work(engine, np.flatnonzero(np.all(masks, axis=0)) if masks else None)

        return self._followed().ask(asked)


def _rows_of(engine: Engine, rows: Rows | None, ids: Sequence[str]) -> Rows:
    """The rows of items in the order asked; raises `KeyError` for one that the conditions exclude."""
    if isinstance(ids, str):
        raise ArgumentError(f"give a list of ids, not the string {ids!r}")
    found = engine.snapshot.rows_of(ids)
    if rows is not None and not np.isin(found, rows).all():
        raise _left_out(next(id_ for id_, row in zip(ids, found, strict=True) if row not in rows))
    return found


def _left_out(id_: str) -> KeyError:
    return KeyError(f"{id_!r} is in the collection, but does not meet the condition")


def _all(engine: Engine, rows: Rows | None) -> Rows:
    return np.arange(len(engine)) if rows is None else rows


def _table(snapshot: Snapshot, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    shown = [name for name in schema.names if name not in Item.HIDDEN]
    return snapshot.table(shown if columns is None else columns)


def _taken(table: pa.Table, rows: Rows | None) -> pa.Table:
    return table if rows is None else table.take(pa.array(rows))


def _item(snapshot: Snapshot, rows: Rows | None, key: str | int | slice) -> Item | Items:
    if isinstance(key, str):
        row = snapshot.row_of(key)
        if rows is not None and not np.isin(row, rows):
            raise _left_out(key)
        return Item(snapshot, row)
    numbers = range(len(snapshot)) if rows is None else rows
    if isinstance(key, slice):
        return Items(Item(snapshot, int(row)) for row in numbers[key])
    if not isinstance(key, int | np.integer):
        raise ArgumentError(f"give an id, a number or a slice, not {type(key).__name__}")
    if not -len(numbers) <= key < len(numbers):
        raise IndexError(f"there are {len(numbers):,} items, none has number {key}")
    return Item(snapshot, int(numbers[int(key)]))
