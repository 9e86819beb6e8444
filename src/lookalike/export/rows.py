"""The rows of a collection one piece after the other, as exports read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from lookalike.collection import Collection, open_collection
from lookalike.errors import CollectionError
from lookalike.storage.parts import Part

# A column of the encoded thumbnails that the pieces get; no column of a collection has such a name.
THUMBNAIL = "\0thumbnail"

# Called with the numbers of items done and to do.
OnProgress = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Progress that nobody wants to know."""


def take_count(collection: Collection, max_items: int | None) -> int:
    """How many items an export takes; raises `CollectionError` where there are none."""
    count = len(collection) if max_items is None else min(max_items, len(collection))
    if not count:
        raise CollectionError(
            f"{collection.path} has no items, so there is nothing to export",
            f"add pictures with: lookalike build FOLDER -c {collection.path}",
        )
    return count


def pieces(
    collection: Collection, rows: int, most: int | None = None, *, thumbnails: bool
) -> Iterator[pa.Table]:
    """Tables of `rows` rows, the last perhaps of fewer, with all columns, in the order of the collection.

    At most the first `most` rows. With `thumbnails` there is a column of JPEGs, empty where an item has none.
    Raises `CollectionError` where the collection is changed meanwhile.
    """
    fingerprint, left = collection.fingerprint(), len(collection) if most is None else most
    waiting = pa.table({})
    for part in collection.parts():
        if not left:
            break
        table = _read(part, thumbnails).slice(0, left)
        left -= table.num_rows
        waiting = (
            pa.concat_tables([waiting, table], promote_options="permissive") if waiting.num_rows else table
        )
        while waiting.num_rows >= rows:
            yield waiting.slice(0, rows).combine_chunks()
            waiting = waiting.slice(rows)
    if waiting.num_rows:
        yield waiting.combine_chunks()
    if open_collection(collection.path).fingerprint() != fingerprint:
        raise CollectionError(f"{collection.path} was changed while it was exported", "export it again")


def _read(part: Part, thumbnails: bool) -> pa.Table:
    table = part.items()
    if not thumbnails:
        return table
    return table.append_column(THUMBNAIL, pa.array(part.thumbnails(table["id"].to_pylist()), pa.binary()))
