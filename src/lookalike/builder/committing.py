"""Commits the parts of a collection, and what every search derives from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, count, islice
from pathlib import Path

from lookalike.builder.part import MadePart, Outcome
from lookalike.search.confidence import write_background
from lookalike.storage.parts import Failure, Part, failure_table, list_parts
from lookalike.storage.row_file import write_row_file
from lookalike.storage.snapshot import Snapshot


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
    make: Callable[[Iterator[Outcome]], MadePart],
    *,
    part_size: int,
    still_ours: Callable[[], None],
) -> int:
    """Write a part after every `part_size` outcomes; returns how many images were embedded.

    The first part includes the failures of the listing. A part is written while the next one is made, and
    committed before that one is.
    """

    def write(number: int, made: MadePart) -> None:
        still_ours()
        commit_part(root, number, made)

    total = 0
    with ThreadPoolExecutor(1, "write") as writer:
        written: Future[None] | None = None
        for number in count(next_number(root)):
            made = make(chain(failures, islice(outcomes, part_size)))
            if written:
                written.result()
            if not made.rows.num_rows and not made.failures:
                break
            written = writer.submit(write, number, made)
            total += made.rows.num_rows
            failures = ()
    return total
