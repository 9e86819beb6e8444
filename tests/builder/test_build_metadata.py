"""Labels, metadata and tags: the columns that a build adds."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from building import counts, files, labels, vectors
from conftest import CLASSES, build, write_picture

import lookalike
from lookalike.demo.flowers import write_flowers
from lookalike.errors import SourceError
from lookalike.storage.parts import list_parts


def test_labels_change_without_embedding(folder, target):
    before = vectors(build(folder, target)[0])

    collection, report = build(folder, target, label="folder")

    assert counts(report) == {"unchanged": 12}
    assert labels(collection)["sea/sea-002.png"] == "sea"
    assert vectors(collection) == before
    assert list(collection.verify()) == []


def test_a_label_can_be_a_group_of_the_name(folder, target):
    collection, _ = build(folder, target, label=r"regex:^([a-z]+)-\d")

    assert labels(collection)["sea/sea-002.png"] == "sea"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("nosuch", "unknown label rule 'nosuch'"),
        ("regex:(", "is not a regular expression"),
        ("regex:sea", "has no group"),
        ("regex:(xyz)", "gives no image a label"),
    ],
)
def test_a_label_rule_that_cannot_be_meant_is_refused(folder, target, rule, message):
    with pytest.raises(SourceError, match=message):
        build(folder, target, label=rule)
    assert not target.exists()


def test_options_are_remembered_until_they_are_forgotten(folder, target, tmp_path):
    (tmp_path / "notes.csv").write_text("id,price\nsea/sea-002.png,3\n")
    build(folder, target, label="folder", metadata=tmp_path / "notes.csv")
    write_picture(folder / "sea" / "new.png", 100)

    collection, _ = build(folder, target)
    assert labels(collection)["sea/new.png"] == "sea"
    assert "price" in collection.items().column_names

    collection, _ = build(folder, target, label="none", metadata="none")
    assert set(labels(collection).values()) == {None}
    assert "price" not in collection.items().column_names

    collection, _ = build(folder, target)
    assert set(labels(collection).values()) == {None}


def test_a_relative_metadata_path_is_remembered_from_anywhere(folder, target, tmp_path, monkeypatch):
    (tmp_path / "notes.csv").write_text("id,price\nsea/sea-002.png,3\n")
    monkeypatch.chdir(tmp_path)
    build(folder, target, metadata="notes.csv")
    monkeypatch.chdir(folder)

    collection, _ = build(folder, target)

    assert collection.items()["price"].drop_null().to_pylist() == [3]


def test_metadata_becomes_columns(folder, target, tmp_path):
    (tmp_path / "notes.csv").write_text(
        "path,price,caption,label\nsea/sea-002.png,3,blue,water\nbrick/brick-000.jpg,4.5,,wall\nelse.jpg,9,x,y\n"
    )
    collection, _ = build(folder, target, metadata=tmp_path / "notes.csv")

    rows = {row["id"]: row for row in collection.items().to_pylist()}
    assert {name: rows["sea/sea-002.png"][name] for name in ("price", "caption", "label")} == {
        "price": 3.0,
        "caption": "blue",
        "label": "water",
    }
    assert rows["brick/brick-003.jpg"]["price"] is None


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", None, "a"]).dictionary_encode(),
        pa.array([["a", "b"], [], None]),
        pa.array([{"x": 1}, None, {"x": 2}]),
        pa.array([1, 2, None], pa.timestamp("us", tz="UTC")),
        pa.array([1, 2, None], pa.date32()),
        pa.array([b"\xff", None, b""]),
        pa.array([None, None, None], pa.null()),
        pa.array([True, False, None]),
        pa.array(["12.50", None, "1.00"]).cast(pa.decimal128(10, 2)),
        pa.array([[1.0, 2.0], [3.0, 4.0], None], pa.list_(pa.float32(), 2)),
    ],
    ids=lambda array: str(array.type),
)
def test_metadata_of_any_type_is_kept(folder, target, tmp_path, column):
    names = ["brick/brick-000.jpg", "meadow/meadow-001.jpg", "sea/sea-002.png"]
    pq.write_table(pa.table({"id": names, "extra": column}), tmp_path / "extra.parquet")
    build(folder, target, metadata=tmp_path / "extra.parquet", part_size=6)
    before = files(target)

    collection, _ = build(folder, target)

    rows = {row["id"]: row.get("extra") for row in collection.items().to_pylist()}
    assert [rows[name] for name in names] == column.to_pylist()
    assert files(target) == before
    assert len(collection.search(lookalike.Id(names[0]), k=12, include_query=True)) == 12


def test_changed_metadata_is_refreshed_without_embedding(folder, target, tmp_path):
    notes = tmp_path / "notes.csv"
    notes.write_text("id,price\nsea/sea-002.png,3\n")
    build(folder, target, metadata=notes)
    notes.write_text("id,color\nsea/sea-002.png,blue\nsea/sea-005.png,green\n")

    collection, report = build(folder, target)

    assert counts(report) == {"unchanged": 12}
    assert "price" not in collection.items().column_names
    assert collection.items()["color"].drop_null().to_pylist() == ["blue", "green"]
    assert list_parts(collection.path)[0].column_names()[-2:] == ["color", "embedding"]


def test_metadata_may_change_its_type(folder, target, tmp_path):
    notes = tmp_path / "notes.csv"
    notes.write_text("id,price\nbrick/brick-000.jpg,1\nsea/sea-002.png,3\n")
    build(folder, target, metadata=notes, part_size=4)
    notes.write_text("id,price\nbrick/brick-000.jpg,1\nsea/sea-002.png,cheap\n")

    collection, _ = build(folder, target)

    assert collection.items()["price"].drop_null().to_pylist() == ["1", "cheap"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read the metadata"),
        ("price\n1\n", "has no column of relative paths, only: price"),
        ("id,sha256\nsea/sea-002.png,1\n", "uses itself or that occur twice: sha256"),
        ("id,embedding\nsea/sea-002.png,1\n", "uses itself or that occur twice: embedding"),
        ("id,price,price\nsea/sea-002.png,1,2\n", "occur twice"),
        ("id,id\nsea/sea-002.png,sea/sea-002.png\n", "occur twice"),
        ("id,price\nother.jpg,1\n", "no row of .* matches an image"),
        ("id,price\nsea\xe9.png,1\nsea/sea-002.png,2\n", "cannot read the metadata"),
        ("id,pric\xe9\nsea/sea-002.png,2\n", "cannot read the metadata"),
    ],
)
def test_metadata_that_cannot_be_joined_is_refused(folder, target, tmp_path, text, message):
    (tmp_path / "notes.csv").write_text(text, encoding="latin-1")

    with pytest.raises(SourceError, match=message):
        build(folder, target, metadata=tmp_path / "notes.csv")
    assert not target.exists()


def test_metadata_that_is_no_number_is_no_reason_to_write(folder, target, tmp_path):
    prices = pa.table({"id": ["brick/brick-000.jpg", "sea/sea-002.png"], "price": [float("nan"), 1.0]})
    pq.write_table(prices, tmp_path / "prices.parquet")
    build(folder, target, metadata=tmp_path / "prices.parquet")
    before = files(target)

    build(folder, target)

    assert files(target) == before


def test_labels_of_classes_are_the_folders(collection):
    assert {id_.split("/")[0] for id_ in labels(collection)} == set(CLASSES)
    assert all(id_.startswith(f"{label}/") for id_, label in labels(collection).items())


@pytest.mark.slow
def test_the_network_tags_each_image_with_what_it_sees(tmp_path):
    write_flowers(tmp_path / "flowers", count=12)

    collection = lookalike.build(tmp_path / "flowers", tmp_path / "c.lookalike", label="folder")

    table = collection.items(["label", "tags", "tag_probabilities"])
    tags = dict(zip(table["label"].to_pylist(), table["tags"].to_pylist(), strict=True))
    assert "flower" in tags["daisy"]
    for names, chances in zip(table["tags"].to_pylist(), table["tag_probabilities"].to_pylist(), strict=True):
        assert len(names) == len(chances) <= 5
        assert chances == sorted(chances, reverse=True)
        assert all(0.2 <= chance <= 1 for chance in chances)


def test_tags_stay_when_labels_change(tmp_path):
    write_flowers(tmp_path / "flowers", count=4)
    tagged = lookalike.build(tmp_path / "flowers", tmp_path / "c.lookalike").items(["tags"])

    labelled = lookalike.build(tmp_path / "flowers", tmp_path / "c.lookalike", label="folder")

    assert labelled.items(["tags"]).equals(tagged)
    assert labelled.items(["label"])["label"].null_count == 0


@pytest.mark.slow
def test_words_find_pictures(tmp_path):
    write_flowers(tmp_path / "flowers", count=60)
    collection = lookalike.build(tmp_path / "flowers", tmp_path / "c.lookalike", label="folder")

    assert collection.search(lookalike.Text("daisy"), k=1)[0].label == "daisy"
