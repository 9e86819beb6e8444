"""Marks are put together while others write and read, and a kill at any step loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marking import A, B, at, files, mark, the_file

from lookalike.storage.files import remove_temporary
from lookalike.storage.marks import Mark, compact_marks, marks_stamp, read_marks, write_marks


def test_compaction_makes_one_file_of_the_last_words(tmp_path):
    for second, value in enumerate(["cat", "dog", None]):
        write_marks(tmp_path, [mark(second, "label", {"a": A}, value), mark(second, "note", {"b": B}, value)])
    write_marks(tmp_path, [mark(5, "note", {"b": B}, "x")])
    before = read_marks(tmp_path)
    compact_marks(tmp_path)

    assert read_marks(tmp_path) == before
    assert pq.read_table(the_file(tmp_path))["value"].to_pylist() == [None, '"x"']


def test_a_journal_of_one_file_is_not_written_again(tmp_path):
    write_marks(tmp_path, [mark(1, "label", {"a": A}, "cat")])
    stamp = marks_stamp(tmp_path)
    compact_marks(tmp_path)

    assert marks_stamp(tmp_path) == stamp


def test_an_earlier_word_that_comes_after_the_compaction_does_not_win(tmp_path):
    for second in (1, 2):
        write_marks(tmp_path, [mark(second, "label", {"a": A}, None)])
    compact_marks(tmp_path)
    write_marks(tmp_path, [mark(0, "label", {"a": A}, "cat")])

    assert len(read_marks(tmp_path)) == 0


PICTURES = [("a", A), ("b", B), ("c", A), ("d", "")]
SAID = st.tuples(
    st.integers(0, 3),
    st.sampled_from(["label", "note"]),
    st.lists(st.sampled_from(PICTURES), max_size=2, unique=True),
    st.none() | st.sampled_from(["x", "y", 1, [2]]),
)
Word = tuple[int, str, list[tuple[str, str]], object]


def slow_last_words(batches: list[list[Word]]) -> dict[tuple[str, frozenset], object]:
    """The value of each thing, found by sorting all that was said of it."""
    said: dict[tuple[str, frozenset], list] = {}
    for batch in batches:
        of_batch = {}
        for second, kind, pictures, value in batch:
            of_batch[kind, frozenset(pictures), second] = value
        for (kind, pictures, second), value in of_batch.items():
            said.setdefault((kind, pictures), []).append((second, value is None, json.dumps(value), value))
    return {thing: sorted(words, key=lambda word: word[:3])[-1][3] for thing, words in said.items()}


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(steps=st.lists(st.none() | st.lists(SAID, min_size=1, max_size=4), max_size=8))
def test_what_is_read_is_what_a_slow_reading_of_all_words_gives(tmp_path_factory, steps):
    root = tmp_path_factory.mktemp("marks")
    batches = [step for step in steps if step is not None]
    for step in steps:  # None is a compaction
        if step is None:
            compact_marks(root)
        else:
            write_marks(
                root,
                [
                    Mark(at(second), kind, [one for one, _ in pictures], [two for _, two in pictures], value)
                    for second, kind, pictures, value in step
                ],
            )
    found = read_marks(root)
    compact_marks(root)

    assert {(one.kind, frozenset(one.pictures)): one.value for one in found.last} == slow_last_words(batches)
    assert read_marks(root) == found


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from lookalike.storage.marks import Mark, write_marks
root, name = Path(sys.argv[1]), sys.argv[2]
for number in range(50):
    said = [Mark(datetime.now(UTC), "label", (f"{name}-{number}-{row}",), ("",), number) for row in range(3)]
    write_marks(root, [*said, Mark(datetime.now(UTC), "label", ("last",), ("",), [name, number])])
"""


@pytest.mark.process
def test_nothing_is_lost_when_two_processes_write_and_a_third_compacts(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in ("one", "two")
    ]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        remove_temporary(tmp_path)  # as a build does
        compact_marks(tmp_path)
        count = len(read_marks(tmp_path))
        assert count >= seen
        seen = count
    assert [writer.returncode for writer in writers] == [0, 0]
    compact_marks(tmp_path)
    found = {one.ids[0]: one.value for one in read_marks(tmp_path).of("label")}

    assert found.pop("last") in (["one", 49], ["two", 49])
    assert found == {
        f"{name}-{number}-{row}": number
        for name in ("one", "two")
        for number in range(50)
        for row in range(3)
    }
    assert len(files(tmp_path)) == 1


READER = """
import sys
from pathlib import Path
from lookalike.storage.marks import read_marks
while True:
    print(len(read_marks(Path(sys.argv[1]))), flush=True)
"""


@pytest.mark.process
def test_a_reader_misses_nothing_while_files_are_put_together(tmp_path):
    write_marks(tmp_path, [mark(0, "label", {"0": ""}, 0)])
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    reader.stdout.readline()
    for number in range(1, 100):
        write_marks(tmp_path, [mark(number, "label", {str(number): ""}, number)])
        compact_marks(tmp_path)
    reader.kill()
    counts = [int(line) for line in reader.communicate()[0].splitlines()[:-1]]

    assert counts == sorted(counts)
    assert len(counts) > 20


# A child compacts and kills itself at the nth change of the disk, before the change.
KILLED = """
import os, signal, sys
from pathlib import Path
from lookalike.storage.marks import compact_marks
taken = 0
def hook(event, arguments):
    global taken
    writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in ("os.rename", "os.remove"):
        taken += 1
        if taken == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
compact_marks(Path(sys.argv[1]))
"""


@pytest.mark.process
def test_a_compaction_that_is_killed_at_any_step_loses_nothing(tmp_path):
    steps, code, counts = 0, -signal.SIGKILL, []
    while code == -signal.SIGKILL:
        steps += 1
        root = tmp_path / str(steps)
        for second in range(3):
            write_marks(root, [mark(second, "label", {"a": A, str(second): B}, second)])
        whole = read_marks(root)
        code = subprocess.run([sys.executable, "-c", KILLED, str(root), str(steps)], check=False).returncode

        assert read_marks(root) == whole
        counts.append(len(marks_stamp(root)))
        compact_marks(root)
        assert read_marks(root) == whole
        assert len(marks_stamp(root)) == 1
    assert code == 0
    assert {4, 3, 2} <= set(counts)  # killed after the new file was there, and between removals


# Temporary files: another process may be writing one without the lock.


def test_a_temporary_file_of_marks_is_removed_after_an_hour_and_not_before(tmp_path):
    (tmp_path / "marks").mkdir()
    young, old, other = (
        tmp_path / "marks" / name for name in ("marks-1.parquet.tmp", "marks-2.parquet.tmp", "other.tmp")
    )
    for path, age_s in ((young, 3500), (old, 3700), (other, 3700)):
        path.touch()
        os.utime(path, (time.time() - age_s,) * 2)
    (tmp_path / "items").mkdir()
    (tmp_path / "items" / "marks.tmp").touch()

    remove_temporary(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.tmp")) == [young.name, old.name, other.name]

    compact_marks(tmp_path)
    assert files(tmp_path) == [young, other]
