"""Parts are made and committed side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from lookalike.builder.committing import commit_parts
from lookalike.builder.part import MadePart
from lookalike.storage.parts import Failure, list_parts


def failures(count: int) -> Iterator[Failure]:
    return (Failure(str(number), f"file:///{number}", "read", "gone") for number in range(count))


class Making:
    """Makes parts of failures alone; counts those at a time, and waits until there are so many."""

    def __init__(self, at_once: int, fails: str = "") -> None:
        self.most = self._now = 0
        self._fails, self._lock = fails, threading.Lock()
        self._together = threading.Barrier(at_once)

    def __call__(self, outcomes: list) -> MadePart:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self._together.wait(10)
        with self._lock:
            self._now -= 1
        if outcomes[0].id == self._fails:
            raise ValueError("not today")
        return MadePart(pa.table({}), [], list(outcomes))


def commit(root: Path, making: Making, count: int, part_size: int) -> list[list[str]]:
    """Commit so many outcomes; returns the ids in each part."""
    assert commit_parts(root, (), failures(count), making, part_size=part_size, still_ours=lambda: None) == 0
    return [part.failures()["id"].to_pylist() for part in list_parts(root, "failures")]


def test_four_parts_are_made_at_a_time_and_keep_their_order(tmp_path: Path) -> None:
    making = Making(4)
    found = commit(tmp_path, making, 24, part_size=3)
    assert found == [[str(number) for number in range(first, first + 3)] for first in range(0, 24, 3)]
    assert making.most == 4


@pytest.mark.parametrize(("part_size", "at_once"), [(2048, 4), (3000, 2), (10_000, 2)])
def test_of_large_parts_two_are_made_at_a_time(tmp_path: Path, part_size: int, at_once: int) -> None:
    making = Making(at_once)
    found = commit(tmp_path, making, 4 * part_size, part_size=part_size)
    assert [len(ids) for ids in found] == [part_size] * 4
    assert making.most == at_once


def test_a_part_that_fails_leaves_those_beside_it_whole(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not today"):
        commit(tmp_path, Making(4, fails="3"), 24, part_size=3)
    assert [part.number for part in list_parts(tmp_path, "failures")][:3] == [0, 2, 3]


def test_the_failures_of_the_listing_are_in_the_first_part_alone(tmp_path: Path) -> None:
    listing = list(failures(2))
    commit_parts(tmp_path, listing, failures(3), Making(1), part_size=3, still_ours=lambda: None)
    (part,) = list_parts(tmp_path, "failures")
    assert part.failures()["id"].to_pylist() == ["0", "1", "0", "1", "2"]


def test_without_outcomes_and_failures_nothing_is_written(tmp_path: Path) -> None:
    assert commit(tmp_path, Making(1), 0, part_size=3) == []
