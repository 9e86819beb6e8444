"""Pictures that queries name by URL: fetched only where that is allowed, and a test for each attack."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from serving import problem, running
from web_server import Web, jpeg, web

import lookalike
from lookalike.server import pictures
from lookalike.server.pictures import URL_QUERIES

HERE = replace(URL_QUERIES, allow_private=True, rate=0, timeout_s=3.0, max_bytes=100_000)


@pytest.fixture(scope="module")
def site() -> Iterator[Web]:
    with web() as site:
        yield site


@pytest.fixture(scope="module")
def client(collection: lookalike.Collection) -> Iterator[httpx.Client]:
    """Of a server that may fetch from the loopback, as no real one may."""
    with running(collection, url_queries=HERE) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture(scope="module")
def guarded(collection: lookalike.Collection) -> Iterator[httpx.Client]:
    """Of a server as `--allow-url-queries` makes it."""
    with running(collection, url_queries=URL_QUERIES) as url, httpx.Client(base_url=url) as client:
        yield client


def search(client: httpx.Client, *terms: dict[str, Any]) -> httpx.Response:
    return client.post("/api/photos/search", json={"query": terms, "k": 3})


def scores(answer: httpx.Response) -> list[tuple[str, float]]:
    assert answer.status_code == 200, answer.text
    return [(hit["id"], hit["score"]) for hit in answer.json()["hits"]]


def test_a_url_finds_what_its_picture_finds(client: httpx.Client, site: Web) -> None:
    sent = client.post("/api/photos/search?k=3", content=jpeg(1), headers={"Content-Type": "image/jpeg"})
    assert scores(search(client, {"url": f"{site.url}/ok/1.jpg"})) == scores(sent)


def test_a_url_is_a_term_like_others_and_fetched_once(client: httpx.Client, site: Web) -> None:
    url = f"{site.url}/ok/3.jpg"
    answer = search(
        client, {"url": url}, {"url": url, "box": [0, 0, 0.5, 1], "weight": 2}, {"id": "sea/sea-002.png"}
    )
    assert len(scores(answer)) == 3
    assert site.asked["/ok/3.jpg"] == 1


def test_clip_retrieval_and_embedding_take_urls(client: httpx.Client, site: Web) -> None:
    url = f"{site.url}/ok/2.jpg"
    hits = client.post("/knn-service", content=json.dumps({"image_url": url, "num_images": 3})).json()
    assert [hit["image_path"] for hit in hits] == [id_ for id_, _ in scores(search(client, {"url": url}))]
    embedded = client.post("/api/photos/embed", json={"url": url}).json()
    picture = client.post("/api/photos/embed", content=jpeg(2), headers={"Content-Type": "image/jpeg"}).json()
    assert embedded["vector"] == picture["vector"]


def test_without_the_flag_nothing_is_fetched(collection: lookalike.Collection, site: Web) -> None:
    with running(collection) as url, httpx.Client(base_url=url) as client:
        answer = search(client, {"url": f"{site.url}/ok/9.jpg"})
    assert problem(answer) == (400, "bad-parameter", "this server does not fetch pictures")
    assert answer.json()["field"] == "query[0].url"
    assert site.asked["/ok/9.jpg"] == 0


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0.0.0.0"]
)
def test_a_private_address_is_refused(guarded: httpx.Client, site: Web, host: str) -> None:
    port = site.url.rpartition(":")[2]
    answer = search(guarded, {"url": f"http://{host}:{port}/ok/8.jpg"})
    status, kind, detail = problem(answer)
    assert (status, kind) == (422, "not-fetched")
    assert "127" not in detail
    assert site.asked["/ok/8.jpg"] == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
    ],
)
def test_what_a_cloud_tells_its_machines_is_refused(guarded: httpx.Client, url: str) -> None:
    detail = "the URL leads to an address that is not public"
    assert problem(search(guarded, {"url": url})) == (422, "not-fetched", detail)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/a", "data:image/png,x", "http://", "x"]
)
def test_only_http_is_fetched(client: httpx.Client, url: str) -> None:
    assert problem(search(client, {"url": url}))[:2] == (422, "not-fetched")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://127.0.0.1:6379/x"])
def test_a_redirect_out_of_the_web_is_refused(client: httpx.Client, site: Web, target: str) -> None:
    assert problem(search(client, {"url": f"{site.url}/to/{target}"}))[:2] == (422, "not-fetched")


def test_a_redirect_to_a_private_address_is_refused(
    collection: lookalike.Collection, site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.sources.fetch.guards.is_public", lambda address: address == "127.0.0.1")
    private = site.url.replace("127.0.0.1", "127.0.0.2")
    with running(collection, url_queries=URL_QUERIES) as url, httpx.Client(base_url=url) as client:
        assert len(scores(search(client, {"url": f"{site.url}/ok/6.jpg"}))) == 3
        answer = search(client, {"url": f"{site.url}/to/{private}/ok/7.jpg"})
    assert problem(answer) == (422, "not-fetched", "the URL leads to an address that is not public")
    assert site.asked["/ok/7.jpg"] == 0


def test_a_redirect_for_ever_ends(client: httpx.Client, site: Web) -> None:
    assert problem(search(client, {"url": f"{site.url}/loop/0"}))[2] == "more than 5 redirects"


@pytest.mark.parametrize("path", ["endless", "endless-announced", "bomb"])
def test_a_huge_body_is_cut_off(client: httpx.Client, site: Web, path: str) -> None:
    answer = search(client, {"url": f"{site.url}/{path}"})
    assert problem(answer) == (422, "not-fetched", "more than 100,000 bytes")
    assert "hint" not in answer.json()  # it would name a flag of another command


@pytest.mark.slow
@pytest.mark.parametrize("path", ["never", "trickle"])
def test_a_slow_answer_is_given_up(collection: lookalike.Collection, site: Web, path: str) -> None:
    started_s = time.monotonic()
    with (
        running(collection, url_queries=replace(HERE, timeout_s=0.5)) as url,
        httpx.Client(base_url=url) as client,
    ):
        answer = search(client, {"url": f"{site.url}/{path}"})
    assert problem(answer) == (422, "not-fetched", "not done within 0.5 s")
    assert time.monotonic() - started_s < 10


def test_many_slow_answers_are_given_up_together(
    client: httpx.Client, site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "TIMEOUT_S", 0.3)
    answer = search(client, *({"url": f"{site.url}/never/{number}"} for number in range(5)))
    assert problem(answer)[1:] == ("not-fetched", "the pictures did not arrive within 0.3 s")


def test_what_is_no_picture_is_refused(client: httpx.Client, site: Web) -> None:
    assert problem(search(client, {"url": f"{site.url}/html.jpg"}))[:2] == (422, "not-a-picture")


def test_a_request_has_few_urls(client: httpx.Client, site: Web) -> None:
    answer = search(client, *({"url": f"{site.url}/ok/{number}.jpg"} for number in range(100, 111)))
    assert problem(answer) == (400, "bad-parameter", "a request has at most 10 URLs, not 11")
    assert site.asked["/ok/100.jpg"] == 0


def test_fetched_pictures_count_as_held_memory(
    client: httpx.Client, site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.server.bodies.MAX_TOGETHER_BYTES", 500)
    assert problem(search(client, {"url": f"{site.url}/ok/1.jpg"}))[:2] == (503, "busy")
    monkeypatch.undo()
    assert len(scores(search(client, {"url": f"{site.url}/ok/1.jpg"}))) == 3
