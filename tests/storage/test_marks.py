"""Marks: the last word wins, under any name of the picture, whoever writes at the same time."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import build
from hypothesis import given, settings
from hypothesis import strategies as st

import lookalike
from lookalike.errors import CollectionError, LookalikeError, StorageError
from lookalike.storage import marks as module
from lookalike.storage.files import remove_temporary
from lookalike.storage.marks import (
    SCHEMA,
    Mark,
    compact_marks,
    marks_problems,
    marks_stamp,
    read_marks,
    write_marks,
)
from lookalike.storage.parquet import write_parquet
from lookalike.storage.stores import StorePath, place

A, B, C = (letter * 64 for letter in "abc")
START = datetime(2026, 3, 1, 12, 0, 0, 5, UTC)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def mark(second: int, kind: str, pictures: dict[str, str], value: object) -> Mark:
    return Mark(at(second), kind, tuple(pictures), tuple(pictures.values()), value)


def files(root: Path) -> list[Path]:
    return sorted((root / "marks").iterdir())


def the_file(root: Path) -> Path:
    (path,) = files(root)
    return path


# What a mark is.


def test_a_mark_is_read_back_as_it_was_written(tmp_path):
    said = mark(0, "note", {"a.jpg": A, "b.jpg": ""}, {"text": "größer", "n": [1, 2.5, True, None]})

    write_marks(tmp_path, [said])

    assert read_marks(tmp_path).last == (said,)
    assert read_marks(tmp_path).of("note") == [said]


def test_a_time_is_kept_in_utc():
    said = Mark(datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2))), "note", (), (), 1)

    assert (said.at.hour, said.at.tzinfo) == (12, UTC)


def test_a_mark_does_not_change_with_the_value_it_was_given():
    value = ["beach"]
    said = mark(0, "note", {}, value)
    value.append("sea")

    assert said.value == ["beach"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"at": datetime(2026, 3, 1)}, "the time 2026-03-01 00:00:00 has no time zone"),
        ({"kind": ""}, "the kind is '', it has to be a text"),
        ({"ids": ("",)}, "each has to be a text"),
        ({"ids": ("\ud800",)}, "each has to be a text"),
        ({"sha256s": ("A" * 64,)}, "each has to be 64 digits 0-9a-f, or empty"),
        ({"sha256s": ("a" * 63,)}, "each has to be 64 digits 0-9a-f, or empty"),
        ({"sha256s": ()}, "it has 1 ids and 0 sha256s"),
        ({"ids": ("a", "a"), "sha256s": (A, B)}, "an id is there twice"),
        ({"value": float("nan")}, "JSON cannot hold the value"),
        ({"value": object()}, "JSON cannot hold the value"),
        ({"value": "\ud800"}, "JSON cannot hold the value"),
    ],
)
def test_what_is_no_mark_is_refused(changes, message):
    fields = {"at": START, "kind": "label", "ids": ("a",), "sha256s": (A,), "value": 1, **changes}
    with pytest.raises(LookalikeError, match=re.escape(message)):
        Mark(**fields)


# The last word.


def test_the_last_word_wins_in_whatever_order_they_are_written(tmp_path):
    write_marks(tmp_path, [mark(2, "label", {"a": A}, "cat")])
    write_marks(tmp_path, [mark(1, "label", {"a": A}, "dog")])

    assert [one.value for one in read_marks(tmp_path).of("label")] == ["cat"]


def test_a_taken_back_mark_is_gone(tmp_path):
    write_marks(tmp_path, [mark(1, "favourite", {"a": A}, True), mark(1, "favourite", {"b": B}, True)])
    write_marks(tmp_path, [mark(2, "favourite", {"a": A}, None)])
    found = read_marks(tmp_path)

    assert [one.ids for one in found.of("favourite")] == [("b",)]
    assert (len(found), found.kinds()) == (1, ["favourite"])


def test_a_mark_can_be_made_again_after_it_was_taken_back(tmp_path):
    write_marks(
        tmp_path, [mark(second, "label", {"a": A}, value) for second, value in enumerate([1, None, 2])]
    )

    assert read_marks(tmp_path).column("label", ["a"], [A]) == [2]


def test_the_order_of_the_pictures_does_not_matter(tmp_path):
    write_marks(tmp_path, [mark(1, "same", {"a": A, "b": B}, 1), mark(2, "same", {"b": B, "a": A}, None)])

    assert len(read_marks(tmp_path)) == 0


def test_a_mark_of_the_content_of_before_is_not_overwritten(tmp_path):
    write_marks(tmp_path, [mark(1, "label", {"a": A}, "cat"), mark(2, "label", {"a": B}, "dog")])

    assert read_marks(tmp_path).column("label", ["a"], [A]) == ["cat"]
    assert read_marks(tmp_path).column("label", ["a"], [B]) == ["dog"]


def test_kinds_are_apart(tmp_path):
    write_marks(tmp_path, [mark(1, "label", {"a": A}, "cat"), mark(2, "note", {"a": A}, None)])

    assert read_marks(tmp_path).kinds() == ["label"]
    assert read_marks(tmp_path).of("note") == []


def test_marks_come_in_the_order_of_time(tmp_path):
    write_marks(tmp_path, [mark(second, "label", {str(second): A}, second) for second in (3, 1, 10, 2)])

    assert [one.value for one in read_marks(tmp_path).of("label")] == [1, 2, 3, 10]


def test_of_one_batch_the_latest_counts_wherever_it_stands(tmp_path):
    write_marks(tmp_path, [mark(2, "label", {"a": A}, "cat"), mark(1, "label", {"a": A}, "dog")])

    assert read_marks(tmp_path).column("label", ["a"], [A]) == ["cat"]


@pytest.mark.parametrize(("values", "last"), [((1, 2), 2), ((2, 1), 1), ((1, None), None), ((None, 1), 1)])
def test_of_one_batch_and_one_time_the_last_counts(tmp_path, values, last):
    write_marks(tmp_path, [mark(1, "label", {"a": A}, value) for value in values])

    assert read_marks(tmp_path).column("label", ["a"], [A]) == [last]


@pytest.mark.parametrize(("values", "last"), [(("y", "z"), "z"), (("z", "y"), "z"), ((None, "z"), None)])
def test_of_two_batches_at_one_time_the_greater_value_counts_and_taking_back_most(tmp_path, values, last):
    for value in values:
        write_marks(tmp_path, [mark(1, "label", {"a": A}, value)])

    assert read_marks(tmp_path).column("label", ["a"], [A]) == [last]


def test_the_order_of_files_does_not_show_in_what_is_read(tmp_path):
    batches = [[mark(1, "same", {"a": A, "b": B}, 1)], [mark(1, "same", {"b": B, "a": A}, 1)]]
    for root, ordered in ((tmp_path / "one", batches), (tmp_path / "two", batches[::-1])):
        for batch in ordered:
            write_marks(root, batch)

    assert read_marks(tmp_path / "one") == read_marks(tmp_path / "two")


def test_no_marks_are_no_file_and_no_folder(tmp_path):
    write_marks(tmp_path, [])

    assert list(tmp_path.iterdir()) == []
    assert read_marks(tmp_path).last == ()
    assert list(marks_problems(tmp_path)) == []
    compact_marks(tmp_path)


# Which items a mark is about.


def marks_of(tmp_path: Path, *said: Mark) -> module.Marks:
    write_marks(tmp_path, said)
    return read_marks(tmp_path)


def test_a_renamed_picture_keeps_its_mark(tmp_path):
    found = marks_of(tmp_path, mark(1, "label", {"old": A}, "cat"))

    assert found.column("label", ["x", "new"], [B, A]) == [None, "cat"]


def test_a_picture_whose_content_changed_has_no_mark(tmp_path):
    found = marks_of(tmp_path, mark(1, "label", {"a": A}, "cat"))

    assert found.column("label", ["a"], [B]) == [None]


def test_a_mark_is_taken_back_under_a_new_name(tmp_path):
    found = marks_of(tmp_path, mark(1, "label", {"old": A}, "cat"), mark(2, "label", {"new": A}, None))

    assert found.column("label", ["new"], [A]) == [None]


def test_of_two_copies_the_one_with_the_id_is_meant(tmp_path):
    found = marks_of(tmp_path, mark(1, "label", {"a": A}, "cat"))

    assert found.column("label", ["b", "a"], [A, A]) == [None, "cat"]


def test_of_two_copies_each_is_meant_where_none_has_the_id(tmp_path):
    found = marks_of(tmp_path, mark(1, "label", {"old": A}, "cat"))

    assert found.column("label", ["b", "c", "d"], [A, A, B]) == ["cat", "cat", None]


def test_without_a_sha256_the_id_counts(tmp_path):
    found = marks_of(tmp_path, mark(1, "label", {"a": ""}, "cat"))

    assert found.column("label", ["b", "a"], ["", ""]) == [None, "cat"]
    assert found.column("label", ["b", "a"], ["", A]) == [None, None]


def test_a_column_takes_marks_of_one_picture_and_pairs_those_of_two(tmp_path):
    found = marks_of(
        tmp_path,
        mark(1, "same", {"a": A}, 1),
        mark(2, "same", {"c": C, "a": A}, 2),
        mark(3, "same", {"a": A, "b": B, "c": C}, 3),
        mark(4, "same", {}, 0),
    )
    items = ["a", "b", "c"], [A, B, C]

    assert found.column("same", *items) == [1, None, None]
    assert found.pairs("same", *items) == {(0, 2): 2}


def test_a_pair_is_taken_back_whatever_its_pictures_are_called_now(tmp_path):
    said = mark(1, "same", {"a": A, "b": B}, True)
    found = marks_of(
        tmp_path, said, mark(2, "same", {"c": B, "a": A}, None), mark(1, "same", {"x": C, "a": A}, 1)
    )

    assert found.pairs("same", ["a", "c", "x"], [A, B, C]) == {(0, 2): 1}


def test_two_copies_are_a_pair_after_one_is_renamed(tmp_path):
    found = marks_of(tmp_path, mark(1, "not_duplicate", {"a": A, "b": A}, True))

    assert found.pairs("not_duplicate", ["c", "b"], [A, A]) == {(0, 1): True}
    assert found.pairs("not_duplicate", ["b"], [A]) == {}


# Files.


def test_the_file_is_what_the_format_says(tmp_path):
    before = datetime.now(UTC)
    write_marks(tmp_path, [mark(1, "label", {"a": A}, "cat"), mark(2, "label", {"b": ""}, None)])
    name = re.fullmatch(r"marks-(\d{8}T\d{6}\.\d{6}Z)-[0-9a-f]{16}\.parquet", the_file(tmp_path).name)
    written = datetime.strptime(name[1], "%Y%m%dT%H%M%S.%f%z")
    table = pq.read_table(the_file(tmp_path))

    assert before <= written <= datetime.now(UTC)
    assert table.schema.equals(SCHEMA)
    assert table.to_pylist() == [
        {"at": at(1), "kind": "label", "ids": ["a"], "sha256s": [A], "value": '"cat"'},
        {"at": at(2), "kind": "label", "ids": ["b"], "sha256s": [""], "value": None},
    ]
    assert len(pq.read_metadata(the_file(tmp_path)).metadata[b"lookalike.sha256"]) == 64


def test_the_same_value_is_the_same_text(tmp_path):
    write_marks(tmp_path, [mark(1, "note", {"a": A}, {"b": 1, "a": "ß"})])

    assert pq.read_table(the_file(tmp_path))["value"].to_pylist() == ['{"a":"ß","b":1}']


def test_duckdb_reads_the_marks_in_force_as_the_document_says(tmp_path, monkeypatch):
    root = tmp_path / "flowers.lookalike"
    write_marks(root, [mark(1, "label", {"a": A}, "cat"), mark(1, "same", {"a": A, "b": B}, True)])
    write_marks(root, [mark(2, "label", {"a": A}, "dog"), mark(2, "same", {"b": B, "a": A}, None)])
    write_marks(root, [mark(3, "note", {"b": B}, {"text": "x"}), mark(3, "tied", {"a": A}, 1)])
    write_marks(root, [mark(3, "tied", {"a": A}, None)])
    document = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
    (query,) = re.findall(r"```sql\n(.*?marks.*?)```", document, re.S)
    monkeypatch.chdir(tmp_path)

    found = sorted(duckdb.sql(query).fetchall())

    assert found == [("label", ["a"], '"dog"'), ("note", ["b"], '{"text":"x"}')]
    assert found == sorted(
        (one.kind, list(one.ids), json.dumps(one.value, separators=(",", ":")))
        for one in read_marks(root).last
        if one.value is not None
    )


def write_rows(root: Path, name: str, **columns: pa.Array) -> Path:
    """A file with its checksum, as another program may write it."""
    whole = {
        "at": pa.array([START], pa.timestamp("us", tz="UTC")),
        "kind": pa.array(["label"]),
        "ids": pa.array([["x"]]),
        "sha256s": pa.array([[C]]),
        "value": pa.array(['"bird"']),
        **columns,
    }
    path = root / "marks" / name
    write_parquet(path, pa.table({name: column for name, column in whole.items() if column is not None}), {})
    return path


DAMAGE = {
    "flipped": lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:],
    "cut": lambda data: data[:-20],
    "empty": lambda data: b"",
    "foreign": lambda data: b"not Parquet",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_by_readers_and_left_alone_by_builds(tmp_path, damage):
    write_marks(tmp_path, [mark(1, "label", {"a": A}, "cat")])
    path = the_file(tmp_path)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    data = path.read_bytes()
    for second in (2, 3):
        write_marks(tmp_path, [mark(second, "label", {"b": B}, second)])

    with pytest.raises(CollectionError, match=re.escape(f"{path} cannot be read: ")):
        read_marks(tmp_path)
    (problem,) = marks_problems(tmp_path)
    assert problem.startswith(f"{path} cannot be read: ")

    compact_marks(tmp_path)

    assert (len(files(tmp_path)), path.read_bytes()) == (2, data)
    path.unlink()
    assert [one.value for one in read_marks(tmp_path).last] == [3]


@pytest.mark.parametrize(
    "columns",
    [
        {"kind": None},
        {"kind": pa.array([None], pa.string())},
        {"at": pa.array([None], pa.timestamp("us", tz="UTC"))},
        {"at": pa.array([2**62], pa.int64())},
        {"at": pa.array(["noon"])},
        {"ids": pa.array([None], pa.list_(pa.string()))},
        {"ids": pa.array([[None]], pa.list_(pa.string()))},
        {"ids": pa.array([["x", "y"]])},
        {"sha256s": pa.array([["short"]])},
        {"value": pa.array(["{"])},
        {"value": pa.array(["NaN"])},
        {"value": pa.array(["[" * 100_000])},
    ],
)
def test_a_file_with_a_row_that_is_no_mark_is_named_and_left_alone(tmp_path, columns):
    path = write_rows(tmp_path, "marks-x.parquet", **columns)
    for second in (2, 3):
        write_marks(tmp_path, [mark(second, "label", {"b": B}, second)])

    with pytest.raises(CollectionError, match=re.escape(f"{path} cannot be read: ")):
        read_marks(tmp_path)
    assert len(list(marks_problems(tmp_path))) == 1
    compact_marks(tmp_path)

    assert path in files(tmp_path)
    assert len(files(tmp_path)) == 2


def test_a_file_that_lacks_an_id_is_named_whatever_it_is_compared_with(tmp_path):
    write_rows(
        tmp_path,
        "marks-x.parquet",
        at=pa.array([START] * 2, pa.timestamp("us", tz="UTC")),
        kind=pa.array(["label"] * 2),
        ids=pa.array([[None], ["x"]]),
        sha256s=pa.array([[A], [B]]),
        value=pa.array(["1"] * 2),
    )

    with pytest.raises(CollectionError, match="the column ids lacks values"):
        read_marks(tmp_path)


def test_columns_that_are_not_known_are_ignored_and_kept(tmp_path):
    path = write_rows(tmp_path, "marks-x.parquet", who=pa.array(["me"]))
    for second in (2, 3):
        write_marks(tmp_path, [mark(second, "label", {"b": B}, second)])
    compact_marks(tmp_path)

    assert [one.value for one in read_marks(tmp_path).last] == ["bird", 3]
    assert (len(files(tmp_path)), pq.read_table(path)["who"].to_pylist()) == (2, ["me"])


def test_other_types_of_the_same_values_are_read(tmp_path):
    write_rows(
        tmp_path,
        "marks-x.parquet",
        at=pa.array([START], pa.timestamp("ns", tz="UTC")),
        value=pa.array(['"bird"'], pa.large_string()),
    )

    assert read_marks(tmp_path).last == (mark(0, "label", {"x": C}, "bird"),)


def test_other_names_in_the_folder_are_ignored(tmp_path):
    (tmp_path / "marks").mkdir()
    for name in ("notes.txt", "part-000000.parquet", "marks-1.parquet.tmp"):
        (tmp_path / "marks" / name).write_text("x")

    assert read_marks(tmp_path).last == ()
    assert list(marks_problems(tmp_path)) == []


def test_the_stamp_changes_when_a_file_comes_or_goes(tmp_path):
    stamps = [marks_stamp(tmp_path)]
    for second in (1, 2):
        write_marks(tmp_path, [mark(second, "label", {"a": A}, second)])
        stamps.append(marks_stamp(tmp_path))
    compact_marks(tmp_path)
    stamps.append(marks_stamp(tmp_path))

    assert len(set(stamps)) == 4
    assert marks_stamp(tmp_path) == stamps[-1]


def test_a_disk_that_refuses_is_a_clear_error(tmp_path):
    (tmp_path / "marks").write_text("a file is in the way")

    with pytest.raises(StorageError, match="cannot write"):
        write_marks(tmp_path, [mark(1, "label", {"a": A}, 1)])


# Compaction.


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


# In a collection.


def picture_of(collection: lookalike.Collection, id_: str) -> dict[str, str]:
    """The id of an item and its sha256."""
    rows = collection.items(["id", "sha256"]).to_pylist()
    return {one["id"]: one["sha256"] for one in rows if one["id"] == id_}


def labels(collection: lookalike.Collection) -> dict[str, object]:
    """The marked items of a collection by their labels in the journal."""
    rows = collection.items(["id", "sha256"])
    ids, sha256s = rows["id"].to_pylist(), rows["sha256"].to_pylist()
    found = zip(ids, read_marks(collection.path).column("label", ids, sha256s), strict=True)
    return {id_: value for id_, value in found if value is not None}


def test_builds_rebuilds_and_renames_keep_marks_and_a_changed_file_loses_its_own(folder, target):
    collection, _ = build(folder, target)
    for second, id_ in enumerate(["sea/sea-002.png", "brick/brick-000.jpg"]):
        write_marks(target, [mark(second, "label", picture_of(collection, id_), id_)])
    (folder / "sea" / "sea-002.png").rename(folder / "renamed.png")
    (folder / "brick" / "brick-000.jpg").write_bytes((folder / "brick" / "brick-003.jpg").read_bytes())

    collection, _ = build(folder, target)
    assert labels(collection) == {"renamed.png": "sea/sea-002.png"}
    assert len(files(target)) == 1

    collection, report = build(folder, target, rebuild=True)
    assert report.embedded == 12
    assert labels(collection) == {"renamed.png": "sea/sea-002.png"}


def test_a_folder_with_nothing_but_marks_is_built_again(folder, target):
    write_marks(target, [mark(1, "label", {"sea/sea-002.png": A}, "cat")])

    build(folder, target)

    assert len(read_marks(target)) == 1


def test_vectors_from_elsewhere_do_not_replace_marks(target):
    write_marks(target, [mark(1, "label", {"a": ""}, "cat")])

    with pytest.raises(CollectionError, match="holds the marks of a collection that is gone"):
        lookalike.from_vectors(target, np.eye(1), ["a"])
    assert len(read_marks(target)) == 1


def test_verify_reads_the_marks_too(copied):
    write_marks(copied.path, [mark(1, "label", {"a": A}, "cat")])
    assert list(copied.verify()) == []

    path = the_file(copied.path)
    path.write_bytes(path.read_bytes()[:-1])

    assert list(copied.verify()) == [
        f"{path} cannot be read: the checksum does not match, the file is damaged"
    ]


# In an object store.


def test_marks_in_a_store_are_written_read_and_compacted(bucket):
    root = place(f"s3://{bucket}/c.lookalike")
    assert read_marks(root).last == ()
    for second, value in enumerate(["cat", "dog"]):
        write_marks(root, [mark(second, "label", {"a": A}, value), mark(second, "note", {}, value)])
    before = read_marks(root)
    stamp = marks_stamp(root)
    compact_marks(root)

    assert [one.value for one in before.last] == ["dog", "dog"]
    assert read_marks(root) == before
    assert (len(stamp), len(marks_stamp(root))) == (2, 1)


def test_a_damaged_file_in_a_store_is_named(bucket):
    root = place(f"s3://{bucket}/c.lookalike")
    write_marks(root, [mark(1, "label", {"a": A}, "cat")])
    (path,) = (root / "marks").iterdir()
    path.put(path.read_bytes()[:-1])

    assert list(marks_problems(root)) == [
        f"{path} cannot be read: the checksum does not match, the file is damaged"
    ]


def test_marks_are_not_written_where_half_a_file_can_be_seen():
    with pytest.raises(StorageError, match="sftp:// does not put files in one step"):
        write_marks(StorePath(None, "sftp://host/c"), [mark(1, "label", {"a": A}, "cat")])
