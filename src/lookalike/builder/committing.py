"""Commits the parts of a collection, and what every search derives from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from lookalike.builder.part import PIECE, MadePart, Outcome, batches, joined
from lookalike.parallel import in_order
from lookalike.search.confidence import write_background
from lookalike.storage.parts import Failure, Part, failure_table, list_parts
from lookalike.storage.row_file import write_row_file
from lookalike.storage.snapshot import Snapshot

# Pieces that are made, and parts that are written, at a time: a GPU gives ten parts a second, and a disk may
# take a tenth of one to write one. If parts are large, so many rows, but at least two parts.
_AT_ONCE, _ROWS_AT_ONCE = 4, 8192


def derive(root: Path) -> None:
    """Update the derived files that every search uses; call with the lock held."""
    snapshot = Snapshot.open(root)
    with ThreadPoolExecutor(1, "derive") as pool:  # each waits for the disk
        rows = pool.submit(write_row_file, root, snapshot.parts)
        write_background(snapshot)
        rows.result()


def next_number(root: Path) -> int:
    """The number of the next part of a collection."""
    numbers = [part.number for kind in ("items", "failures") for part in list_parts(root, kind)]
    return max(numbers, default=-1) + 1


def commit_part(root: Path, number: int, made: MadePart) -> None:
    """Write a part; renaming its items file commits it."""
    part = Part(root, number)
    part.write_failures(failure_table(made.failures))
    if made.rows.num_rows:
        part.write(made.rows, made.thumbnails, made.made_by)


def commit_parts(
    root: Path,
    failures: Sequence[Failure],
    outcomes: Iterator[Outcome],
    make: Callable[[Sequence[Outcome]], MadePart],
    *,
    part_size: int,
    still_ours: Callable[[], None],
) -> int:
    """Write a part after every `part_size` outcomes; returns how many images were embedded.

    `make` makes each piece of a part while later outcomes are awaited. The first part includes the failures
    of the listing. Parts are written side by side, so one may be there for a moment before the one ahead.
    """

    def commit(numbered: tuple[int, list[Future[MadePart]]]) -> int:
        number, pieces = numbered
        made = joined([piece.result() for piece in pieces])
        still_ours()
        commit_part(root, number, made)
        return len(made.rows)

    at_once = max(2, min(_AT_ONCE, _ROWS_AT_ONCE // part_size))
    with ThreadPoolExecutor(_AT_ONCE, "pieces") as making:
        pieces = (making.submit(make, piece) for piece in _pieces(failures, outcomes, part_size))
        parts = enumerate(batches(pieces, -(-part_size // PIECE)), next_number(root))
        return sum(in_order(commit, parts, at_once, ahead=at_once - 1))


def _pieces(
    failures: Sequence[Failure], outcomes: Iterator[Outcome], part_size: int
) -> Iterator[list[Outcome]]:
    """The outcomes of each piece; the first has the failures of the listing besides."""
    pieces = batches(outcomes, PIECE, part_size)
    if first := [*failures, *next(pieces, ())]:
        yield first
    yield from pieces
