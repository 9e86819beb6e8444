"""clip-retrieval's client and front end against this server: its requests, as its own code sends them."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import build, picture, write_picture
from serving import encoded, problem, running

import lookalike
from lookalike.server.clip_retrieval import _distinct

SEA = "sea/sea-002.png"


@pytest.fixture(scope="module")
def url(collection: lookalike.Collection) -> Iterator[str]:
    with running(collection) as url:
        yield url


@pytest.fixture
def client_class() -> Any:
    """The real `ClipClient`: its file alone, as its package loads torch."""
    pytest.importorskip("requests")
    package = importlib.util.find_spec("clip_retrieval")
    if package is None or not package.submodule_search_locations:
        pytest.skip("needs: pip install --no-deps clip-retrieval")
    path = Path(package.submodule_search_locations[0]) / "clip_client.py"
    spec = importlib.util.spec_from_file_location("clip_client", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ClipClient


def knn(url: str, **fields: Any) -> Any:
    """What the client sends: JSON that does not say so."""
    asked = {"modality": "image", "num_images": 10, "indice_name": "photos", **fields}
    answer = httpx.post(f"{url}knn-service", content=json.dumps(asked))
    return answer.json() if answer.status_code == 200 else answer


def test_the_client_finds_a_picture_by_its_file(url: str, client_class: Any, photos: Path) -> None:
    client = client_class(f"{url}knn-service", "photos", num_images=5, deduplicate=False)
    hits = client.query(image=str(photos / SEA))
    assert [hit["caption"] for hit in hits] == ["sea"] * 5
    assert (hits[0]["image_path"], hits[0]["similarity"]) == (SEA, pytest.approx(1, abs=1e-5))
    assert {"id", "image"} <= hits[0].keys()


def test_the_client_finds_by_a_vector(
    url: str, client_class: Any, collection: lookalike.Collection, photos: Path
) -> None:
    client = client_class(f"{url}knn-service", "photos", num_images=3)
    vector = collection.model.embed([photos / SEA])[0].tolist()
    assert client.query(embedding_input=vector)[0]["image_path"] == SEA


def test_the_front_end_lists_the_indices(url: str) -> None:
    assert httpx.get(f"{url}indices-list").json() == ["photos"]


def test_ids_are_whole_numbers_whose_metadata_can_be_asked_for(url: str, photos: Path) -> None:
    vector = lookalike.open(photos.with_name("photos.lookalike")).embeddings()[7].tolist()
    best = knn(url, embedding_input=vector)[0]
    assert best["id"] == 7
    body = json.dumps({"ids": [7, 0], "indice_name": "photos"})
    found = httpx.post(f"{url}metadata", content=body).json()
    assert [one["id"] for one in found] == [7, 0]
    assert {**found[0]["metadata"], "id": 7, "similarity": best["similarity"]} == best
    assert httpx.post(f"{url}metadata", content='{"ids": []}').json() == []


def test_only_the_first_images_have_metadata(url: str) -> None:
    vector = np.ones(192).tolist()
    hits = knn(url, embedding_input=vector, num_images=2, num_result_ids=5)
    assert [sorted(hit) for hit in hits[2:]] == [["id", "similarity"]] * 3
    assert all("caption" in hit for hit in hits[:2])


def test_an_address_and_a_caption_of_the_metadata_are_given_as_they_are(folder: Path, target: Path) -> None:
    table = folder.with_name("rows.csv")
    table.write_text("path,url,caption\nbrick/brick-000.jpg,https://example.org/a.jpg,a wall\n")
    made, _ = build(folder, target, metadata=table)
    with running(made) as url:
        body = encoded_text((folder / "brick" / "brick-000.jpg").read_bytes())
        first, second = knn(url, image=body, indice_name=None, num_images=2)
    assert (first["url"], first["caption"]) == ("https://example.org/a.jpg", "a wall")
    assert "image" not in first
    assert second["image"]


def test_pictures_that_are_the_same_are_shown_once_where_that_is_asked(folder: Path, target: Path) -> None:
    for number in range(3):
        write_picture(folder / "same" / f"{number}.png", 500)
    made, _ = build(folder, target)
    with running(made) as url:
        body = encoded_text(encoded(picture(500)))
        all_of_them = knn(url, image=body, indice_name="target")
        once = knn(url, image=body, indice_name="target", deduplicate=True)
    count = [hit["image_path"].startswith("same/") for hit in all_of_them].count(True)
    assert (count, [hit["image_path"] for hit in once if hit["image_path"].startswith("same/")]) == (
        3,
        ["same/0.png"],
    )


def test_a_chain_of_likenesses_is_one_group() -> None:
    angles = np.radians([0, 15, 30, 45, 120])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert _distinct(vectors) == [0, 4]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "bad-parameter"),
        ({"text": "a dog"}, "unknown-word"),
        ({"image": "!"}, "bad-parameter"),
        ({"image_url": "https://example.org/a.jpg"}, "bad-parameter"),
        ({"embedding_input": [1], "num_images": -1}, "bad-parameter"),
        ({"embedding_input": [1], "indice_name": "laion5B"}, "unknown-collection"),
    ],
)
def test_what_cannot_be_asked_is_a_problem(url: str, fields: dict[str, Any], kind: str) -> None:
    assert problem(knn(url, **fields))[1] == kind


@pytest.mark.parametrize("ids", [None, [-1], [42], ["a"], [0] * 1001])
def test_an_id_that_is_no_row_is_a_problem(url: str, ids: Any) -> None:
    answer = httpx.post(f"{url}metadata", content=json.dumps({"ids": ids, "indice_name": "photos"}))
    assert problem(answer)[:2] == (400, "bad-parameter")


def encoded_text(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()
