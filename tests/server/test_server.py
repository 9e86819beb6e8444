"""What the server answers, asked over real connections."""

from __future__ import annotations

import io
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import build, picture, write_picture
from PIL import Image
from serving import encoded, problem, running

import lookalike


@pytest.fixture(scope="module")
def client(collection: lookalike.Collection) -> Iterator[httpx.Client]:
    with running(collection) as url, httpx.Client(base_url=url) as client:
        yield client


# What is in the collection.


def test_the_collections_are_listed_with_their_model_and_labels(client: httpx.Client) -> None:
    (only,) = client.get("/api/collections").json()
    assert only["name"] == "photos"
    assert only["count"] == 42
    assert (only["model"], only["dim"]) == ("colors", 192)
    assert only["labels"] == {"brick": 14, "meadow": 14, "sea": 14}
    assert len(only["fingerprint"]) == 64


def test_items_are_handed_out_page_by_page(client: httpx.Client) -> None:
    first = client.get("/api/photos/items?limit=30").json()
    second = client.get("/api/photos/items?offset=30&limit=30").json()
    assert (first["total"], first["offset"], second["offset"]) == (42, 0, 30)
    assert len(first["items"]) == 30
    assert len(second["items"]) == 12
    assert len({item["id"] for item in first["items"] + second["items"]}) == 42


def test_an_item_in_a_list_has_what_a_grid_needs(client: httpx.Client) -> None:
    item = client.get("/api/photos/items?limit=1").json()["items"][0]
    version = item.pop("v")
    assert item == {"id": "brick/brick-000.jpg", "label": "brick", "width": 64, "height": 48}
    row = client.get("/api/photos/items/brick/brick-000.jpg").json()
    assert row["sha256"].startswith(version)


def test_an_offset_beyond_the_end_gives_no_items(client: httpx.Client) -> None:
    assert client.get("/api/photos/items?offset=99").json() == {"total": 42, "offset": 99, "items": []}


def test_one_item_is_its_row_without_the_place_of_its_thumbnail(client: httpx.Client) -> None:
    row = client.get("/api/photos/items/sea/sea-002.png").json()
    assert (row["id"], row["label"], row["width"]) == ("sea/sea-002.png", "sea", 64)
    assert row["uri"].endswith("sea-002.png")
    assert not {"thumb_offset", "thumb_size", "embedding"} & set(row)


def test_an_id_may_hold_any_character(tmp_path: Path) -> None:
    name = "a ü?#%2F&+.png"
    write_picture(tmp_path / "odd" / name, 1)
    odd, _ = build(tmp_path / "odd", tmp_path / "odd names.lookalike")
    with running(odd) as url:
        quoted = "".join(f"%{byte:02X}" for byte in name.encode())
        answer = httpx.get(f"{url}api/odd%20names/thumbnails/{quoted}")
    assert answer.headers["content-type"] == "image/jpeg"


def test_a_missing_number_in_the_metadata_is_null_in_json(folder: Path, target: Path) -> None:
    table = folder.with_name("prices.csv")
    table.write_text("path,price\nbrick/brick-000.jpg,1.5\nmeadow/meadow-001.jpg,nan\n")
    build(folder, target, metadata=table)
    with running(lookalike.open(target)) as url:
        prices = [
            httpx.get(f"{url}api/target/items/{id_}").json()["price"]
            for id_ in ("brick/brick-000.jpg", "meadow/meadow-001.jpg")
        ]
    assert prices == [1.5, None]


# Thumbnails.


def test_a_thumbnail_is_a_jpeg(client: httpx.Client) -> None:
    answer = client.get("/api/photos/thumbnails/sea/sea-002.png")
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (64, 48)


