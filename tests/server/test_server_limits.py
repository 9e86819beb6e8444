"""What is too much, or too slow, is refused: numbers, batches, bodies and pictures."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest
from pictures import encoded
from PIL import Image
from serving import problem, running
from starlette.applications import Starlette

import lookalike
from lookalike.server import bodies, create_app


@pytest.fixture(scope="module")
def client(collection: lookalike.Collection) -> Iterator[httpx.Client]:
    with running(collection) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"query": [{"id": "SEA", "weight": NaN}]}', "query[0].weight"),
        ('{"query": [{"id": "SEA", "weight": -Infinity}]}', "query[0].weight"),
        ('{"query": [{"id": "SEA", "weight": 1e-320}]}', None),
        ('{"query": [{"id": "SEA", "box": [0, 0, NaN, 1]}]}', "query[0].box"),
        ('{"query": [{"vector": [NaN]}]}', None),
        ('{"id": "SEA", "k": 1e400}', "k"),
        ('{"id": "SEA", "k": 1000000000000000000000}', "k"),
        ('{"queries": [' + ",".join(['[{"id": "SEA"}]'] * 100_000) + "]}", "queries"),
    ],
)
def test_a_number_or_a_batch_beyond_all_measure_is_refused(
    client: httpx.Client, body: str, field: str | None
) -> None:
    body = body.replace("SEA", "sea/sea-002.png")
    answer = client.post(
        "/api/photos/search", content=body, headers={"Content-Type": "application/json"}, timeout=20
    )
    assert problem(answer)[:2] == (400, "bad-parameter")
    assert answer.json().get("field") == field


def test_of_a_body_no_more_is_read_than_it_declares(client: httpx.Client) -> None:
    head = "POST /api/photos/search HTTP/1.1\r\nContent-Type: image/png\r\nContent-Length: 10"
    assert re.match(rb"HTTP/1.1 4(00|22) ", sent(client, head, b"x" * 10_000))
    assert client.get("/healthz").text == "ok"


def sent(client: httpx.Client, head: str, body: bytes = b"") -> bytes:
    with socket.create_connection(
        (client.base_url.host, client.base_url.port or 80), timeout=10
    ) as connection:
        connection.sendall(f"{head}\r\nHost: 127.0.0.1\r\n\r\n".encode() + body)
        return connection.recv(65536)


def test_a_picture_of_more_than_50_megapixels_is_refused_unless_the_server_is_told_otherwise(
    collection: lookalike.Collection,
) -> None:
    picture = encoded(Image.new("1", (7200, 7000)), "PNG")

    async def answer(app: Starlette) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            kind = {"Content-Type": "image/png"}
            return await client.post(f"/api/{collection.name}/embed", content=picture, headers=kind)

    refused = asyncio.run(answer(create_app([collection.path])))
    assert refused.status_code == 422
    assert refused.json()["detail"] == "51 megapixels, the limit is 50"
    taken = asyncio.run(answer(create_app([collection.path], max_megapixels=60)))
    assert taken.status_code == 200


@pytest.mark.parametrize(
    ("size", "answered"),
    [("Content-Length: 60000000", b"HTTP/1.1 413 "), ("Transfer-Encoding: chunked", b"HTTP/1.1 413 ")],
)
def test_after_a_body_that_is_too_large_the_connection_is_closed(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, size: str, answered: bytes
) -> None:
    monkeypatch.setattr(bodies, "MAX_BODY_BYTES", 100_000)
    head = f"POST /api/photos/search HTTP/1.1\r\nContent-Type: image/png\r\n{size}"
    answer, sent_bytes = endless(client, head, b"10000\r\n" + bytes(65536) + b"\r\n")
    assert answer.startswith(answered)
    assert b"connection: close" in answer.lower()
    assert sent_bytes < 50_000_000


def test_a_body_that_nobody_reads_ends_the_connection_too(client: httpx.Client) -> None:
    head = "POST /nothing/here HTTP/1.1\r\nContent-Length: 100000000000"
    answer, sent_bytes = endless(client, head, bytes(65536))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert sent_bytes < 50_000_000


def endless(client: httpx.Client, head: str, chunk: bytes) -> tuple[bytes, int]:
    """The answer to a request whose body does not end, and how much of it could be sent."""
    sent_bytes = 0
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), 10) as connection:
        connection.sendall(f"{head}\r\nHost: 127.0.0.1\r\n\r\n".encode() + chunk)
        answer = b""
        while b"\r\n\r\n" not in answer and len(chunk) * 10 > sent_bytes:
            connection.sendall(chunk)
            sent_bytes += len(chunk)
            with suppress(TimeoutError):
                connection.settimeout(0.05)
                answer = connection.recv(65536)
            connection.settimeout(10)
        with suppress(OSError):
            while sent_bytes < 100_000_000:
                connection.sendall(chunk)
                sent_bytes += len(chunk)
    return answer, sent_bytes


def test_an_answered_body_leaves_the_connection_open(client: httpx.Client) -> None:
    answer = client.post("/api/photos/search", json={"id": "sea/sea-002.png"})
    assert "connection" not in answer.headers


def test_a_body_that_trickles_is_given_up(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "TIMEOUT_S", 0.2)
    head = "POST /api/photos/search HTTP/1.1\r\nContent-Type: image/png\r\nContent-Length: 1000"
    assert sent(client, head, b"few").startswith(b"HTTP/1.1 408 ")


def test_the_bodies_of_all_clients_together_have_a_limit(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MAX_TOGETHER_BYTES", 100_000)
    head = "POST /api/photos/search HTTP/1.1\r\nContent-Type: image/png\r\nContent-Length: 200000"
    assert sent(client, head, bytes(150_000)).startswith(b"HTTP/1.1 503 ")
    monkeypatch.undo()
    answer = client.post("/api/photos/search", json={"id": "sea/sea-002.png"})
    assert answer.status_code == 200


def test_what_was_read_is_forgotten_whatever_happens(
    collection: lookalike.Collection,
) -> None:
    app = create_app([collection.path])

    async def ask() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as asking:
            for body in (b"{", b"{}", b'{"id": "sea/sea-002.png"}'):
                headers = {"Content-Type": "application/json"}
                await asking.post("/api/photos/search", content=body, headers=headers)

    asyncio.run(ask())
    assert app.state.bodies._held_bytes == 0
