"""Labels that people give: they go before the stored ones wherever a column is read."""

from __future__ import annotations

import json
import time

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import build, command
from hypothesis import given
from hypothesis import strategies as st
from marking import A, B, C, mark
from serving import running

import lookalike
from lookalike.errors import CollectionError, LookalikeError
from lookalike.storage.given_labels import labels_key, values_by_row
from lookalike.storage.marks import Marks, compact_marks, read_marks, write_marks
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.state import State

SEA, BRICK = "sea/sea-002.png", "brick/brick-000.jpg"


def of_vectors(path, **columns) -> lookalike.Collection:
    """Four items without pictures, a to d."""
    vectors = np.eye(4, dtype=np.float32)
    return lookalike.from_vectors(path / "c.lookalike", vectors, list("abcd"), columns=columns or None)


def one(collection: lookalike.Collection, column: str, id_: str) -> object:
    return collection[id_][column]


# Where a column is read.


@pytest.mark.parametrize("is_mapped", [True, False])
def test_a_given_label_is_the_value_of_the_column(copied, is_mapped):
    copied.give_label(SEA, "ocean")
    if not is_mapped:
        (copied.path / "derived" / "rows.json").unlink()
    snapshot = Snapshot.open(copied.path)
    row = snapshot.row_of(SEA)

    assert snapshot.is_mapped == is_mapped
    assert snapshot.values("label", [row]) == ["ocean"]
    assert snapshot.values("label", [row] * 65) == ["ocean"] * 65
    assert snapshot.records([row], ["id", "label"]) == [{"id": SEA, "label": "ocean"}]
    assert snapshot.column("label").to_pylist().count("ocean") == 1
    assert snapshot.table(["label"])["label"].to_pylist()[row] == "ocean"


def test_everything_that_looks_at_labels_sees_it(copied):
    copied.give_label(SEA, "ocean")

    assert copied[SEA].label == "ocean"
    assert copied.items(["id", "label"]).to_pylist()[copied.ids.index(SEA)] == {"id": SEA, "label": "ocean"}
    assert copied.where("label = 'ocean'").ids == [SEA]
    assert copied.search(lookalike.Id(SEA), k=1, include_query=True).labels == ["ocean"]
    assert "ocean" in copied.search(lookalike.Id(BRICK), k=50, group_by="label").labels
    assert copied.evaluate().singles == 1
    assert json.loads(command("info", copied.path, "--json").stdout)["labels"]["ocean"] == 1


def test_what_was_asked_before_is_asked_again(copied):
    assert copied.where("label = 'ocean'").ids == []
    assert "ocean" not in {word.name for word in copied.words()}

    copied.give_label([SEA, "sea/sea-005.png"], "ocean")

    assert copied.where("label = 'ocean'").ids == [SEA, "sea/sea-005.png"]
    assert {word.name: word.count for word in copied.words()}["ocean"] == 2
    assert copied.search(lookalike.Text("ocean"), k=2).meant[0].lines == ["ocean: your label, 2 pictures"]


@pytest.mark.slow
def test_the_server_answers_with_it(copied):
    with running(copied) as address, httpx.Client(base_url=address) as client:
        assert client.get("/api/copied/facets").status_code == 200
        copied.give_label(SEA, "Atlantic", label="place")
        copied.give_label(SEA, "ocean")
        while "ocean" not in client.get("/api/copied/facets").text:
            time.sleep(0.05)
        columns = {one["name"]: one for one in client.get("/api/copied/facets").json()["columns"]}
        (listed,) = client.get("/api/collections").json()
        asked = {"id": SEA, "include_query": True, "k": 1}
        (found,) = client.post("/api/copied/search", json=asked).json()["hits"]

    assert {"value": "ocean", "count": 1} in columns["label"]["values"]
    assert {"value": "Atlantic", "count": 1} in columns["place"]["values"]
    assert listed["labels"]["ocean"] == 1
    assert found["label"] == "ocean"


