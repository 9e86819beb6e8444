"""Searching over HTTP: the same as in Python, with terms, conditions, batches and regions."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import build, picture
from PIL import Image as Pictures
from serving import encoded, problem, running

import lookalike
from lookalike import Id, Image
from lookalike.index import build_index
from lookalike.server.queries import int8_text

SEA, BRICK = "sea/sea-002.png", "brick/brick-000.jpg"


@pytest.fixture(scope="module")
def client(collection: lookalike.Collection) -> Iterator[httpx.Client]:
    with running(collection) as url, httpx.Client(base_url=url) as client:
        yield client


def search(client: httpx.Client, **fields: Any) -> Any:
    answer = client.post("/api/photos/search", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def found(hits: list[dict[str, Any]]) -> list[tuple[str, float]]:
    return [(hit["id"], hit["score"]) for hit in hits]


def expected(results: lookalike.Results) -> list[tuple[str, Any]]:
    return [(hit.id, pytest.approx(hit.score, abs=2e-6)) for hit in results]


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_sum_of_terms_finds_what_python_finds(
    client: httpx.Client, collection: lookalike.Collection, photos: Path
) -> None:
    body = (photos / BRICK).read_bytes()
    terms = [{"id": SEA}, {"image": text(body), "weight": 2}, {"id": "meadow/meadow-001.jpg", "weight": -0.5}]
    answer = search(client, query=terms, k=7)
    query = Id(SEA) + Image(body) * 2 - Id("meadow/meadow-001.jpg") * 0.5
    assert found(answer["hits"]) == expected(collection.search(query, k=7))
    assert [term.get("weight") for term in answer["query"]["terms"]] == [None, 2, -0.5]


def test_a_condition_is_held_by_all_hits(client: httpx.Client, collection: lookalike.Collection) -> None:
    where = "label <> 'sea' AND width > 60"
    answer = search(client, query=[{"id": SEA}], k=9, where=where)
    assert (answer["total"], answer["matching"]) == (42, 28)
    assert found(answer["hits"]) == expected(collection.search(Id(SEA), 9, where=where))


def test_without_wishes_the_answer_is_pythons(client: httpx.Client, collection: lookalike.Collection) -> None:
    answer = search(client, id=SEA)
    assert len(answer["hits"]) == 10
    assert found(answer["hits"]) == expected(collection.search(Id(SEA)))


@pytest.mark.parametrize(
    ("query", "wishes", "matching", "left_out"),
    [
        ([{"id": SEA}], {}, 42, 1),
        ([{"id": SEA}, {"id": BRICK, "weight": -0.5}], {}, 42, 2),
        ([{"id": SEA}, {"id": BRICK, "weight": -0.5}], {"where": "label = 'sea'"}, 14, 1),
        ([{"id": SEA}, {"id": BRICK, "weight": -0.5}], {"where": "label = 'meadow'"}, 14, 0),
        ([{"id": SEA}], {"include_query": True}, 42, 0),
    ],
)
def test_items_of_the_query_are_no_hits_but_counted(
    client: httpx.Client, query: Any, wishes: dict[str, Any], matching: int, left_out: int
) -> None:
    answer = search(client, query=query, k=100, **wishes)
    assert (answer["matching"], answer["left_out"], len(answer["hits"])) == (
        matching,
        left_out,
        matching - left_out,
    )
    asked = {term["id"] for term in query}
    assert (not asked & dict(found(answer["hits"])).keys()) is not wishes.get("include_query", False)


def test_a_picture_in_the_body_takes_a_condition_too(client: httpx.Client) -> None:
    body, headers = encoded(picture(1)), {"Content-Type": "image/png"}
    params = {"k": 4, "where": "label = 'brick'"}
    answer = client.post("/api/photos/search", params=params, content=body, headers=headers).json()
    assert [hit["label"] for hit in answer["hits"]] == ["brick"] * 4


def test_a_batch_has_the_answers_of_its_queries(client: httpx.Client) -> None:
    queries = [[{"id": SEA}], [{"id": BRICK}, {"id": SEA, "weight": -0.2}]]
    batch = search(client, queries=queries, k=5)
    assert batch["total"] == 42
    assert batch["results"] == [
        {
            name: value
            for name, value in search(client, query=query, k=5).items()
            if name in ("hits", "chance", "left_out")
        }
        for query in queries
    ]


def test_hits_have_the_confidence_that_python_gives(
    client: httpx.Client, collection: lookalike.Collection
) -> None:
    answer = search(client, id=SEA, k=42, include_query=True)
    confidences = [hit["confidence"] for hit in answer["hits"]]
    results = collection.search(Id(SEA), k=42, include_query=True)
    assert confidences == pytest.approx([hit.confidence for hit in results], abs=1e-4)
    sure = search(client, query=[{"id": SEA}], k=42, include_query=True, min_confidence=0.5)["hits"]
    assert len(sure) == sum(confidence >= 0.5 for confidence in confidences) < 42


@pytest.mark.parametrize("include", [True, False])
def test_an_item_does_not_vouch_for_itself(tmp_path: Path, include: bool) -> None:
    alike = 1 + np.random.default_rng(0).normal(scale=0.2, size=(50, 64)).astype(np.float32)
    alone = np.tile(np.float32([1, -1]), 32)
    ids = ["alone", *map(str, range(50))]
    made = lookalike.from_vectors(tmp_path / "made.lookalike", np.stack([alone, *alike]), ids)
    with running(made) as url, httpx.Client(base_url=f"{url}api/made/") as client:
        answer = client.post("search", json={"id": "alone", "include_query": include}).json()
    assert [hit["id"] for hit in answer["hits"] if hit["confidence"] > 0.5] == ["alone"] * include
    assert answer["chance"] is True


def test_a_box_of_an_item_is_cut_from_its_original(client: httpx.Client, photos: Path) -> None:
    box = [0.0, 0.25, 0.5, 1.0]
    by_id = search(client, query=[{"id": SEA, "box": box}], k=5, include_query=True)
    body = text((photos / SEA).read_bytes())
    by_picture = search(client, query=[{"image": body, "box": box}], k=5)
    assert found(by_id["hits"]) == found(by_picture["hits"])
    assert (by_id["query"]["id"], by_id["query"]["box"]) == (SEA, box)
    assert SEA not in dict(found(search(client, query=[{"id": SEA, "box": box}])["hits"]))


def test_a_box_of_an_item_without_original_is_cut_from_the_thumbnail(folder: Path, target: Path) -> None:
    collection, _ = build(folder, target)
    (folder / BRICK).unlink()
    with running(collection) as url:
        body = {"query": [{"id": BRICK, "box": [0, 0, 1, 1]}], "k": 1, "include_query": True}
        (hit,) = httpx.post(f"{url}api/target/search", json=body).json()["hits"]
    assert (hit["id"], hit["score"]) == (BRICK, pytest.approx(1, abs=0.01))


def test_the_vector_of_a_picture_finds_what_the_picture_finds(
    client: httpx.Client, collection: lookalike.Collection, photos: Path
) -> None:
    body = (photos / SEA).read_bytes()
    headers = {"Content-Type": "image/png"}
    made = client.post("/api/photos/embed", content=body, headers=headers).json()
    assert (made["model"], made["dim"], made["tags"]) == ("colors", 192, [])
    assert np.allclose(made["vector"], collection.model.embed([body])[0], atol=1e-6)
    exact = search(client, query=[{"vector": made["vector"]}], k=5)["hits"]
    rounded = search(client, query=[{"vector_int8": made["vector_int8"]}], k=5)["hits"]
    assert found(exact) == expected(collection.search(body, k=5))
    assert [hit["score"] for hit in rounded] == [pytest.approx(hit["score"], abs=2e-3) for hit in exact]
    assert rounded[0]["score"] == pytest.approx(1, abs=1e-3)


def test_a_box_of_a_picture_is_embedded_as_the_part_alone(client: httpx.Client) -> None:
    whole = picture(5, size=(80, 40))
    boxed = client.post(
        "/api/photos/embed", json={"image": text(encoded(whole)), "box": [0, 0, 0.5, 1]}
    ).json()
    part = client.post("/api/photos/embed", json={"image": text(encoded(whole.crop((0, 0, 40, 40))))}).json()
    assert np.dot(boxed["vector"], part["vector"]) > 0.9999


def test_words_are_embedded_by_a_model_that_knows_them(tmp_path: Path) -> None:
    Pictures.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    known = lookalike.build(tmp_path, tmp_path / "known.lookalike")
    with running(known) as url, httpx.Client(base_url=f"{url}api/") as client:
        (about,) = client.get("collections").json()
        assert (about["words"], about["pictures"]) == (True, True)
        made = client.post("known/embed", json={"text": "daisy"}).json()
        assert made["dim"] == len(made["vector"]) == 1280
        hits = client.post("known/search", json={"query": [{"text": "daisy"}]}).json()["hits"]
        assert [hit["id"] for hit in hits] == ["red.png"]
        answer = client.post("known/search", json={"query": [{"text": "qwertz"}]})
        near = client.post("known/search", json={"query": [{"text": "daisyy"}]}).json()["nearest"]
    assert problem(answer) == (400, "unknown-word", "the model does not know the word 'qwertz'")
    assert near == []  # of a daisy there is no picture


def test_a_picture_that_is_uploaded_as_a_data_url_is_read(client: httpx.Client, photos: Path) -> None:
    url = "data:image/png;base64," + text((photos / SEA).read_bytes())
    assert search(client, query=[{"image": url}], k=1)["hits"][0]["id"] == SEA


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["flat", "hnsw", "rabitq"])
def test_through_an_index_an_item_is_its_own_nearest_neighbour(folder: Path, target: Path, kind: str) -> None:
    collection, _ = build(folder, target, part_size=5)
    build_index(collection.path, kind)
    with running(collection) as url, httpx.Client(base_url=f"{url}api/target/") as client:
        for id_ in collection.items(["id"])["id"].to_pylist():
            body = {"id": id_, "k": 3, "include_query": True}
            best = client.post("search", json=body).json()["hits"][0]
            assert (best["id"], best["score"]) == (id_, pytest.approx(1, abs=0.01))
        body = {"query": [{"id": SEA}], "k": 50, "where": "id LIKE 'sea%'"}
        assert len(client.post("search", json=body).json()["hits"]) == 3
        assert len(client.post("search", json={**body, "include_query": True}).json()["hits"]) == 4


def test_the_int8_form_of_a_vector_keeps_its_direction() -> None:
    vector = np.random.default_rng(0).normal(size=1280)
    rounded = np.frombuffer(base64.urlsafe_b64decode(int8_text(vector) + "="), np.int8).astype(float)
    assert rounded.max() == 127 or rounded.min() == -127
    assert vector @ rounded / np.linalg.norm(vector) / np.linalg.norm(rounded) > 0.999


# What cannot be asked; the problem names the field.


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"query": []}, "query"),
        ({"query": "rose"}, "query"),
        ({"query": [{"id": SEA}] * 33}, "query"),
        ({"query": [{"id": 5}]}, "query[0].id"),
        ({"query": [{}]}, "query[0]"),
        ({"query": [{"id": SEA}, {"id": SEA, "text": "sea"}]}, "query[1]"),
        ({"query": [{"id": SEA, "weight": 0}]}, "query[0].weight"),
        ({"query": [{"id": SEA, "weight": "1"}]}, "query[0].weight"),
        ({"query": [{"id": SEA, "box": [0, 0, 1]}]}, "query[0].box"),
        ({"query": [{"id": SEA, "box": [0.5, 0, 0.5, 1]}]}, "query[0].box"),
        ({"query": [{"text": "sea", "box": [0, 0, 1, 1]}]}, "query[0].box"),
        ({"query": [{"image": "!"}]}, "query[0].image"),
        ({"query": [{"vector": [1, None]}]}, "query[0].vector"),
        ({"query": [{"vector_int8": "ä"}]}, "query[0].vector_int8"),
        ({"query": [{"url": "https://example.org/a.jpg"}]}, "query[0].url"),
        ({"queries": [[{"id": SEA}]] * 101}, "queries"),
        ({"queries": [[{"id": SEA}]] * 11, "k": 10_000}, "k"),
        ({"id": SEA, "min_confidence": 2}, "min_confidence"),
        ({"id": SEA, "include_query": "yes"}, "include_query"),
        ({"id": SEA, "colour": "red"}, "colour"),
    ],
)
def test_a_field_that_cannot_be_is_named(client: httpx.Client, fields: Any, field: str) -> None:
    answer = client.post("/api/photos/search", json=fields)
    assert problem(answer)[:2] == (400, "bad-parameter")
    assert answer.json()["field"] == field


@pytest.mark.parametrize(
    "where", ["label =", "colour = 1", "1", "label = 'x'; DROP TABLE items", "a" * 10_001]
)
def test_a_condition_that_cannot_be_is_a_problem_of_its_field(client: httpx.Client, where: str) -> None:
    for answer in (
        client.post("/api/photos/search", json={"id": SEA, "where": where}),
        client.get("/api/photos/items", params={"where": where}),
        client.get("/api/photos/facets", params={"where": where}),
    ):
        assert problem(answer)[:2] == (400, "bad-condition")
        assert answer.json()["field"] == "where"


def test_a_vector_of_another_length_is_a_problem(client: httpx.Client) -> None:
    answer = client.post("/api/photos/search", json={"query": [{"vector": [1, 2]}]})
    assert problem(answer)[2] == "a query vector of this collection has the shape (192,), not (2,)"


def test_half_a_character_is_no_failure(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (
        b'{"query": [{"id": "\\ud800"}], "\\ud800": 1}',
        b'{"query": [{"text": "flower \\ud83d"}]}',
        b'{"id": "sea/sea-002.png", "where": "label = \'\\ud83d\'"}',
    ):
        answer = client.post("/api/photos/search", content=body, headers=headers)
        assert problem(answer)[:2] == (400, "bad-json")
    whole = b'{"id": "sea/sea-002.png", "where": "label = \'\\ud83d\\ude00\'"}'
    assert client.post("/api/photos/search", content=whole, headers=headers).json()["hits"] == []


def test_a_collection_of_vectors_is_searched_by_id_but_takes_no_picture(tmp_path: Path) -> None:
    vectors = np.eye(4, 8, dtype=np.float32) + 0.1
    made = lookalike.from_vectors(tmp_path / "made.lookalike", vectors, ["a", "b", "c", "d"])
    with running(made) as url, httpx.Client(base_url=f"{url}api/") as client:
        assert client.get("collections").json()[0]["pictures"] is False
        by_id = {"id": "b", "k": 1, "include_query": True}
        assert client.post("made/search", json=by_id).json()["hits"][0]["id"] == "b"
        body, headers = encoded(picture(1)), {"Content-Type": "image/png"}
        assert problem(client.post("made/search", content=body, headers=headers))[:2] == (409, "other-model")
        for path in ("thumbnails/b", "images/b"):
            assert client.get(f"made/{path}").status_code == 404


def test_a_picture_of_an_item_is_a_jpeg_that_pillow_reads(client: httpx.Client, photos: Path) -> None:
    answer = client.get(f"/api/photos/images/{SEA}")
    assert answer.content == (photos / SEA).read_bytes()
    assert answer.headers["content-type"] == "image/png"
    assert Pictures.open(io.BytesIO(answer.content)).size == (64, 48)
