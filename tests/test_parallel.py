"""Work in threads gives what `map` gives, in order, and never runs further ahead than it may."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from lookalike import parallel
from lookalike.parallel import cores, in_order, undisturbed


def halved(number: int) -> int:
    """Work that takes longer for some, so that they end in another order."""
    time.sleep(number % 3 / 1000)
    return number // 2


@settings(max_examples=30, deadline=None, database=None)
@given(st.lists(st.integers(0, 100), max_size=12), st.integers(1, 5), st.integers(0, 15))
def test_the_results_are_those_of_map_whatever_the_threads_and_the_bound(
    numbers: list[int], threads: int, ahead: int
) -> None:
    assert list(in_order(halved, numbers, threads, ahead=ahead)) == list(map(halved, numbers))


@pytest.mark.parametrize(("ahead", "taken"), [(0, 1), (1, 2), (5, 6)])
def test_it_takes_no_more_things_than_the_one_that_comes_next_and_those_ahead(ahead: int, taken: int) -> None:
    seen = []

    def things() -> Iterator[int]:
        for number in count():
            seen.append(number)
            yield number

    results = in_order(halved, things(), 2, ahead=ahead)
    assert seen == []
    for done in range(3):
        assert next(results) == done // 2
        assert len(seen) == taken + done
    results.close()


def test_several_are_worked_on_at_once() -> None:
    both = threading.Barrier(2, timeout=10)  # one alone would never pass it
    assert sorted(in_order(lambda _: both.wait(), range(2), 2, ahead=1)) == [0, 1]


def test_an_error_comes_in_the_place_of_its_result() -> None:
    results = in_order(lambda number: 6 // number, [3, 2, 0, 1], 2, ahead=4)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []


def test_an_error_of_the_things_is_raised_at_once() -> None:
    def things() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        next(in_order(halved, things(), 2, ahead=4))


def test_left_early_it_forgets_what_waits_and_ends_after_what_runs() -> None:
    begun, ended, release = [], [], threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number == 1:
            threading.Timer(0.05, release.set).start()
            release.wait(10)
        ended.append(number)
        return number

    results = in_order(work, range(100), 1, ahead=50)
    assert next(results) == 0
    while begun != [0, 1]:
        time.sleep(0.001)
    results.close()
    assert begun == ended == [0, 1]


def test_left_early_it_closes_the_things_first_as_the_work_may_wait_for_them() -> None:
    begun, closed = threading.Event(), threading.Event()

    def things() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.set()

    def work(number: int) -> bool:
        if number == 0:
            return True
        begun.set()
        return closed.wait(10)

    results = in_order(work, things(), 1, ahead=3)
    assert next(results) is True
    assert begun.wait(10)
    started_s = time.monotonic()
    results.close()
    assert time.monotonic() - started_s < 5


def test_an_executor_that_is_given_stays_open_and_what_waits_in_it_is_forgotten() -> None:
    begun, release = [], threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number:
            release.wait(10)
        return number

    with ThreadPoolExecutor(1) as pool:
        results = in_order(work, range(10), pool, ahead=8)
        assert next(results) == 0
        while begun != [0, 1]:
            time.sleep(0.001)
        results.close()  # without a wait for what runs
        release.set()
        assert pool.submit(halved, 8).result() == 4
    assert begun == [0, 1]


def test_while_blocks_overlap_products_take_one_thread_and_cycles_are_seldom_looked_for() -> None:
    def state() -> tuple[list[int], int]:
        blas = [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
        return blas, gc.get_threshold()[0]

    before = state()
    first, second = undisturbed(), undisturbed()
    first.__enter__()
    assert state() == ([1] * len(before[0]), 50_000)
    second.__enter__()
    first.__exit__(None, None, None)
    assert state() == ([1] * len(before[0]), 50_000)
    second.__exit__(None, None, None)
    assert state() == before


@pytest.mark.parametrize("usual", [0, 60_000])
def test_cycles_are_not_looked_for_more_often_than_usual(usual: int) -> None:
    before = gc.get_threshold()
    gc.set_threshold(usual, *before[1:])
    try:
        with undisturbed():
            assert gc.get_threshold()[0] == usual
        assert gc.get_threshold()[0] == usual
    finally:
        gc.set_threshold(*before)


@pytest.fixture
def share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that says how much of the processor a container gets, on a machine of 16 cores."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr(parallel, "_SHARE", tmp_path / "cpu.max")
    parallel._share.cache_clear()
    yield tmp_path / "cpu.max"
    parallel._share.cache_clear()


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("200000 100000\n", 2),
        ("250000 100000\n", 3),
        ("50000 100000\n", 1),
        ("6400000 100000\n", 16),
        ("max 100000\n", 16),
        ("", 16),
    ],
)
def test_a_container_has_the_cores_that_its_share_of_the_processor_fills(
    share: Path, said: str, count: int
) -> None:
    share.write_text(said)
    assert cores() == count


def test_without_a_container_all_cores_count(share: Path) -> None:
    assert cores() == 16


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux binds processes to cores")
def test_a_process_that_is_bound_to_one_core_has_one() -> None:
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from lookalike.parallel import cores; print(cores())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
