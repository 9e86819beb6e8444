"""The files of marks: what is in them, what damage does, in a collection and in an object store."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import build
from marking import START, A, B, C, at, files, mark, the_file

import lookalike
from lookalike.errors import CollectionError, StorageError
from lookalike.storage.marks import (
    SCHEMA,
    compact_marks,
    marks_problems,
    marks_stamp,
    read_marks,
    write_marks,
)
from lookalike.storage.parquet import write_parquet
from lookalike.storage.stores import StorePath, place

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
    with pytest.raises(StorageError, match="sftp:// cannot write files atomically"):
        write_marks(StorePath(None, "sftp://host/c"), [mark(1, "label", {"a": A}, "cat")])
