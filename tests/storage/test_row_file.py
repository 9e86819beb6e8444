"""The file of rows: what is read from it is what the parts say, and a build adds to it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_files import arrow, inode, made, mapped, put, renew, segments, slow, spoken

import lookalike
from lookalike.storage.parts import Part
from lookalike.storage.row_file import RowFile, id_hashes, write_row_file
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.state import State
from lookalike.storage.stores import place


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three parts of two, three and one items."""
    return made(tmp_path / "rows.lookalike", ["a", "b"], ["c", "d", "é"], ["f"])


def test_the_rows_of_every_part_are_those_that_the_part_has(root):
    assert mapped(root) == slow(root)
    assert [table.num_rows for table in mapped(root).values()] == [2, 3, 1]


def test_the_rows_of_a_real_build_are_those_of_its_parts(collection):
    assert mapped(collection.path) == slow(collection.path)
    assert Snapshot.open(collection.path).is_mapped


def test_the_marks_of_columns_from_exif_are_kept(collection):
    (state, *_) = State.read(collection.path).parts
    schema = RowFile.open(collection.path).schema(state)
    assert schema.field("taken_at").metadata[b"lookalike.from"] == b"exif"
    assert "embedding" not in schema.names


def test_the_hashes_are_those_of_the_ids_of_each_part(root):
    file = RowFile.open(root)
    hashes = [file.hashes(state).tolist() for state in State.read(root).parts]
    assert hashes == [id_hashes(ids).tolist() for ids in (["a", "b"], ["c", "d", "é"], ["f"])]


def test_a_hash_is_the_start_of_blake2b_in_little_endian_order():
    # As `b2sum -l 64` gives them: e4a6a0577479b2b4 and cb1abf8beff3192f.
    assert id_hashes(["", "é"]).tolist() == [0xB4B2797457A0A6E4, 0x2F19F3EF8BBF1ACB]
    assert id_hashes([]).dtype == np.uint64


def test_segments_begin_at_multiples_of_64_bytes(root):
    put(root, 3, ["g"])
    renew(root)
    assert [one[6] % 64 for one in segments(root).values()] == [0, 0, 0, 0]


def test_a_build_that_adds_rows_appends_to_the_file(root):
    before, number, data = arrow(root), inode(arrow(root)), arrow(root).read_bytes()
    put(root, 3, ["g", "h"])

    renew(root)

    after = arrow(root).read_bytes()
    added = segments(root)[3]
    assert (arrow(root), inode(arrow(root))) == (before, number)
    assert after.startswith(data)
    assert len(after) == added[6] + added[7]
    assert added[6] - len(data) < 64
    assert mapped(root) == slow(root)


def test_nothing_is_written_where_nothing_has_changed(root):
    path = root / "derived" / "rows.json"
    before = inode(path), inode(arrow(root)), arrow(root).stat().st_mtime_ns
    renew(root)
    assert (inode(path), inode(arrow(root)), arrow(root).stat().st_mtime_ns) == before


def test_a_removed_part_leaves_its_segment_as_it_is(root):
    before, data = arrow(root), arrow(root).read_bytes()
    Part(root, 2).items_path.unlink()

    renew(root)

    assert (arrow(root), arrow(root).read_bytes()) == (before, data)
    assert list(segments(root)) == [0, 1]
    assert mapped(root) == slow(root)


def test_a_rewritten_part_gets_a_new_segment_after_the_others(root):
    data = arrow(root).read_bytes()
    put(root, 2, ["other"])

    renew(root)

    assert arrow(root).read_bytes().startswith(data)
    assert segments(root)[2][6] >= len(data)
    assert mapped(root) == slow(root)
    assert mapped(root)[2]["id"].to_pylist() == ["other"]


def test_bytes_that_were_written_once_are_never_written_over(root):
    """A reader may have mapped the segment of the part that is gone, at the end of the file."""
    held = Snapshot.open(root)
    assert held.ids(range(6)) == ["a", "b", "c", "d", "é", "f"]
    data = arrow(root).read_bytes()
    Part(root, 2).items_path.unlink()
    renew(root)
    put(root, 3, ["one", "two", "three"])

    renew(root)

    assert arrow(root).read_bytes().startswith(data)
    assert held.records([5], ["id", "size_bytes"]) == [{"id": "f", "size_bytes": 0}]


def test_a_file_of_which_half_is_dead_is_written_anew(tmp_path):
    root = made(tmp_path / "rows.lookalike", ["a"], ["b"], ["c"], ["d"])
    before, size = arrow(root), arrow(root).stat().st_size
    Part(root, 0).items_path.unlink()
    Part(root, 1).items_path.unlink()
    renew(root)
    assert arrow(root) == before  # half of it lives, so far

    Part(root, 2).items_path.unlink()
    renew(root)

    assert arrow(root) != before
    assert arrow(root).stat().st_size < size / 3
    assert mapped(root) == slow(root)
    assert mapped(root)[3]["id"].to_pylist() == ["d"]


