"""Commits the parts of a collection, and what every search derives from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from lookalike.builder.part import MadePart, Outcome
from lookalike.parallel import in_order
from lookalike.search.confidence import write_background
from lookalike.storage.parts import Failure, Part, failure_table, list_parts
from lookalike.storage.row_file import write_row_file
from lookalike.storage.snapshot import Snapshot

# Parts that are made at a time: a GPU gives ten a second, and a disk may take a tenth of one to write one. If
# they are large, so many rows, but at least two parts: one is written while the next is made.
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
    make: Callable[[Iterable[Outcome]], MadePart],
    *,
    part_size: int,
    still_ours: Callable[[], None],
) -> int:
    """Write a part after every `part_size` outcomes; returns how many images were embedded.

    The first part includes the failures of the listing. Parts are made and committed side by side, while the
    outcomes of the next are awaited, so one may be there for a moment before the one ahead of it.
    """

    def commit(numbered: tuple[int, list[Outcome]]) -> int:
        number, some = numbered
        made = make(some)
        still_ours()
        commit_part(root, number, made)
        return len(made.rows)

    groups = enumerate(_groups(failures, outcomes, part_size), next_number(root))
    at_once = max(2, min(_AT_ONCE, _ROWS_AT_ONCE // part_size))
    return sum(in_order(commit, groups, at_once, ahead=at_once - 1))


def _groups(
    failures: Sequence[Failure], outcomes: Iterator[Outcome], part_size: int
) -> Iterator[list[Outcome]]:
    """The outcomes of each part; the first has the failures of the listing besides."""
    before = failures
    while some := [*before, *islice(outcomes, part_size)]:
        yield some
        before = ()
