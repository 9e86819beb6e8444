"""A snapshot: whatever is read of it, early or late, belongs to one state of the collection."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import build, write_pictures
from row_files import SPEC, made, put, renew

from lookalike.errors import ChangedError, UnknownIdError
from lookalike.storage import snapshot as snapshots
from lookalike.storage.manifest import Manifest
from lookalike.storage.parts import Part
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.writing import create

MAPPED = pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "from the parts"])


def many(part: int, count: int) -> list[str]:
    return [f"{part}/{row:03d}.jpg" for row in range(count)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Parts of 100, 80 and 3 items; the second has a price, the third a price in whole numbers and a kind."""
    root = made(tmp_path / "snap.lookalike", many(0, 100))
    put(root, 1, many(1, 80), price=pa.array([row / 2 for row in range(80)]))
    kinds = pa.array(["x", None, "z"])
    put(root, 2, ["ä", "日本.jpg", "a b'\"\\"], price=pa.array([7, 8, None], pa.int32()), kind=kinds)
    renew(root)
    return root


def opened(root: Path, mapped: bool = True) -> Snapshot:
    """A snapshot, with its file of rows or without."""
    if not mapped:
        shutil.rmtree(root / "derived")
    return Snapshot.open(root)


def all_ids() -> list[str]:
    return [*many(0, 100), *many(1, 80), "ä", "日本.jpg", "a b'\"\\"]


# Ids.


@MAPPED
def test_every_item_is_found_by_its_id(root, mapped):
    snapshot = opened(root, mapped)
    assert snapshot.is_mapped == mapped
    assert len(snapshot) == 183
    assert [snapshot.find(id_) for id_ in all_ids()] == list(range(183))
    assert snapshot.row_of("日本.jpg") == 181


@MAPPED
@pytest.mark.parametrize("count", [0, 1, 64, 65, 183])
def test_few_and_many_rows_are_found_in_the_order_asked(root, mapped, count):
    asked = np.random.default_rng(count).permutation(183)[:count]
    ids = all_ids()
    rows = opened(root, mapped).rows_of([ids[row] for row in asked])
    assert rows.tolist() == asked.tolist()
    assert rows.dtype == np.int64


def test_an_id_may_be_asked_for_twice(root):
    assert opened(root).rows_of(["ä", "ä"]).tolist() == [180, 180]
    assert opened(root).rows_of(["ä"] * 100).tolist() == [180] * 100


@MAPPED
@pytest.mark.parametrize("count", [1, 100])
def test_an_unknown_id_is_an_error_with_the_nearest_that_there_are(root, mapped, count):
    snapshot = opened(root, mapped)
    with pytest.raises(UnknownIdError, match=r"snap has no item '1/0790.jpg'") as caught:
        snapshot.rows_of([*many(0, count - 1), "1/0790.jpg"])
    assert caught.value.nearest[0] == "1/079.jpg"
    assert isinstance(caught.value, KeyError)


def test_an_unknown_id_like_no_other_shows_what_an_id_is(root):
    with pytest.raises(UnknownIdError) as caught:
        opened(root).rows_of(["zzz"])

    assert caught.value.nearest == []
    assert caught.value.hint == "an id is a name below the source, such as 0/000.jpg"


@pytest.mark.parametrize("id_", ["", "nothing like it", "\ud800", "0/000.jpg\0", "0/000.JPG", "a\u0308"])
def test_what_is_no_id_is_not_found(root, id_):
    assert opened(root).find(id_) is None
    with pytest.raises(UnknownIdError):
        opened(root).row_of(id_)


@MAPPED
@pytest.mark.parametrize("count", [3, 183])
def test_ids_with_equal_hashes_are_told_apart(root, mapped, count, monkeypatch):
    def same(ids):
        return np.full(len(ids), 7, np.uint64)

    monkeypatch.setattr(snapshots, "id_hashes", same)
    monkeypatch.setattr("lookalike.storage.row_file.id_hashes", same)
    monkeypatch.setattr("lookalike.storage.stored_rows.id_hashes", same)
    shutil.rmtree(root / "derived")
    renew(root)
    snapshot = opened(root, mapped)

    assert snapshot.rows_of(all_ids()[:count]).tolist() == list(range(count))
    assert snapshot.find("ä") == 180
    assert snapshot.find("ö") is None
    with pytest.raises(UnknownIdError):
        snapshot.rows_of([*all_ids(), "ö"])


def test_nothing_is_found_in_an_empty_collection(tmp_path):
    tmp_path.joinpath("empty.lookalike").mkdir()
    create(tmp_path / "empty.lookalike", Manifest(SPEC))
    snapshot = Snapshot.open(tmp_path / "empty.lookalike")
    assert len(snapshot) == 0
    assert snapshot.find("a") is None
    assert snapshot.rows_of([]).tolist() == []
    assert snapshot.records([]) == []
    assert snapshot.vectors([]).shape == (0, 4)
    assert snapshot.thumbnails([]) == []
    assert list(snapshot.blocks()) == []
    assert [one.name for one in snapshot.filled_columns] == snapshot.schema.names
    for count in (1, 100):
        with pytest.raises(UnknownIdError):
            snapshot.rows_of(["a"] * count)