def test_without_thumbnails_they_are_made_of_the_originals(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    picture(1, size=(600, 400)).save(folder / "a.png")
    made = lookalike.build(folder, tmp_path / "c.lookalike", model="colors", thumbnails=False)
    with running(made) as url:
        shown = httpx.get(f"{url}api/c/thumbnails/a.png")
        (folder / "a.png").unlink()
        gone = httpx.get(f"{url}api/c/thumbnails/a.png")

    assert Image.open(io.BytesIO(shown.content)).size == (256, 171)
    assert problem(gone) == (404, "unknown-path", "this item has no picture")


def test_a_thumbnail_asked_for_by_version_is_kept_by_the_browser(client: httpx.Client) -> None:
    item = client.get("/api/photos/items?limit=1").json()["items"][0]
    answer = client.get(f"/api/photos/thumbnails/{item['id']}?v={item['v']}")
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_a_thumbnail_of_another_version_is_not_kept(client: httpx.Client) -> None:
    answer = client.get("/api/photos/thumbnails/brick/brick-000.jpg?v=000000000000")
    assert answer.headers["cache-control"] == "no-cache"


def test_a_thumbnail_that_the_browser_has_is_not_sent_again(client: httpx.Client) -> None:
    path = "/api/photos/thumbnails/brick/brick-000.jpg"
    etag = client.get(path).headers["etag"]
    again = client.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_an_id_is_never_taken_for_a_path(client: httpx.Client) -> None:
    for path in ("..%2F..%2Fcollection.json", "%2Fetc%2Fpasswd", "..%5Ccollection.json"):
        assert problem(client.get(f"/api/photos/thumbnails/{path}"))[:2] == (404, "unknown-item")
        assert client.get(f"/web/{path}").status_code == 404


# Search.


def test_an_item_is_its_own_nearest_neighbour(client: httpx.Client) -> None:
    body = {"id": "sea/sea-002.png", "k": 5, "include_query": True}
    answer = client.post("/api/photos/search", json=body).json()
    assert [hit["label"] for hit in answer["hits"]] == ["sea"] * 5
    assert answer["hits"][0]["id"] == "sea/sea-002.png"
    assert answer["hits"][0]["score"] == pytest.approx(1, abs=1e-5)
    assert answer["query"]["id"] == "sea/sea-002.png"
    assert 0 < answer["took_ms"] < 5000
    assert answer["total"] == 42


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_finds_what_looks_like_it(client: httpx.Client, kind: str) -> None:
    body = encoded(picture(7, (90, 160, 70)), kind)
    headers = {"Content-Type": f"image/{kind.lower()}"}
    answer = client.post("/api/photos/search?k=3", content=body, headers=headers).json()
    assert [hit["label"] for hit in answer["hits"]] == ["meadow"] * 3
    assert answer["query"]["bytes"] == len(body)
    scores = [hit["score"] for hit in answer["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_a_stored_picture_finds_itself(client: httpx.Client, photos: Path) -> None:
    body = (photos / "brick" / "brick-000.jpg").read_bytes()
    headers = {"Content-Type": "application/octet-stream"}
    hits = client.post("/api/photos/search", content=body, headers=headers).json()["hits"]
    assert hits[0]["id"] == "brick/brick-000.jpg"


def test_k_is_ten_unless_asked_and_more_than_there_are_gives_all(client: httpx.Client) -> None:
    assert len(client.post("/api/photos/search", json={"id": "sea/sea-002.png"}).json()["hits"]) == 10
    hits = client.post("/api/photos/search?k=10000", json={"id": "sea/sea-002.png"}).json()["hits"]
    assert len(hits) == 41  # all but the one that was asked with
    body, headers = encoded(picture(1)), {"Content-Type": "image/png"}
    for address, count in (("search", 10), ("search?k=10000", 42)):
        found = client.post(f"/api/photos/{address}", content=body, headers=headers).json()["hits"]
        assert len(found) == count


@pytest.mark.parametrize("k", [0, -1, 10_001, 2.5, "many", True, None])
def test_a_k_that_cannot_be_is_refused(client: httpx.Client, k: Any) -> None:
    answer = client.post("/api/photos/search", json={"id": "sea/sea-002.png", "k": k})
    assert problem(answer)[:2] == (400, "bad-parameter")
    assert "from 1 to 10,000" in problem(answer)[2]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "offset=-1", "offset=x", "limit=" + "9" * 5000])
def test_a_page_that_cannot_be_is_refused(client: httpx.Client, query: str) -> None:
    assert problem(client.get(f"/api/photos/items?{query}"))[:2] == (400, "bad-parameter")


# What cannot be answered.


def test_an_unknown_id_comes_back_with_the_nearest_ones(client: httpx.Client) -> None:
    for answer in (
        client.post("/api/photos/search", json={"id": "sea/sea-002.pg"}),
        client.get("/api/photos/items/sea/sea-002.pg"),
        client.get("/api/photos/thumbnails/sea/sea-002.pg"),
    ):
        assert problem(answer) == (404, "unknown-item", "photos has no item 'sea/sea-002.pg'")
        assert "sea/sea-002.png" in answer.json()["nearest"]
        assert answer.json()["hint"].startswith("did you mean sea/sea-002.png or ")


def test_an_unknown_collection_says_which_there_are(client: httpx.Client) -> None:
    detail = "'cats' is not served; known: photos"
    assert problem(client.get("/api/cats/items")) == (404, "unknown-collection", detail)


@pytest.mark.parametrize("path", ["/nothing", "/api/", "/api/collections/", "/web/", "/web/no.js"])
def test_an_unknown_path_is_a_problem(client: httpx.Client, path: str) -> None:
    assert problem(client.get(path)) == (404, "unknown-path", f"{path} is not known")


def test_a_wrong_method_says_which_is_right(client: httpx.Client) -> None:
    answer = client.get("/api/photos/search")
    assert problem(answer) == (405, "wrong-method", "GET /api/photos/search is not allowed, use POST")
    assert answer.headers["allow"] == "POST"
    assert problem(client.delete("/web/main.js"))[0] == 405


def test_a_body_that_is_no_picture_is_a_problem(client: httpx.Client) -> None:
    answer = client.post("/api/photos/search", content=b"hello", headers={"Content-Type": "image/png"})
    detail = 'not a readable image (it begins with "hello")'
    assert problem(answer) == (422, "not-a-picture", detail)


def test_an_empty_body_is_a_problem(client: httpx.Client) -> None:
    for kind in ("image/png", "application/json"):
        answer = client.post("/api/photos/search", headers={"Content-Type": kind})
        assert problem(answer)[:2] == (400, "empty-body")


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b"\xff", b"[" * 100_000])
def test_bad_json_is_a_problem(client: httpx.Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post("/api/photos/search", content=body, headers=headers)
    assert problem(answer)[:2] == (400, "bad-json")


def test_a_picture_of_more_than_50_megapixels_is_refused(client: httpx.Client) -> None:
    body = encoded(Image.new("1", (10_000, 5_100)))
    answer = client.post("/api/photos/search", content=body, headers={"Content-Type": "image/png"})
    assert problem(answer) == (422, "not-a-picture", "51 megapixels, the limit is 50")


def test_more_than_50_megabytes_are_refused_by_the_declared_length(client: httpx.Client) -> None:
    head = (
        f"POST /api/photos/search HTTP/1.1\r\nHost: {client.base_url.host}\r\n"
        "Content-Type: image/png\r\nContent-Length: 50000001\r\n\r\n"
    )
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as connection:
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_more_than_50_megabytes_are_refused_without_a_declared_length(client: httpx.Client) -> None:
    chunks = (bytes(1_000_000) for _ in range(51))
    answer = client.post("/api/photos/search", content=chunks, headers={"Content-Type": "image/png"})
    assert problem(answer) == (413, "too-large", "the limit is 50 MB")


def test_a_client_that_hangs_up_leaves_the_server_well(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    head = (
        f"POST /api/photos/search HTTP/1.1\r\nHost: {client.base_url.host}\r\n"
        "Content-Type: image/png\r\nContent-Length: 1000000\r\n\r\n"
    )
    for _ in range(5):
        with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as connection:
            connection.sendall(head.encode() + bytes(100_000))
    time.sleep(0.2)
    assert client.get("/api/collections").status_code == 200
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
