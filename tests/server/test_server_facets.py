"""What the columns of a collection hold, and the collections themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import build
from serving import running

import lookalike
from lookalike.index import build_index


@pytest.fixture(scope="module")
def client(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The 42 pictures with a price that is missing twice, and a seller."""
    folder = tmp_path_factory.mktemp("priced")
    rows = [f"{path.relative_to(photos).as_posix()}" for path in sorted(photos.rglob("*.*g"))]
    priced = [f"{row},{'' if number < 2 else number},seller {number % 3}" for number, row in enumerate(rows)]
    (folder / "prices.csv").write_text("path,price,seller\n" + "\n".join(priced))
    made, _ = build(photos, folder / "priced.lookalike", label="folder", metadata=folder / "prices.csv")
    with running(made) as url, httpx.Client(base_url=f"{url}api/") as client:
        yield client


def facet(client: httpx.Client, name: str, **params: str) -> Any:
    columns = client.get("priced/facets", params=params).json()["columns"]
    return next(column for column in columns if column["name"] == name)


def test_the_values_of_text_are_counted(client: httpx.Client) -> None:
    values = [{"value": one, "count": 14} for one in ("brick", "meadow", "sea")]
    assert facet(client, "label") == {"name": "label", "type": "text", "values": values, "distinct": 3}


def test_the_spread_of_numbers_is_a_histogram(client: httpx.Client) -> None:
    price = facet(client, "price")
    assert (price["type"], price["min"], price["max"]) == ("number", 2, 41)
    assert (len(price["bins"]), sum(price["bins"]), len(price["edges"])) == (20, 40, 21)


def test_a_number_that_never_changes_has_one_bin(client: httpx.Client) -> None:
    width = facet(client, "width")
    assert (width["bins"], width["min"], width["max"]) == ([42], 64, 64)


def test_a_column_without_numbers_has_neither_bins_nor_ends(client: httpx.Client) -> None:
    price = facet(client, "price", where="price IS NULL")
    assert price == {"name": "price", "type": "number", "min": None, "max": None, "bins": [], "edges": []}


def test_facets_are_of_the_rows_for_which_a_condition_holds(client: httpx.Client) -> None:
    where = "price BETWEEN 20 AND 29"
    assert client.get("priced/facets", params={"where": where}).json()["total"] == 10
    counted = {one["value"]: one["count"] for one in facet(client, "seller", where=where)["values"]}
    assert counted == {"seller 0": 3, "seller 1": 3, "seller 2": 4}


def test_a_condition_that_holds_for_none_leaves_nothing_to_count(client: httpx.Client) -> None:
    assert facet(client, "label", where="price > 999")["values"] == []
    nothing = {"min": None, "max": None, "bins": [], "edges": []}
    assert facet(client, "price", where="price > 999") == {"name": "price", "type": "number", **nothing}


def test_what_tells_items_apart_has_no_facet(client: httpx.Client) -> None:
    names = {column["name"] for column in client.get("priced/facets").json()["columns"]}
    assert names == {"size_bytes", "width", "height", "label", "price", "seller"}


def test_tags_are_counted_one_by_one(tmp_path: Path) -> None:
    import pyarrow as pa

    from lookalike.server.facets import _facet

    column = pa.chunked_array([[["dog", "animal"], None, ["cat", "animal"]]])
    values = [{"value": "animal", "count": 2}, {"value": "cat", "count": 1}, {"value": "dog", "count": 1}]
    assert _facet("tags", column) == {"name": "tags", "type": "list", "values": values, "distinct": 3}


def test_items_can_be_filtered_page_by_page(client: httpx.Client) -> None:
    params: dict[str, Any] = {"where": "label = 'sea'", "offset": 10, "limit": 10}
    page = client.get("priced/items", params=params).json()
    assert (page["total"], len(page["items"])) == (14, 4)
    assert {item["label"] for item in page["items"]} == {"sea"}


def test_a_collection_says_what_it_has(client: httpx.Client) -> None:
    (about,) = client.get("collections").json()
    types = {column["name"]: column["type"] for column in about["columns"]}
    assert types["price"] == types["width"] == "number"
    assert types["label"] == types["id"] == "text"
    assert not {"embedding", "thumb_offset", "thumb_size"} & types.keys()
    assert (about["words"], about["pictures"], about["index"], about["views"]) == (True, True, "none", [])


def test_several_collections_are_served_by_names_of_their_own(
    collection: lookalike.Collection, copied: lookalike.Collection, tmp_path: Path
) -> None:
    build_index(copied.path, "flat")
    again = lookalike.open(copied.path.rename(tmp_path / "photos.lookalike"))
    with running(collection, again) as url, httpx.Client(base_url=f"{url}api/") as client:
        found = client.get("collections").json()
        assert [(one["name"], one["count"], one["index"]) for one in found] == [
            ("photos", 42, "none"),
            ("photos-2", 42, "fresh"),
        ]
        for name in ("photos", "photos-2"):
            body = {"id": "sea/sea-002.png", "k": 1, "include_query": True}
            hits = client.post(f"{name}/search", json=body).json()["hits"]
            assert hits[0]["id"] == "sea/sea-002.png"