# Columns.


def slow_rows(root: Path) -> list[dict]:
    """The rows as the parts have them, with nulls for what a part lacks, in types that hold all values."""
    tables = [Part(root, number).described() for number in range(3)]
    return pa.concat_tables(tables, promote_options="permissive").to_pylist()


@MAPPED
@pytest.mark.parametrize("count", [0, 1, 3, 64, 65, 183])
def test_records_are_the_rows_of_the_parts(root, mapped, count):
    expected = slow_rows(root)
    rows = np.random.default_rng(count).permutation(183)[:count]
    assert opened(root, mapped).records(rows) == [expected[row] for row in rows]


@MAPPED
def test_the_whole_table_is_that_of_the_parts(root, mapped):
    table = opened(root, mapped).table()
    assert table.to_pylist() == slow_rows(root)
    assert str(table.schema.field("price").type) == "double"
    assert table.schema.names[-2:] == ["price", "kind"]
    assert "embedding" not in table.schema.names


def test_values_of_a_column_that_a_part_lacks_are_null(root):
    snapshot = opened(root)
    assert snapshot.values("price", [0, 100, 101, 180, 182]) == [None, 0.0, 0.5, 7, None]
    assert snapshot.values("kind", [182, 180, 5]) == ["z", "x", None]
    assert snapshot.values("price", range(99, 183))[:3] == [None, 0.0, 0.5]
    assert snapshot.column("kind").null_count == 181


def test_a_column_that_is_not_there_is_a_key_error(root):
    snapshot = opened(root)
    for ask in (
        snapshot.column,
        lambda name: snapshot.values(name, [0]),
        lambda name: snapshot.table([name]),
    ):
        with pytest.raises(KeyError, match="colour"):
            ask("colour")


def test_a_table_has_the_columns_named_and_the_embedding_if_it_is_one_of_them(root):
    table = opened(root).table(["embedding", "id"])
    assert table.schema.names == ["embedding", "id"]
    vectors = np.array(table["embedding"].to_pylist(), np.float32)
    assert np.array_equal(vectors, np.concatenate([Part(root, one).embeddings() for one in range(3)]))
    assert opened(root).table([]).schema.names == []


@MAPPED
def test_columns_that_say_something_of_an_item_are_filled(root, mapped):
    put(root, 2, ["ä", "b"], kind=pa.array([None, None], pa.string()))
    renew(root)
    snapshot = opened(root, mapped)
    names = [one.name for one in snapshot.filled_columns]
    assert "price" in names
    assert "kind" in snapshot.schema.names
    assert "kind" not in names
    assert "label" not in names


def test_derived_columns_stand_beside_the_stored_ones(copied):
    copied.cluster(3, write=True)
    snapshot = copied.snapshot
    assert snapshot.all_columns.names == [*snapshot.schema.names, "cluster_name"]
    assert "cluster_name" in [one.name for one in snapshot.filled_columns]
    names = snapshot.column("cluster_name").to_pylist()
    assert snapshot.values("cluster_name", [5, 0, 41]) == [names[5], names[0], names[41]]
    assert len(set(names)) == 3
    assert "cluster_name" not in snapshot.records([0])[0]


def test_derived_columns_of_another_state_are_left_out(copied):
    copied.cluster(3, write=True)
    copied.remove([copied.ids[0]])
    assert "cluster_name" not in copied.snapshot.all_columns.names
    with pytest.raises(KeyError):
        copied.snapshot.column("cluster_name")


def test_the_part_of_a_row_is_the_one_that_holds_it(root):
    snapshot = opened(root)
    numbers = [snapshot.part_of(row).part.number for row in (0, 99, 100, 179, 180, 182)]
    assert numbers == [0, 0, 1, 1, 2, 2]


# Vectors and pictures.


@pytest.mark.parametrize("rows", [[], [0], [182, 0, 100, 99, 181], [5, 5], list(range(183))])
def test_vectors_come_in_the_order_asked(root, rows):
    every = np.concatenate([Part(root, one).embeddings() for one in range(3)])
    assert np.array_equal(opened(root).vectors(rows), every[np.array(rows, np.int64)])


def test_each_part_is_read_once_for_vectors_and_those_without_rows_not_at_all(root, monkeypatch):
    read = []
    embeddings = snapshots.PartState.embeddings
    monkeypatch.setattr(
        snapshots.PartState, "embeddings", lambda one: read.append(one.part.number) or embeddings(one)
    )
    opened(root).vectors([182, 0, 181, 1])
    assert read == [0, 2]


@pytest.mark.parametrize("rows", [[182, 0, 100], [5, 5], list(range(183))])
def test_thumbnails_come_in_the_order_asked(root, rows):
    ids = all_ids()
    assert opened(root).thumbnails(rows) == [f"jpeg of {ids[row]}".encode() for row in rows]