@pytest.mark.parametrize("form", ["npy", "parquet", "clip-retrieval", "image-embeddings"])
def test_an_export_has_it(copied, form, tmp_path):
    copied.give_label(SEA, "ocean")
    copied.give_label(SEA, "Atlantic", label="place")
    files = sorted(copied.export(tmp_path / "out", form).rglob("*.parquet"))

    (rows,) = [pq.read_table(file) for file in files if "label" in pq.read_schema(file).names]

    (found,) = [row for row in rows.to_pylist() if row["id"] == SEA]
    assert (found["label"], found["place"]) == ("ocean", "Atlantic")
    assert rows["place"].null_count == 41


def test_a_site_has_it_in_a_folder_that_no_browser_knows(copied, tmp_path):
    site = copied.export(tmp_path / "site")
    (before,) = (site / "data").iterdir()
    copied.give_label(SEA, "ocean")
    (after,) = (copied.export(tmp_path / "site") / "data").iterdir()

    labels = json.loads((after / "cards" / "00000.json").read_text())["label"]
    assert labels.count("ocean") == 1
    assert after.name != before.name


# What a label is about.


def test_without_it_the_stored_label_is_there_again(copied):
    copied.give_label(SEA, "ocean")
    assert copied[SEA].label == "ocean"

    copied.mark("label", SEA, None)

    assert copied[SEA].label == "sea"


def test_what_is_stored_stays_as_it_is(copied):
    fingerprint = copied.fingerprint()
    copied.give_label(SEA, "ocean")

    assert copied.fingerprint() == fingerprint
    stored = [
        label for part in State.read(copied.path).parts for label in part.described()["label"].to_pylist()
    ]
    assert "ocean" not in stored


def test_a_renamed_picture_keeps_it_and_of_two_copies_the_one_with_the_id_has_it(folder, target):
    collection, _ = build(folder, target)
    collection.give_label("sea/sea-002.png", "ocean")

    (folder / "sea/copy.png").write_bytes((folder / "sea/sea-002.png").read_bytes())
    build(folder, target)
    assert (collection["sea/sea-002.png"].label, collection["sea/copy.png"].label) == ("ocean", None)
    (folder / "sea/sea-002.png").unlink()
    build(folder, target)
    assert collection["sea/copy.png"].label == "ocean"


def test_a_column_that_only_people_fill_exists(tmp_path):
    collection = of_vectors(tmp_path)
    collection.give_label("b", "rowan", label="species")

    assert collection.items(["species"])["species"].to_pylist() == [None, "rowan", None, None]
    assert collection.where("species IS NULL").ids == ["a", "c", "d"]
    assert [one.name for one in collection.snapshot.filled_columns][-1] == "species"

    collection.mark("label:species", "b", None)

    assert "species" not in collection.items().column_names


def test_a_column_without_a_single_value_becomes_one_of_text(tmp_path):
    collection = of_vectors(tmp_path, species=[None] * 4)
    collection.give_label("b", "rowan", label="species")

    assert collection.items(["species"])["species"].to_pylist() == [None, "rowan", None, None]


def test_a_column_of_categories_gets_a_new_one(tmp_path):
    kinds = pa.array(["ash", "elm", "ash", None]).dictionary_encode()
    collection = of_vectors(tmp_path, species=kinds)
    collection.give_label("b", "rowan", label="species")

    assert collection.items(["species"])["species"].to_pylist() == ["ash", "rowan", "ash", None]
    assert collection.where("species = 'rowan'").ids == ["b"]


def test_a_column_keeps_its_type(tmp_path):
    collection = of_vectors(tmp_path, year=[1990, None, 2000, 2010])
    collection.give_label(["a", "b"], "1850", label="year")

    assert collection.items(["year"])["year"].to_pylist() == [1850, 1850, 2000, 2010]
    assert collection.where("year < 1900").ids == ["a", "b"]
    with pytest.raises(LookalikeError, match="the column year has int64, and 'long ago' is none"):
        collection.give_label("c", "long ago", label="year")


@pytest.mark.parametrize("value", ["long ago", 1850, True, {"year": 1850}, ""])
def test_a_mark_that_is_no_value_of_the_column_changes_nothing(tmp_path, value):
    collection = of_vectors(tmp_path, year=[1990, None, 2000, 2010])
    collection.mark("label:year", "a", value)

    assert one(collection, "year", "a") == 1990


