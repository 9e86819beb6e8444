"""Read the rows of a collection piece by piece, for exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from lookalike.errors import CollectionError, call_of_build
from lookalike.storage.snapshot import Snapshot

# The column of encoded thumbnails that the pieces get; no column of a collection has this name.
THUMBNAIL = "\0thumbnail"

# Called with the numbers of items done and to do.
OnProgress = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Ignore the progress."""


def take_count(snapshot: Snapshot, max_items: int | None) -> int:
    """Count the items to export; raises `CollectionError` if there are none."""
    count = len(snapshot) if max_items is None else min(max_items, len(snapshot))
    if not count:
        raise CollectionError(
            f"{snapshot.root} has no items, so there is nothing to export",
            f"add pictures with: {call_of_build(snapshot.root)}",
        )
    return count


def pieces(snapshot: Snapshot, rows: int, most: int | None = None, *, thumbnails: bool) -> Iterator[pa.Table]:
    """Yield tables of `rows` rows (the last may have fewer) with all columns, in the order of the collection.

    At most the first `most` rows. With `thumbnails` there is a column of JPEGs, empty if an item has none.
    Raises `ChangedError` if the collection changes meanwhile.
    """
    left = len(snapshot) if most is None else most
    waiting = pa.table({})
    for place in range(len(snapshot.parts)):
        if not left:
            break
        table = _read(snapshot, place, thumbnails).slice(0, left)
        left -= table.num_rows
        waiting = (
            pa.concat_tables([waiting, table], promote_options="permissive") if waiting.num_rows else table
        )
        while waiting.num_rows >= rows:
            yield waiting.slice(0, rows).combine_chunks()
            waiting = waiting.slice(rows)
    if waiting.num_rows:
        yield waiting.combine_chunks()


def _read(snapshot: Snapshot, place: int, thumbnails: bool) -> pa.Table:
    table = snapshot.items_of(place)
    if not thumbnails:
        return table
    ranges = zip(table["thumb_offset"].to_pylist(), table["thumb_size"].to_pylist(), strict=True)
    return table.append_column(THUMBNAIL, pa.array(snapshot.parts[place].thumbnails(ranges), pa.binary()))
