"""Identification over HTTP: the same as in Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from serving import problem, running

import lookalike
from lookalike import Id
from lookalike.learning.familiar import Familiar
from lookalike.learning.saving import REPORT, save_head
from lookalike.models.head_model import Branch, Layer


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


@pytest.fixture
def taught(collection: lookalike.Collection, tmp_path: Path) -> Iterator[httpx.Client]:
    """The pictures by a head that finds a kind in everything, and keeps what its base says of the kinds."""
    names, classes = np.unique(collection.items(["label"])["label"].to_pylist(), return_inverse=True)
    kept = Familiar.of(collection.snapshot, collection.embeddings(), classes, tuple(names.tolist()))
    assert kept is not None
    head = [Branch((Layer(20 * kept.means.T, np.zeros(len(names), np.float32)),), end="softmax")]
    save_head(tmp_path / "m", "m", collection.manifest.model, head, files=kept.files(), fields=kept.fields())
    (tmp_path / "m" / REPORT).write_text("{}")
    made = lookalike.build(collection.path, tmp_path / "taught.lookalike", model=f"{tmp_path}/m/")
    with running(made) as url, httpx.Client(base_url=f"{url}api/taught/") as client:
        yield client


def test_the_base_of_a_learned_model_tells_a_stranger_from_a_picture_and_a_part_of_it(
    taught: httpx.Client, photos: Path, tmp_path: Path
) -> None:
    squares = (np.indices((64, 64)) // 8).sum(axis=0) % 2 * 160 - 80
    odd = np.clip(squares[:, :, None] + np.array((170, 80, 60)), 0, 255).astype(np.uint8)
    Image.fromarray(odd).save(tmp_path / "odd.png")
    png = {"content-type": "image/png"}
    strange = taught.post("identify", content=(tmp_path / "odd.png").read_bytes(), headers=png).json()
    known = taught.post("identify", content=(photos / "sea" / "sea-002.png").read_bytes(), headers=png).json()
    item = taught.post("identify", json={"id": "sea/sea-002.png"}).json()
    part = taught.post("identify", json={"id": "sea/sea-002.png", "box": [0, 0, 1, 1]}).json()

    assert (strange["label"], strange["reason"], strange["knows_strangers"]) == (None, "strange", True)
    for answer in (known, item, part):
        assert (answer["label"], answer["knows_strangers"]) == ("sea", True)
