"""--max-memory bounds the resident set of the process, changes no result, and says what would be enough."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import command

import lookalike
from lookalike.analysis import neighbours as neighbours_module
from lookalike.analysis.neighbours import nearest_others
from lookalike.cli import main
from lookalike.collection import Collection
from lookalike.errors import MemoryLimitError
from lookalike.index import build_index, open_index
from lookalike.storage.derived import read_derived
from lookalike.storage.selection import Selection

COUNT, DIM = 30_000, 512
# Reading parts of 16 MiB takes 200 MB of it, the matrix would take 61 MB.
LIMIT_BYTES = 240_000_000

# A small collection first, whose peak is that of the program itself.
PEAK = """
import re, sys
from pathlib import Path
from lookalike.collection import open_collection

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

limit = int(sys.argv[2]) or None
work = {
    "evaluate": lambda c: c.evaluate(ks=(1,), voters=1, max_queries=1200, max_memory_bytes=limit),
    "cluster": lambda c: c.cluster(20, max_memory_bytes=limit, write=True),
    "map": lambda c: c.map(max_memory_bytes=limit, write=True),
    "neighbours": lambda c: c.neighbors(10, max_memory_bytes=limit),
}[sys.argv[1]]
work(open_collection(sys.argv[3]))
before = peak()
work(open_collection(sys.argv[4]))
print(peak() - before)
"""


def make(path: Path, count: int, dim: int) -> Collection:
    """Vectors around 50 directions, each labelled by its direction."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 50, count)
    vectors = rng.normal(size=(50, dim)).astype(np.float32)[labels]
    vectors += rng.standard_normal((count, dim), np.float32)
    ids = [f"{row:06d}" for row in range(count)]
    return lookalike.from_vectors(path, vectors, ids, columns={"label": [str(one) for one in labels]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("limits")
    make(folder / "small.lookalike", 60, DIM)
    make(folder / "large.lookalike", COUNT, DIM)
    return folder


def peak_bytes(what: str, limit: int, folder: Path) -> int:
    """What the work on the large collection adds to the highest resident set of a process."""
    arguments = [what, str(limit), str(folder / "small.lookalike"), str(folder / "large.lookalike")]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *arguments], capture_output=True, text=True, env=os.environ, check=True
    )
    return int(done.stdout.split()[-1])


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("what", ["evaluate", "cluster", "map"])
def test_the_peak_of_the_process_stays_below_the_limit(what, folder):
    assert peak_bytes(what, LIMIT_BYTES, folder) < LIMIT_BYTES


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_without_a_limit_the_same_evaluation_takes_more(folder):
    assert peak_bytes("evaluate", 0, folder) > LIMIT_BYTES


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_the_peak_stays_below_the_limit_where_an_index_is_built(folder):
    assert peak_bytes("neighbours", 300_000_000, folder) < 300_000_000


def needed(work) -> int:
    """The least limit that is enough, as the error of too small a one says it."""
    with pytest.raises(MemoryLimitError, match=r"raise it to `max_memory_bytes=\d+`") as raised:
        work(1)
    return raised.value.need_bytes


@pytest.mark.slow
def test_an_evaluation_is_the_same_whatever_the_limit(tmp_path):
    collection = make(tmp_path / "c.lookalike", 9000, 64)

    def judged(limit: int | None):
        return collection.evaluate(max_queries=300, max_memory_bytes=limit)

    least = needed(judged)

    within, without = judged(least), judged(None)
    # Products of other shapes may round the last bit of a cosine to the other side.
    assert [one.id for one in within.worst] == [one.id for one in without.worst]
    assert replace(within, worst=()) == replace(without, worst=())


@pytest.mark.slow
def test_neighbours_are_the_same_whatever_the_limit(tmp_path):
    selection = Selection.of(make(tmp_path / "c.lookalike", 2500, 8).snapshot)

    def near(limit: int | None):
        return nearest_others(selection, 5, max_memory_bytes=limit)

    within, without = near(needed(near)), near(None)

    assert within.rows.tolist() == without.rows.tolist()
    assert within.scores == pytest.approx(without.scores, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "name"),
    [
        (lambda c, limit: c.cluster(5, max_memory_bytes=limit, write=True), "clusters"),
        (lambda c, limit: c.cluster(method="hdbscan", max_memory_bytes=limit, write=True), "clusters"),
        (lambda c, limit: c.map(max_memory_bytes=limit, write=True), "map"),
        (lambda c, limit: c.outliers(max_memory_bytes=limit, write=True), "outliers"),
    ],
)
def test_what_is_derived_is_the_same_whatever_the_limit(work, name, tmp_path):
    collection = make(tmp_path / "c.lookalike", 600, 16)
    work(collection, None)
    without = read_derived(collection.snapshot.state, name).rows

    work(collection, needed(lambda limit: work(collection, limit)))

    for before, after in zip(
        without.columns, read_derived(collection.snapshot.state, name).rows.columns, strict=True
    ):
        if pa.types.is_floating(before.type):
            assert after.to_numpy() == pytest.approx(before.to_numpy(), abs=1e-6)
        else:
            assert after.equals(before)


@pytest.mark.slow
def test_an_index_that_does_not_fit_is_refused_and_one_is_built_that_does(tmp_path, monkeypatch):
    monkeypatch.setattr(neighbours_module, "_MOST_EXACT", 100)
    collection = make(tmp_path / "c.lookalike", 3000, 256)
    selection = Selection.of(collection.snapshot)
    least = needed(lambda limit: nearest_others(selection, 5, max_memory_bytes=limit)) + 2_000_000

    nearest_others(selection, 5, max_memory_bytes=least)
    assert open_index(collection.snapshot.state).info.max_memory_bytes < 2_100_000
    build_index(collection.path, "flat")

    with pytest.raises(MemoryLimitError, match=r"or make it smaller: .*index\(max_memory_bytes=2\d{6}\)"):
        nearest_others(selection, 5, max_memory_bytes=least)


def test_the_least_that_is_asked_for_is_enough_and_a_coarse_index_is_said_to_be_one(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(neighbours_module, "_MOST_EXACT", 100)
    collection = lookalike.from_vectors(
        tmp_path / "c.lookalike",
        np.random.default_rng(0).normal(size=(3000, 256)).astype(np.float32),
        [str(row) for row in range(3000)],
    )
    work = partial(collection.outliers, write=True)
    limit = needed(lambda limit: work(max_memory_bytes=limit))
    while True:  # the index comes after the columns
        try:
            recall = work(max_memory_bytes=limit).recall
            break
        except MemoryLimitError as error:
            assert error.need_bytes > limit
            limit = error.need_bytes

    assert recall < 0.9
    assert json.loads((collection.path / "derived" / "outliers.json").read_text())["recall"] == recall
    assert main(["outliers", str(collection.path), "--max-memory", str(limit)]) == 0
    assert f"the index found {recall:.0%} of the nearest neighbours" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["cluster", "duplicates", "outliers", "map", "evaluate"])
def test_every_command_takes_the_limit(name, tmp_path):
    make(tmp_path / "c.lookalike", 100, 16)

    done = command(name, tmp_path / "c.lookalike", "--max-memory", "1kB")

    assert done.returncode == 1
    assert re.search(
        r"needs at least [\d,]+ bytes, the limit is 1,000\n  raise it to --max-memory \d+MB\n", done.stderr
    )