def test_a_file_that_is_written_anew_knows_only_columns_that_are_there(tmp_path):
    root = made(tmp_path / "rows.lookalike", ["a"])
    put(root, 0, ["a"], price=pa.array([1.5]))
    renew(root)
    assert RowFile.open(root).schema(State.read(root).parts[0]).names[-1] == "price"
    put(root, 0, ["a"], weight=pa.array([2]))
    renew(root)
    put(root, 0, ["a"], price=pa.array([3.5]))
    renew(root)
    assert len(RowFile.open(root).schemas) == 1
    assert mapped(root) == slow(root)


def test_rows_of_another_state_of_a_part_are_not_there(root):
    old = State.read(root).parts[1]
    put(root, 1, ["c", "d", "other"])
    renew(root)
    file = RowFile.open(root)
    assert file.rows(old) is None
    assert file.hashes(old) is None
    assert file.schema(old) is None
    assert file.rows(State.read(root).parts[1]).num_rows == 3


def test_the_file_of_a_collection_without_parts_is_empty(tmp_path):
    root = made(tmp_path / "rows.lookalike", ["a"])
    Part(root, 0).items_path.unlink()
    renew(root)
    assert RowFile.open(root).segments == {}
    assert Snapshot.open(root).is_mapped
    assert spoken(root) == []


def test_a_copied_collection_is_read_from_its_file_and_gets_its_own_stamps(root, tmp_path):
    expected = spoken(root)
    copy = tmp_path / "copy.lookalike"
    shutil.copytree(root, copy)
    data = arrow(copy).read_bytes()
    assert not Snapshot.open(copy).is_mapped
    assert mapped(copy) == slow(copy)

    assert lookalike.open(copy).ids == ["a", "b", "c", "d", "é", "f"]

    assert Snapshot.open(copy).is_mapped
    assert arrow(copy).read_bytes() == data
    assert spoken(copy) == expected


def test_where_the_folder_cannot_be_written_rows_are_read_from_the_parts(root):
    expected = spoken(root)
    shutil.rmtree(root / "derived")
    (root / "derived").write_text("a file in its place")

    renew(root)

    assert RowFile.open(root) is None
    assert spoken(root) == expected
    assert lookalike.open(root).ids == ["a", "b", "c", "d", "é", "f"]


@pytest.mark.parametrize("refused", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.mkdir"])
def test_a_disk_that_refuses_costs_the_old_file_nothing(root, monkeypatch, refused):
    expected = mapped(root)
    put(root, 3, ["g"])
    states = State.read(root).parts

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(refused, refuse)
    write_row_file(root, states)
    monkeypatch.undo()

    assert mapped(root) == {**expected, 3: None}
    renew(root)
    assert mapped(root) == slow(root)


def test_a_collection_in_a_store_has_no_file_of_rows(bucket):
    root = place(f"s3://{bucket}/rows.lookalike")
    write_row_file(root, [])
    assert RowFile.open(root) is None


VALUES = {
    "int": lambda n: pa.array([None if one % 3 == 0 else one for one in range(n)], pa.int32()),
    "double": lambda n: pa.array([one / 2 for one in range(n)], pa.float64()),
    "text": lambda n: pa.array([f"täxt {one}" * one for one in range(n)], pa.string()),
    "list": lambda n: pa.array([["x"] * one for one in range(n)], pa.list_(pa.string())),
    "dictionary": lambda n: pa.array([str(one % 2) for one in range(n)]).dictionary_encode(),
    "struct": lambda n: pa.array([{"deep": one} for one in range(n)]),
    "bool": lambda n: pa.array([one % 2 == 0 for one in range(n)]),
    "null": pa.nulls,
    "time": lambda n: pa.array(range(n), pa.timestamp("us")),
}

STEP = st.tuples(
    st.sampled_from(["put", "remove", "renew"]),
    st.integers(0, 3),
    st.integers(1, 5),
    st.sets(st.sampled_from(sorted(VALUES)), max_size=3),
)


@pytest.mark.slow
@settings(max_examples=30, deadline=None, database=None)
@given(st.lists(STEP, min_size=1, max_size=8))
def test_after_any_history_the_file_says_what_the_parts_say(steps):
    with tempfile.TemporaryDirectory() as folder:
        root = made(Path(folder) / "rows.lookalike")
        for number, (step, part, count, columns) in enumerate(steps):
            if step == "put":
                names = sorted(columns)
                more = {f"{name}_{part % 2}": VALUES[name](count) for name in names}
                put(root, part, [f"{number}-{row}" for row in range(count)], **more)
            elif step == "remove":
                Part(root, part).items_path.unlink(missing_ok=True)
            else:
                renew(root)
            known = {at: rows for at, rows in mapped(root).items() if rows is not None}
            assert known == {at: rows for at, rows in slow(root).items() if at in known}
        renew(root)
        assert mapped(root) == slow(root)
        files = list((root / "derived").glob("rows-*"))
        assert len(files) == (1 if (root / "derived" / "rows.json").exists() else 0)
        if files:
            _never_more_than_half_is_dead(root)


def _never_more_than_half_is_dead(root: Path) -> None:
    size = arrow(root).stat().st_size
    dead = size - sum(one[7] for one in segments(root).values())
    # Half of the file before what was added last, and what alignment takes.
    assert dead <= size / 2 + 64 * len(segments(root))
