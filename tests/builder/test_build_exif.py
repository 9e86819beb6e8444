"""The columns that a build takes from EXIF."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from building import counts, files
from conftest import build, picture, write_picture
from pictures import HARBOUR, photographed
from PIL import ExifTags

import lookalike
from lookalike.errors import SourceError
from lookalike.storage.parts import is_from_exif, list_parts

EXIF = ["taken_at", "latitude", "longitude", "camera"]
HARBOUR_ROW = {name: getattr(HARBOUR, name) for name in EXIF}
UNKNOWN = dict.fromkeys(EXIF)


def photograph(path: Path, seed: int, block: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path, exif=photographed() if block is None else block)
    return path


@pytest.fixture
def trip(tmp_path: Path) -> Path:
    """Two photographs of the harbour, a JPEG and a PNG, and a drawing of which nothing is known."""
    photograph(tmp_path / "trip" / "a.jpg", 1)
    photograph(tmp_path / "trip" / "b.png", 2)
    write_picture(tmp_path / "trip" / "c.jpg", 3)
    return tmp_path / "trip"


def noted(collection: lookalike.Collection) -> dict[str, dict[str, Any]]:
    """What the columns say of each item, for those of the columns that there are."""
    rows = {row["id"]: row for row in collection.items().to_pylist()}
    return {id_: {name: row[name] for name in EXIF if name in row} for id_, row in sorted(rows.items())}


def as_before_exif(collection: lookalike.Collection) -> None:
    """Take the columns out, as in a collection that was made before there were any."""
    for part in list_parts(collection.path):
        part.write(part.items().drop_columns(EXIF))


def csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_build_notes_when_where_and_with_what_pictures_were_taken(trip, target):
    collection, _ = build(trip, target)

    assert noted(collection) == {"a.jpg": HARBOUR_ROW, "b.png": HARBOUR_ROW, "c.jpg": UNKNOWN}
    assert list(collection.verify()) == []


def test_a_time_has_no_zone_and_counts_microseconds(trip, target):
    collection, _ = build(trip, target)

    schema = collection.items().schema
    assert [schema.field(name).type for name in EXIF] == [
        pa.timestamp("us"),
        pa.float64(),
        pa.float64(),
        pa.string(),
    ]


def test_damaged_exif_costs_no_picture(trip, target):
    photograph(trip / "d.jpg", 4, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x0f\x01\x02\0\xff\xff\xff\xff" * 9)

    collection, report = build(trip, target)

    assert counts(report) == {"embedded": 4}
    assert noted(collection)["d.jpg"] == UNKNOWN


def test_pictures_are_found_by_a_condition_over_these_columns(trip, target):
    collection, _ = build(trip, target)

    where = "year(taken_at) = 2019 AND latitude < 0 AND camera LIKE 'Canon%'"
    found = collection.search(lookalike.Id("c.jpg"), k=5, where=where)

    assert sorted(hit.id for hit in found) == ["a.jpg", "b.png"]


# A source that brings a column of such a name


def test_a_column_of_the_source_takes_the_place_of_that_from_exif(trip, target, tmp_path):
    notes = csv(tmp_path / "notes.csv", "path,latitude\na.jpg,48.5\n")

    collection, _ = build(trip, target, metadata=notes)

    assert noted(collection) == {
        "a.jpg": {**HARBOUR_ROW, "latitude": 48.5},
        "b.png": {**HARBOUR_ROW, "latitude": None},
        "c.jpg": UNKNOWN,
    }
    assert collection.items().column_names.count("latitude") == 1


def test_a_column_of_the_source_may_have_another_type(trip, target, tmp_path):
    notes = csv(tmp_path / "notes.csv", "path,camera,taken_at\na.jpg,7,long ago\n")

    collection, _ = build(trip, target, metadata=notes)

    assert collection.items(["camera"])["camera"].to_pylist() == [7, None, None]
    assert collection.items(["taken_at"])["taken_at"].to_pylist() == ["long ago", None, None]


def test_metadata_that_comes_later_takes_the_place_too_until_it_goes(trip, target, tmp_path):
    build(trip, target)
    notes = csv(tmp_path / "notes.csv", "path,latitude\na.jpg,48.5\n")

    collection, report = build(trip, target, metadata=notes)
    assert counts(report) == {"unchanged": 3}
    assert noted(collection)["a.jpg"] == {**HARBOUR_ROW, "latitude": 48.5}
    assert noted(collection)["b.png"] == {**HARBOUR_ROW, "latitude": None}

    collection, _ = build(trip, target, metadata="none")
    assert "latitude" not in collection.items().column_names
    assert noted(collection)["a.jpg"].items() <= HARBOUR_ROW.items()


def test_what_exif_says_stays_where_metadata_is_refreshed(trip, target, tmp_path):
    notes = csv(tmp_path / "notes.csv", "path,price\na.jpg,1\n")
    build(trip, target, metadata=notes)
    csv(notes, "path,price,color\na.jpg,2,red\n")

    collection, _ = build(trip, target)

    assert noted(collection) == {"a.jpg": HARBOUR_ROW, "b.png": HARBOUR_ROW, "c.jpg": UNKNOWN}
    assert collection.items(["price"])["price"].to_pylist() == [2, None, None]


def test_a_build_that_changes_nothing_writes_nothing(trip, target):
    build(trip, target)
    before = files(target)

    build(trip, target)

    assert files(target) == before


def test_a_picture_that_is_gone_takes_what_was_noted_of_it_along(trip, target):
    build(trip, target)
    (trip / "a.jpg").unlink()

    collection, _ = build(trip, target)

    assert noted(collection) == {"b.png": HARBOUR_ROW, "c.jpg": UNKNOWN}
    assert [is_from_exif(field) for field in list_parts(collection.path)[0].schema()].count(True) == 4


# Several sources, and collections of before


def test_a_collection_of_before_takes_new_pictures_in(trip, target):
    as_before_exif(build(trip, target)[0])
    photograph(trip / "d.jpg", 4)

    collection, report = build(trip, target)

    assert counts(report) == {"embedded": 1, "unchanged": 3}
    assert noted(collection) == {"a.jpg": UNKNOWN, "b.png": UNKNOWN, "c.jpg": UNKNOWN, "d.jpg": HARBOUR_ROW}
    assert list(collection.verify()) == []


def test_a_column_that_other_pictures_have_in_another_type_is_left_out(trip, target, tmp_path):
    notes = csv(tmp_path / "notes.csv", "path,camera\na.jpg,7\n")
    build(trip, target, metadata=notes)
    photograph(tmp_path / "more" / "d.jpg", 4)

    collection, report = build(tmp_path / "more", target)

    assert counts(report)["embedded"] == 1
    assert noted(collection)["d.jpg"] == {**HARBOUR_ROW, "camera": None}
    assert noted(collection)["a.jpg"] == {**HARBOUR_ROW, "camera": 7}


def test_a_whole_number_goes_with_degrees(trip, target, tmp_path):
    notes = csv(tmp_path / "notes.csv", "path,latitude\na.jpg,7\n")
    build(trip, target, metadata=notes)
    photograph(tmp_path / "more" / "d.jpg", 4)

    collection, _ = build(tmp_path / "more", target)

    assert noted(collection)["d.jpg"] == HARBOUR_ROW


def test_metadata_of_another_type_than_a_column_from_exif_says_how_to_go_on(trip, target, tmp_path):
    build(trip, target)
    photograph(tmp_path / "more" / "d.jpg", 4)
    notes = csv(tmp_path / "notes.csv", "path,taken_at\nd.jpg,long ago\n")

    with pytest.raises(SourceError, match=r"taken_at has incompatible types.*; rename it in the metadata"):
        build(tmp_path / "more", target, metadata=notes)


def test_a_time_of_another_precision_goes_with_those_from_exif(trip, target, tmp_path):
    build(trip, target)
    photograph(tmp_path / "more" / "d.jpg", 4)
    times = pa.array([datetime(2024, 1, 2, 3, 4, 5)], pa.timestamp("s"))
    pq.write_table(pa.table({"id": ["d.jpg"], "taken_at": times}), tmp_path / "times.parquet")

    collection, _ = build(tmp_path / "more", target, metadata=tmp_path / "times.parquet")

    assert noted(collection)["d.jpg"]["taken_at"] == datetime(2024, 1, 2, 3, 4, 5)
    assert noted(collection)["a.jpg"] == HARBOUR_ROW


def test_only_a_marked_column_is_from_exif():
    assert is_from_exif(pa.field("camera", pa.string(), metadata={"lookalike.from": "exif", "more": "x"}))
    assert not is_from_exif(pa.field("camera", pa.string(), metadata={"lookalike.from": "source"}))
    assert not is_from_exif(pa.field("camera", pa.string()))


def test_a_time_of_digitizing_is_noted_where_there_is_no_other(trip, target):
    tags = {ExifTags.Base.DateTimeOriginal: None, ExifTags.Base.DateTimeDigitized: "2001:02:03 04:05:06"}
    photograph(trip / "d.jpg", 4, photographed(details={**tags, ExifTags.Base.SubsecTimeOriginal: None}))

    collection, _ = build(trip, target)

    assert noted(collection)["d.jpg"]["taken_at"] == datetime(2001, 2, 3, 4, 5, 6)
