"""When, where and with which camera pictures were taken, over HTTP and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from conftest import build, picture, write_pictures
from pictures import HARBOUR, photographed
from serving import running

from lookalike.server.answers import as_json
from lookalike.storage.columns import filled_columns, jsonable


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[httpx.Client]:
    """A trip of two pictures, of one of which EXIF tells, and drawings of none of which it does."""
    (root / "trip").mkdir()
    picture(1).save(root / "trip" / "a.jpg", exif=photographed())
    picture(2).save(root / "trip" / "b.jpg")
    trip, _ = build(root / "trip", root / "trip.lookalike")
    drawings, _ = build(write_pictures(root / "drawings", 3), root / "drawings.lookalike")
    with running(trip, drawings) as url, httpx.Client(base_url=f"{url}api/") as client:
        yield client


def columns(client: httpx.Client, name: str) -> dict[str, str]:
    found = {one["name"]: one for one in client.get("collections").json()}
    return {one["name"]: one["type"] for one in found[name]["columns"]}


def facet_names(client: httpx.Client, name: str, **params: str) -> set[str]:
    return {one["name"] for one in client.get(f"{name}/facets", params=params).json()["columns"]}


def test_an_item_says_it_as_text_of_iso_8601_and_as_numbers(client: httpx.Client) -> None:
    item = client.get("trip/items/a.jpg").json()

    assert item["taken_at"] == "2019-07-31T18:04:09.250000"
    assert (item["latitude"], item["longitude"]) == (HARBOUR.latitude, 151.2)
    assert item["camera"] == "Canon EOS 5D"


def test_what_is_unknown_of_an_item_is_null(client: httpx.Client) -> None:
    item = client.get("trip/items/b.jpg").json()

    assert [item[name] for name in ("taken_at", "latitude", "longitude", "camera")] == [None] * 4


def test_a_column_is_listed_if_it_says_something_of_at_least_one_item(client: httpx.Client) -> None:
    shown = columns(client, "trip")

    assert (shown["taken_at"], shown["latitude"], shown["camera"]) == ("other", "number", "text")
    assert {"camera", "latitude", "longitude"} <= facet_names(client, "trip")


def test_a_column_that_is_null_in_every_row_is_neither_listed_nor_a_facet(client: httpx.Client) -> None:
    nothing = {"taken_at", "latitude", "longitude", "camera", "label"}

    assert nothing.isdisjoint(columns(client, "drawings"))
    assert facet_names(client, "drawings") == {"size_bytes", "width", "height"}


def test_a_column_stays_a_facet_where_the_rows_of_a_condition_have_nulls_alone(client: httpx.Client) -> None:
    assert "camera" in facet_names(client, "trip", where="camera IS NULL")


def test_items_are_filtered_by_it(client: httpx.Client) -> None:
    where = "taken_at BETWEEN '2019-07-31' AND '2019-08-01'"

    found = client.get("trip/items", params={"where": where}).json()

    assert [item["id"] for item in found["items"]] == ["a.jpg"]


def test_the_command_prints_it_as_text_of_iso_8601(client: httpx.Client, root: Path, run: Any) -> None:
    code, out, _ = run("search", root / "trip.lookalike", "id:b.jpg", "-k", "1", "--json")

    assert code == 0
    (hit,) = json.loads(out)["hits"]
    assert (hit["taken_at"], hit["camera"]) == ("2019-07-31T18:04:09.250000", "Canon EOS 5D")


def test_of_no_items_all_columns_are_listed() -> None:
    table = pa.table({"id": pa.array([], pa.string()), "camera": pa.array([], pa.string())})

    assert filled_columns(table) == ["id", "camera"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2020, 1, 2, 3, 4, 5), "2020-01-02T03:04:05"),
        (date(2020, 1, 2), "2020-01-02"),
        (time(3, 4, 5), "03:04:05"),
        ([{"at": date(2020, 1, 2)}, float("nan")], [{"at": "2020-01-02"}, None]),
    ],
)
def test_times_and_dates_are_text_in_json(value: Any, expected: Any) -> None:
    assert jsonable(value) == expected


def test_an_answer_of_the_server_has_them_as_text_too() -> None:
    content = {"at": datetime(2020, 1, 2, 3, 4, 5), "other": b"x"}

    assert json.loads(as_json(content).body) == {"at": "2020-01-02T03:04:05", "other": "b'x'"}