# A collection that changes.


def test_rows_that_were_mapped_stay_right_after_a_rewrite(root):
    expected = slow_rows(root)
    old = opened(root)
    assert old.is_mapped
    for number in range(3):
        put(root, number, [f"new {number}"])
    renew(root)

    assert old.records(range(183)) == expected
    assert [old.find(id_) for id_ in ("ä", "new 1")] == [180, None]
    assert Snapshot.open(root).ids(range(3)) == ["new 0", "new 1", "new 2"]


def test_vectors_and_pictures_of_a_rewritten_part_are_an_error(root):
    old = opened(root)
    put(root, 1, [*many(1, 80)[:-1], "another"])
    renew(root)

    with pytest.raises(ChangedError, match="was changed while it was read"):
        old.vectors([100])
    with pytest.raises(ChangedError):
        old.thumbnails([0, 100])
    assert old.vectors([0]).shape == (1, 4)
    assert old.thumbnails([0, 182]) == [b"jpeg of 0/000.jpg", b"jpeg of a b'\"\\"]


def test_rows_that_were_not_mapped_are_an_error_after_a_rewrite(root):
    old = opened(root, mapped=False)
    assert len(old.schema.names) == 12
    put(root, 1, many(1, 79))
    assert old.ids([0, 182]) == ["0/000.jpg", "a b'\"\\"]
    with pytest.raises(ChangedError):
        old.ids([100])
    with pytest.raises(ChangedError):
        old.table()


def test_a_removed_part_is_an_error_and_the_others_are_not(root):
    old = opened(root)
    Part(root, 2).write(Part(root, 2).items().slice(0, 0))
    assert old.ids([180]) == ["ä"]
    assert old.vectors([0]).shape == (1, 4)
    for ask in (old.vectors, old.thumbnails):
        with pytest.raises(ChangedError):
            ask([180])


@pytest.mark.parametrize("change", ["rewritten", "removed"])
def test_what_is_first_asked_of_a_part_after_it_has_changed_is_that_very_error(root, change):
    old, unmapped = opened(root), opened(root, mapped=False)
    if change == "removed":
        Part(root, 1).items_path.unlink()
    else:
        put(root, 1, many(1, 80))
        put(root, 1, many(1, 79))
    with pytest.raises(ChangedError):
        old.table(["id", "embedding"])
    with pytest.raises(ChangedError):
        _ = unmapped.schema
    with pytest.raises(ChangedError):
        list(old.blocks())


def test_a_collection_that_is_gone_is_an_error_and_its_mapped_rows_are_not(root):
    old = opened(root)
    shutil.rmtree(root)
    assert old.ids([180]) == ["ä"]
    for ask in (old.vectors, old.thumbnails):
        with pytest.raises(ChangedError):
            ask([0])


def test_another_collection_at_the_same_place_is_an_error(root, tmp_path):
    old = opened(root)
    root.rename(tmp_path / "moved.lookalike")
    made(root, ["a", *many(5, 99)], many(6, 80), ["x", "y", "z"])
    assert old.ids([180]) == ["ä"]
    for ask in (old.vectors, old.thumbnails):
        with pytest.raises(ChangedError):
            ask([0])
    assert Snapshot.open(tmp_path / "moved.lookalike").vectors([180]).shape == (1, 4)


def test_a_rebuild_by_another_model_never_gives_vectors_of_both(tmp_path):
    folder, target = write_pictures(tmp_path / "pictures", 12), tmp_path / "target.lookalike"
    build(folder, target, part_size=4)
    old = Snapshot.open(target)
    ids = old.ids(range(12))
    build(folder, target, model="pixels", rebuild=True, part_size=4)
    assert old.ids(range(12)) == ids
    with pytest.raises(ChangedError):
        old.vectors(range(12))
    new = Snapshot.open(target)
    assert new.vectors(range(12)).shape == (12, new.dim)
    assert new.dim != old.dim
    assert new.fingerprint != old.fingerprint


def test_a_snapshot_takes_over_the_parts_that_another_has_opened(root, monkeypatch):
    before = opened(root)
    put(root, 2, ["ö"])
    read = []
    one = snapshots.PartState.read
    monkeypatch.setattr(
        "lookalike.storage.state.PartState.read", lambda part: read.append(part.number) or one(part)
    )
    after = Snapshot.open(root, before)
    assert read == [2]
    assert len(after) == 181
    assert after.ids([180]) == ["ö"]


def test_where_there_is_no_file_of_rows_more_parts_than_are_kept_give_their_own_rows(tmp_path):
    root = made(tmp_path / "rows.lookalike", *[[f"{number}-a", f"{number}-b"] for number in range(40)])
    snapshot = opened(root, mapped=False)
    expected = [f"{number}-{letter}" for number in range(40) for letter in "ab"]
    assert snapshot.ids(range(80)) == expected
    assert snapshot.ids(list(range(80))[::-1]) == expected[::-1]
    assert len(snapshot.stored._read) == 32