@pytest.mark.parametrize("column", ["id", "sha256", "width", "embedding", "tags"])
def test_what_identifies_a_picture_cannot_be_given(copied, column):
    with pytest.raises(LookalikeError, match=f"the column '{column}' cannot have labels"):
        copied.give_label(SEA, "7", label=column)
    copied.mark(f"label:{column}", SEA, "7")

    assert copied[SEA].id == SEA
    assert copied.snapshot.labels_key == ""


def test_the_name_of_a_cluster_can_be_corrected(copied):
    copied.cluster(3, write=True)
    names = copied.to_arrow()["cluster_name"].to_pylist()
    copied.give_label(SEA, "ocean", label="cluster_name")

    names[copied.ids.index(SEA)] = "ocean"
    assert copied.to_arrow()["cluster_name"].to_pylist() == names


# When it is seen.


def test_a_snapshot_keeps_the_labels_that_it_has(copied):
    before = copied.snapshot
    assert before.values("label", [before.row_of(SEA)]) == ["sea"]

    copied.give_label(SEA, "ocean")

    assert before.values("label", [before.row_of(SEA)]) == ["sea"]
    assert copied.snapshot is not before


def test_the_vectors_and_the_rows_in_memory_are_not_read_again(copied):
    before = copied._followed().engine()
    vectors = before.hold()

    copied.give_label(SEA, "ocean")
    after = copied._followed().engine()

    assert after is not before
    assert after.hold() is vectors
    assert after.snapshot.stored is before.snapshot.stored


def test_merging_the_journal_changes_no_label(copied):
    copied.give_label(SEA, "ocean")
    copied.give_label(BRICK, "wall")
    before = copied.snapshot

    compact_marks(copied.path)

    assert copied.snapshot is before
    assert copied[BRICK].label == "wall"


def test_another_process_gives_one(copied):
    assert copied[SEA].label == "sea"

    assert command("identify", copied.path, f"id:{SEA}", "--as", "ocean").returncode == 0

    assert copied[SEA].label == "ocean"


def test_damaged_marks_are_an_error_where_a_label_is_read_and_nowhere_else(copied, damage):
    copied.give_label(SEA, "ocean")
    (file,) = (copied.path / "marks").iterdir()
    damage(file)
    collection = lookalike.open(copied.path)

    assert len(collection.embeddings()) == 42
    assert SEA in collection.ids
    with pytest.raises(CollectionError, match=rf"{file.name} cannot be read"):
        collection.items(["label"])
    file.unlink()
    assert collection[SEA].label == "sea"


# Among many rows.


PICTURES = st.tuples(st.sampled_from("abcd"), st.sampled_from([A, B, C, ""]))
VALUES = st.sampled_from([None, "oak", "elm", 7])


@given(
    items=st.lists(PICTURES, max_size=6, unique_by=lambda item: item[0]),
    said=st.lists(st.tuples(PICTURES, VALUES), max_size=6),
)
def test_only_rows_that_a_mark_is_about_are_looked_at_and_none_is_missed(items, said):
    marks = Marks(
        tuple(mark(at, "label", dict([picture]), value) for at, (picture, value) in enumerate(said))
    )
    ids, sha256s = ([item[place] for item in items] for place in (0, 1))
    columns = [pa.chunked_array([texts[:2], texts[2:]], pa.string()) for texts in (ids, sha256s)]

    found = values_by_row(marks, "label", *columns)

    assert [found.get(row) for row in range(len(items))] == marks.column("label", ids, sha256s)
    assert list(found) == sorted(found)


def test_the_key_names_the_labels_and_nothing_else(tmp_path):
    (tmp_path / "collection.json").touch()
    assert labels_key(read_marks(tmp_path)) == ""
    write_marks(tmp_path, [mark(1, "favourite", {"a": A}, True), mark(1, "label", {"a": A, "b": B}, "two")])
    assert labels_key(read_marks(tmp_path)) == ""
    write_marks(tmp_path, [mark(2, "label", {"a": A}, "oak")])
    key = labels_key(read_marks(tmp_path))
    write_marks(tmp_path, [mark(3, "favourite", {"a": A}, None)])
    assert labels_key(read_marks(tmp_path)) == key != ""
    write_marks(tmp_path, [mark(4, "label", {"a": A}, None)])
    assert labels_key(read_marks(tmp_path)) != key
