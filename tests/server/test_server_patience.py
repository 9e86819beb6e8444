"""A condition takes no longer than the server allows, and nothing is computed for a client that is gone."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from serving import problem, running

import lookalike
from lookalike.server.run import from_environment

# Each caption takes milliseconds, all of them together more than a minute.
SLOW = "regexp_matches(caption, '(((.?){9}){10}){11}(((.?){9}){10}){11}z')"


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> lookalike.Collection:
    """70,000 rows, more than are computed at once, of 20 letters from a to j each."""
    rows = 70_000
    random = np.random.default_rng(0)
    vectors = random.normal(size=(rows, 2)).astype(np.float32)
    letters = random.choice(list("abcdefghij"), (rows, 20))
    columns = {"caption": letters.view("U20")[:, 0].tolist()}
    path = tmp_path_factory.mktemp("captioned") / "captioned.lookalike"
    return lookalike.from_vectors(path, vectors, map(str, range(rows)), columns=columns)


@pytest.fixture
def client(captioned: lookalike.Collection) -> Iterator[httpx.Client]:
    with (
        running(captioned, max_condition_s=0.3) as url,
        httpx.Client(base_url=f"{url}api/captioned/") as client,
    ):
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("path", ["items", "facets", "middle"])
def test_a_condition_that_takes_too_long_is_a_problem(client: httpx.Client, path: str) -> None:
    started_s = time.monotonic()
    answer = client.get(path, params={"where": SLOW})
    assert time.monotonic() - started_s < 3
    said = "the condition takes longer than 0.3 seconds, the limit of this server"
    assert problem(answer) == (400, "bad-condition", said)
    assert answer.json()["field"] == "where"


@pytest.mark.slow
def test_a_search_among_what_takes_too_long_to_find_is_a_problem(client: httpx.Client) -> None:
    answer = client.post("search", json={"id": "7", "where": SLOW})
    assert problem(answer)[:2] == (400, "bad-condition")
    assert busy_s(0.4) < 0.1


def test_a_condition_within_the_limit_is_answered(client: httpx.Client) -> None:
    assert (
        client.get("items", params={"where": "caption LIKE '____________________'"}).json()["total"] == 70_000
    )


GET = f"GET /api/captioned/items?where={quote(SLOW)} HTTP/1.1\r\nHost: localhost\r\n\r\n"
_BODY = json.dumps({"id": "7", "where": SLOW})
POST = (
    "POST /api/captioned/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(_BODY)}\r\n\r\n{_BODY}"
)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [GET, POST], ids=["GET", "POST"])
def test_nothing_is_computed_for_a_client_that_is_gone(captioned: lookalike.Collection, asked: str) -> None:
    with running(captioned, max_condition_s=60) as url:
        port = int(url.rstrip("/").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(asked.encode())
            deadline_s = time.monotonic() + 20
            while busy_s(0.2) < 0.03:
                assert time.monotonic() < deadline_s
        deadline_s = time.monotonic() + 5
        while busy_s(0.2) > 0.015:
            assert time.monotonic() < deadline_s
        assert httpx.get(f"{url}healthz").text == "ok"


def test_the_environment_sets_the_limit_of_other_servers(
    captioned: lookalike.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_COLLECTIONS", str(captioned.path))
    assert from_environment().state.max_condition_s == 5
    monkeypatch.setenv("LOOKALIKE_MAX_CONDITION_SECONDS", "0.5")
    assert from_environment().state.max_condition_s == 0.5


def busy_s(window_s: float) -> float:
    """How long the threads of this process, the server's too, compute within some time."""
    before_s = time.process_time()
    time.sleep(window_s)
    return time.process_time() - before_s
