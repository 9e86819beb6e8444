"""Where the server listens, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

import lookalike
from lookalike.server import ServerError, create_app
from lookalike.server.run import listen


def test_a_port_that_is_taken_is_refused_where_it_was_asked_for() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"port {port} is taken by another program; give another"):
            listen("127.0.0.1", port)


def test_without_a_port_the_next_free_one_is_taken() -> None:
    with listen("127.0.0.1", None) as first, listen("127.0.0.1", None) as second:
        ports = first.getsockname()[1], second.getsockname()[1]
    assert 7171 <= ports[0] < ports[1] <= 7190


@pytest.mark.parametrize(
    ("host", "port"), [("no.such.host.invalid", 0), ("192.0.2.1", 0), ("127.0.0.1", 70000)]
)
def test_an_address_that_is_not_here_is_refused(host: str, port: int) -> None:
    with pytest.raises(ServerError) as refused:
        listen(host, port)
    assert "`port`" in refused.value.hint or "`host`" in refused.value.hint


SERVE = """
import sys
from pathlib import Path
from lookalike.server import serve
serve([Path(sys.argv[1])], port=0, open_browser=False, on_ready=lambda url, _: print(url, flush=True))
"""


@contextmanager
def served(collection: lookalike.Collection) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a server in a process of its own, and the process."""
    words = [sys.executable, "-c", SERVE, str(collection.path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip(), process


@pytest.mark.process
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_where_it_is_and_ends_quietly(collection: lookalike.Collection, ending: int) -> None:
    with served(collection) as (url, process):
        assert httpx.get(f"{url}api/collections").json()[0]["count"] == 42
        process.send_signal(ending)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0 if ending == signal.SIGINT else -ending, "", "")


@pytest.mark.process
def test_serve_ends_quietly_where_it_has_only_just_begun(collection: lookalike.Collection) -> None:
    with served(collection) as (_, process):
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, "", "")


@pytest.mark.process
def test_what_is_under_way_when_it_ends_is_answered(collection: lookalike.Collection) -> None:
    body = b'{"id": "sea/sea-002.png"}'
    head = (
        "POST /api/photos/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with served(collection) as (url, process):
        httpx.post(f"{url}api/photos/search", json=json.loads(body), timeout=60)  # later ones take less
        host, port = url.removeprefix("http://").rstrip("/").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(head.encode() + body[:10])
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            connection.sendall(body[10:])
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        _, errors = process.communicate(timeout=20)
    assert errors == ""


def test_what_a_server_cuts_short_when_it_ends_is_a_problem(collection: lookalike.Collection) -> None:
    async def cut_short() -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", b"image/png")]
        scope = {"type": "http", "method": "POST", "path": "/api/photos/search", "headers": headers}
        scope = {**scope, "query_string": b"", "client": ("127.0.0.1", 1), "scheme": "http"}
        task = asyncio.create_task(create_app([collection.path])(scope, asyncio.Event().wait, send))
        await asyncio.sleep(0.05)
        task.cancel()
        await task
        return sent

    start, body = asyncio.run(cut_short())
    assert (start["status"], dict(start["headers"])[b"retry-after"]) == (503, b"5")
    assert json.loads(body["body"])["type"] == "urn:lookalike:ending"


def test_small_answers_do_not_wait_for_more() -> None:
    # Where a socket names its protocol, asyncio sets TCP_NODELAY; else each answer waits 40 ms.
    with listen("127.0.0.1", 0) as listener:
        assert (listener.family, listener.proto) == (socket.AF_INET, socket.IPPROTO_TCP)
