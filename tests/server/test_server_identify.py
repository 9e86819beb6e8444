"""Identification over HTTP: the same as in Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving import problem, running

import lookalike
from lookalike import Id


@pytest.fixture(scope="module")
def client(collection: lookalike.Collection) -> Iterator[httpx.Client]:
    with running(collection) as url, httpx.Client(base_url=url) as client:
        yield client


def test_an_item_is_identified_as_in_python(client, collection):
    answer = client.post("/api/photos/identify", json={"id": "sea/sea-002.png"})

    found = collection.identify(Id("sea/sea-002.png"))
    body = answer.json()
    assert answer.status_code == 200
    assert (body["label"], body["reason"]) == (found.label, found.reason)
    assert body["likely"][0]["label"] == "sea"
    assert [one["id"] for one in body["neighbours"]] == found.neighbours.ids
    assert body["neighbours"][0]["v"]


def test_a_picture_is_identified_by_its_bytes(client, photos: Path):
    data = (photos / "brick" / "brick-000.jpg").read_bytes()
    answer = client.post("/api/photos/identify", content=data, headers={"content-type": "image/jpeg"})

    found = answer.json()
    assert found["likely"][0]["label"] == "brick"
    assert (found["same"]["id"], found["same"]["label"]) == ("brick/brick-000.jpg", "brick")
    assert "brick/brick-000.jpg" not in [one["id"] for one in found["neighbours"]]


@pytest.mark.parametrize(
    ("column", "said"),
    [("nothing", "has no column 'nothing'"), ("id", "only 0 pictures share a label with another")],
)
def test_a_column_that_is_of_no_use_is_a_problem_of_the_parameter(client, column, said):
    status, kind, detail = problem(
        client.post(f"/api/photos/identify?label={column}", json={"id": "sea/sea-002.png"})
    )
    assert (status, kind) == (400, "bad-parameter")
    assert said in detail


def test_words_are_a_problem(client):
    assert client.post("/api/photos/identify", json={"text": "sea"}).status_code == 400
