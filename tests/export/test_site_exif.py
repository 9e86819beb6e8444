"""When, where and with which camera pictures were taken: what a site and other tools are told of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import build, picture
from pictures import HARBOUR, photographed

import lookalike
from lookalike.export import export_site, export_tables

EXIF = {"taken_at", "latitude", "longitude", "camera"}


@pytest.fixture(scope="module")
def trip(tmp_path_factory: pytest.TempPathFactory) -> lookalike.Collection:
    """A collection of a photograph of which EXIF tells a lot."""
    root = tmp_path_factory.mktemp("trip")
    picture(1).save(root / "a.jpg", exif=photographed())
    return build(root, root / "trip.lookalike")[0]


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def catalogue(site: Path) -> dict[str, Any]:
    (entry,) = read(site / "collections.json")["collections"]
    return entry


def data(site: Path) -> Path:
    return site / catalogue(site)["files"]["folder"]


def test_when_where_and_with_what_pictures_were_taken_is_not_published(trip, tmp_path):
    site = export_site(trip.snapshot, tmp_path / "site")

    assert EXIF.isdisjoint(read(data(site) / "columns" / "00000.json"))
    assert EXIF.isdisjoint(one["name"] for one in catalogue(site)["columns"])
    published = b"".join(path.read_bytes() for path in [*site.rglob("*.json"), *site.rglob("*.jpg")])
    assert b"Canon" not in published and b"2019" not in published and b"33.85" not in published


def test_it_is_published_if_so_wanted(trip, tmp_path):
    site = export_site(trip.snapshot, tmp_path / "site", with_exif=True)

    columns = read(data(site) / "columns" / "00000.json")
    assert {name: columns[name] for name in EXIF} == {
        "taken_at": ["2019-07-31T18:04:09.250000"],
        "latitude": [HARBOUR.latitude],
        "longitude": [151.2],
        "camera": ["Canon EOS 5D"],
    }
    types = {one["name"]: one["type"] for one in catalogue(site)["columns"]}
    assert {name: types[name] for name in EXIF} == {
        "taken_at": "other",
        "latitude": "number",
        "longitude": "number",
        "camera": "text",
    }


def test_no_cache_mixes_a_site_with_it_and_one_without(trip, tmp_path):
    without = export_site(trip.snapshot, tmp_path / "without")

    assert data(without).name != data(export_site(trip.snapshot, tmp_path / "with", with_exif=True)).name


def test_a_column_of_that_name_that_the_source_brought_is_not_published_either(photos, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("path,latitude\nsea/sea-002.png,48.5\n")
    built, _ = build(photos, tmp_path / "c.lookalike", metadata=str(table))

    columns = read(data(export_site(built.snapshot, tmp_path / "site")) / "columns" / "00000.json")

    assert "latitude" not in columns


def test_a_column_that_says_nothing_is_none_of_the_catalogue(collection, trip, tmp_path):
    labelled, unlabelled = (
        export_site(collection.snapshot, tmp_path / "a"),
        export_site(trip.snapshot, tmp_path / "b"),
    )

    assert "label" in {one["name"] for one in catalogue(labelled)["columns"]}
    assert "label" not in {one["name"] for one in catalogue(unlabelled)["columns"]}


def test_the_command_publishes_it_with_a_flag_alone(trip, tmp_path, run):
    assert run("export", trip.path, tmp_path / "without")[0] == 0
    assert run("export", trip.path, tmp_path / "with", "--with-exif")[0] == 0

    assert "camera" not in read(data(tmp_path / "without") / "columns" / "00000.json")
    assert read(data(tmp_path / "with") / "columns" / "00000.json")["camera"] == ["Canon EOS 5D"]


def test_files_for_other_tools_have_it_in_its_types(trip, tmp_path):
    rows = pq.read_table(export_tables(trip.snapshot, tmp_path / "out", "npy") / "metadata.parquet")

    assert rows["taken_at"].to_pylist() == [HARBOUR.taken_at]
    assert (rows.schema.field("taken_at").type, rows.schema.field("latitude").type) == (
        pa.timestamp("us"),
        pa.float64(),
    )
