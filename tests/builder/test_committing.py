"""Pieces are made, and parts are written, side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from lookalike.builder.committing import commit_parts
from lookalike.builder.part import MadePart, Outcome
from lookalike.errors import StorageError
from lookalike.storage.parts import Failure, list_parts


def failures(count: int) -> Iterator[Failure]:
    return (Failure(str(number), f"file:///{number}", "read", "gone") for number in range(count))


class Together:
    """Counts the threads that are in a call, and lets them go on when there are so many."""

    def __init__(self, at_once: int) -> None:
        self.most = self._now = 0
        self._lock, self._barrier = threading.Lock(), threading.Barrier(at_once)

    def __call__(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self._barrier.wait(10)
        with self._lock:
            self._now -= 1


def made_of(outcomes: Sequence[Outcome]) -> MadePart:
    """A piece of failures alone."""
    return MadePart(pa.table({}), [], [one for one in outcomes if isinstance(one, Failure)])


def commit(
    root: Path,
    count: int,
    *,
    part_size: int,
    listing: Sequence[Failure] = (),
    make: Callable[[Sequence[Outcome]], MadePart] = made_of,
    still_ours: Callable[[], None] = lambda: None,
) -> list[list[str]]:
    """Commit so many outcomes; returns the ids in each part."""
    made = commit_parts(root, listing, failures(count), make, part_size=part_size, still_ours=still_ours)
    assert made == 0  # nothing was embedded
    return [part.failures()["id"].to_pylist() for part in list_parts(root, "failures")]


@pytest.mark.parametrize(("part_size", "at_once"), [(3, 4), (2048, 4), (3000, 2), (10_000, 2)])
def test_four_parts_are_written_at_a_time_or_two_large_ones(
    tmp_path: Path, part_size: int, at_once: int
) -> None:
    writing = Together(at_once)
    found = commit(tmp_path, 4 * part_size, part_size=part_size, still_ours=writing)
    assert [len(ids) for ids in found] == [part_size] * 4
    assert writing.most == at_once


def test_parts_keep_the_order_of_their_outcomes(tmp_path: Path) -> None:
    assert commit(tmp_path, 7, part_size=3) == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    large = [id_ for part in commit(tmp_path / "large", 700, part_size=300) for id_ in part]
    assert large == [str(number) for number in range(700)]


def test_four_pieces_of_up_to_256_are_made_at_a_time_and_none_crosses_the_end_of_a_part(
    tmp_path: Path,
) -> None:
    making, sizes = Together(4), []

    def make(outcomes: Sequence[Outcome]) -> MadePart:
        making()
        sizes.append((int(outcomes[0].id), len(outcomes)))  # type: ignore[union-attr]
        return made_of(outcomes)

    commit(tmp_path, 856, part_size=600, make=make)
    assert sorted(sizes) == [(0, 256), (256, 256), (512, 88), (600, 256)]
    assert making.most == 4


def test_a_part_that_cannot_be_written_leaves_those_beside_it_whole(tmp_path: Path) -> None:
    (tmp_path / "failures" / "part-000001.parquet.tmp").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot write"):
        commit(tmp_path, 12, part_size=3, still_ours=Together(4))
    found = {part.number: part.failures()["id"].to_pylist() for part in list_parts(tmp_path, "failures")}
    assert found == {0: ["0", "1", "2"], 2: ["6", "7", "8"], 3: ["9", "10", "11"]}


def test_the_failures_of_the_listing_are_in_the_first_part_alone(tmp_path: Path) -> None:
    found = commit(tmp_path, 5, part_size=3, listing=list(failures(2)))
    assert found == [["0", "1", "0", "1", "2"], ["3", "4"]]


def test_without_outcomes_the_failures_of_the_listing_are_a_part(tmp_path: Path) -> None:
    assert commit(tmp_path, 0, part_size=3, listing=list(failures(2))) == [["0", "1"]]


def test_without_outcomes_and_failures_nothing_is_written(tmp_path: Path) -> None:
    assert commit(tmp_path, 0, part_size=3) == []
