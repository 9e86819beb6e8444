"""Who the server answers to, how it follows its collection, and how it starts and stops."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import build, picture, write_picture
from serving import encoded, problem, running
from starlette.routing import Route

import lookalike
from lookalike.index import build_index
from lookalike.search import live as search_live
from lookalike.search.query import as_query
from lookalike.server import ServerError, create_app, from_environment, live
from lookalike.server.run import allowed_hosts, listen
from lookalike.server.security import Access, Guard
from lookalike.storage.parts import list_parts


@pytest.fixture(scope="module")
def client(collection: lookalike.Collection) -> Iterator[httpx.Client]:
    with running(collection) as url, httpx.Client(base_url=url) as client:
        yield client


# Who may ask.


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST:7171", "[::1]:80"])
def test_names_of_this_machine_are_answered(client: httpx.Client, host: str) -> None:
    assert client.get("/api/collections", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        *"""evil.example 127.0.0.1.evil.example localhost:x 192.168.1.2 localhost. localhost@evil.example
    evil.example#localhost ::1 [::1 [::ffff:127.0.0.1] 127.1 2130706433 localhost:80:80""".split(),
    ],
)
def test_other_names_are_refused(client: httpx.Client, host: str) -> None:
    for path in ("/", "/web/main.js", "/api/collections"):
        assert problem(client.get(path, headers={"Host": host}))[:2] == (403, "foreign-host")


@pytest.mark.parametrize("hosts", [("localhost", "evil.example"), ("evil.example", "localhost"), ()])
def test_a_request_names_one_host(client: httpx.Client, hosts: tuple[str, ...]) -> None:
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as connection:
        connection.sendall(f"GET /api/collections HTTP/1.1\r\n{lines}\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 403 ")


def test_a_server_for_the_network_answers_to_addresses_but_not_to_any_name() -> None:
    async def nothing(*_: Any) -> None: ...

    guard = Guard(nothing, Access(allowed_hosts("0.0.0.0")))
    assert guard.admits("192.168.1.2:7171")
    assert guard.admits("[fe80::1]:7171")
    assert guard.admits(socket.gethostname())
    assert not guard.admits("evil.example:7171")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_what_a_foreign_page_may_send_unasked_is_not_taken(client: httpx.Client, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = client.post("/api/photos/search", content=b'{"id": "sea/sea-002.png"}', headers=headers)
    assert problem(answer)[:2] == (415, "unsupported-type")


def test_a_foreign_page_that_asks_first_gets_no_permission(client: httpx.Client) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/api/photos/search", headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/web/main.js", "/api/collections", "/nothing"])
def test_every_answer_carries_the_headers_that_protect_the_page(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"


# The page's files.


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/web/main.js", "text/javascript; charset=utf-8"),
        ("/web/style.css", "text/css; charset=utf-8"),
        ("/web/icon.svg", "image/svg+xml"),
    ],
)
def test_the_files_of_the_page_have_their_types_and_are_checked_each_time(
    client: httpx.Client, path: str, kind: str
) -> None:
    answer = client.get(path)
    assert answer.headers["content-type"] == kind
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")


def test_the_scripts_of_the_page_are_small_and_name_no_other_host() -> None:
    web = Path(live.__file__).parents[1] / "web"
    scripts = [path.read_text() for path in web.glob("*.js")]
    assert sum(len(script.encode()) for script in scripts) < 150_000
    scripts = [script.replace("http://www.w3.org/2000/svg", "") for script in scripts]  # a name, no address
    assert not [script for script in scripts if "://" in script]


# A collection that changes.


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_CHECK_EVERY_S", 0.0)


def test_a_build_shows_in_the_running_server(impatient: None, folder: Path, target: Path) -> None:
    before, _ = build(folder, target)
    with running(before) as url:
        assert httpx.get(f"{url}api/target/items").json()["total"] == 12
        write_picture(folder / "new.png", 99)
        build(folder, target)
        assert httpx.get(f"{url}api/target/items").json()["total"] == 13
        body = {"id": "new.png", "include_query": True}
        answer = httpx.post(f"{url}api/target/search", json=body).json()
    assert answer["hits"][0]["id"] == "new.png"


def test_a_collection_rebuilt_with_another_model_is_searched_with_that_one(
    impatient: None, folder: Path, target: Path
) -> None:
    before, _ = build(folder, target)
    body = (folder / "brick" / "brick-000.jpg").read_bytes()
    with running(before) as url:
        build(folder, target, model="pixels", rebuild=True)
        assert httpx.get(f"{url}api/collections").json()[0]["model"] == "pixels"
        headers = {"Content-Type": "image/jpeg"}
        hits = httpx.post(f"{url}api/target/search", content=body, headers=headers).json()["hits"]
    assert hits[0]["id"] == "brick/brick-000.jpg"


def test_a_thumbnail_is_the_right_one_while_its_tar_is_replaced(folder: Path, target: Path) -> None:
    before, _ = build(folder, target)
    stale = live.Served(before.path, "target")
    kept = "sea/sea-011.png"
    expected = stale.thumbnail(kept)
    stale._next_check = float("inf")
    (folder / "brick" / "brick-000.jpg").unlink()
    build(folder, target)
    assert stale.thumbnail(kept) == expected


def test_a_collection_that_is_gone_is_a_problem_until_it_is_back(
    impatient: None, copied: lookalike.Collection
) -> None:
    elsewhere = copied.path.with_name("elsewhere")
    with running(copied) as url:
        copied.path.rename(elsewhere)
        for path in ("items", "thumbnails/sea/sea-002.png", "facets"):
            answer = problem(httpx.get(f"{url}api/copied/{path}"))
            assert answer == (503, "unreadable-collection", "the collection copied is no longer at its place")
        assert httpx.get(f"{url}api/collections").json() == []
        elsewhere.rename(copied.path)
        assert httpx.get(f"{url}api/copied/items").json()["total"] == 42


def test_an_empty_collection_can_be_served(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    write_picture(folder / "only.png", 1)
    collection, _ = build(folder, tmp_path / "one.lookalike")
    for part in list_parts(collection.path):
        part.items_path.unlink()
    with running(collection) as url:
        assert httpx.get(f"{url}api/one/items").json() == {"total": 0, "offset": 0, "items": []}
        body, headers = encoded(picture(1)), {"Content-Type": "image/png"}
        assert httpx.post(f"{url}api/one/search", content=body, headers=headers).json()["hits"] == []


@pytest.mark.process
def test_an_index_that_is_built_meanwhile_is_used(impatient: None, folder: Path, target: Path) -> None:
    collection, _ = build(folder, target)
    served = live.Served(collection.path, "target")
    query = as_query(lookalike.Id("sea/sea-002.png"))
    for _ in range(2):
        served.engine().search([query])
    assert served.engine().index is None
    assert served.engine()._held is not None
    build_index(collection.path, "flat")
    served.engine().search([query])
    assert served.engine().index is not None
    assert served.engine()._held is None


@pytest.mark.process
def test_while_nothing_changes_no_footer_is_read(
    impatient: None, folder: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_live, "_SETTLED_NS", 0)
    monkeypatch.setattr(search_live, "_COMPARE_EVERY_S", 0)
    collection, _ = build(folder, target)
    served = live.Served(collection.path, "target")
    engine = served.engine()
    monkeypatch.setattr(search_live, "Snapshot", None)
    assert served.engine() is engine
    write_picture(folder / "new.png", 99)
    build(folder, target)
    with pytest.raises(AttributeError):
        served.engine()


# Other servers, and what watches them.


def test_the_application_is_made_from_the_environment_for_other_servers(
    collection: lookalike.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_COLLECTIONS", str(collection.path))
    assert list(from_environment().state.collections) == ["photos"]
    monkeypatch.setenv("LOOKALIKE_COLLECTIONS", "")
    with pytest.raises(ServerError, match="set LOOKALIKE_COLLECTIONS"):
        from_environment()


@contextmanager
def workers(collection: lookalike.Collection, **settings: str) -> Iterator[tuple[str, int]]:
    """The address of plain uvicorn with two workers, and the number of its process."""
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    words = "-m uvicorn --factory lookalike.server:from_environment --workers 2 --port".split()
    environment = {**os.environ, "LOOKALIKE_COLLECTIONS": str(collection.path), **settings}
    with subprocess.Popen(
        [sys.executable, *words, str(port)], env=environment, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield f"http://127.0.0.1:{port}/", process.pid
        finally:
            process.terminate()


@pytest.mark.process
def test_uvicorn_serves_with_several_workers(collection: lookalike.Collection) -> None:
    with workers(collection, LOOKALIKE_TOKEN="SECRET") as (url, _):
        assert answered(f"{url}api/collections")["status"] == 401
        headers = {"Authorization": "Bearer SECRET"}
        assert httpx.get(f"{url}api/collections", headers=headers).json()[0]["count"] == 42


@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's list of mappings")
def test_workers_share_the_index_in_memory(indexed: dict[str, lookalike.Collection]) -> None:
    with workers(indexed["flat"]) as (url, parent):
        answered(f"{url}healthz")
        deadline = time.monotonic() + 20
        while [pages["Shared_Clean"] > 0 for pages in index_pages(parent)] != [True, True]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert [pages["Private_Dirty"] for pages in index_pages(parent)] == [0, 0]


def index_pages(parent: int) -> list[dict[str, int]]:
    """Of each child that maps an index, how many kB of it are in memory, by kind."""
    found = []
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        text = Path(f"/proc/{child}/smaps").read_text()
        for mapping in re.findall(r"\.faiss\n((?:\w+: +.*\n)+)", text):
            found.append({name: int(kb) for name, kb in re.findall(r"(\w+): +(\d+) kB", mapping)})
    return found


def answered(url: str) -> Any:
    """The answer of a server that has yet to start."""
    for _ in range(100):
        try:
            answer = httpx.get(url)
            return answer.json() if "json" in answer.headers["content-type"] else answer.text
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("it does not start")


def test_the_figures_count_requests_and_time_the_steps(collection: lookalike.Collection) -> None:
    with running(collection) as url:
        headers = {"Content-Type": "image/png"}
        for _ in range(3):
            httpx.post(f"{url}api/photos/search", content=encoded(picture(1)), headers=headers)
        httpx.get(f"{url}api/photos/items/nothing")
        text = httpx.get(f"{url}metrics").text
    assert 'lookalike_requests_total{route="/api/{c}/search",status="200"} 3.0' in text
    assert 'lookalike_requests_total{route="/api/{c}/items/{id}",status="404"} 1.0' in text.replace(
        ":path", ""
    )
    for step in ("decode", "embed", "search", "metadata"):
        assert f'lookalike_step_seconds_count{{step="{step}"}} 3.0' in text


def test_the_description_has_every_route_and_the_page_shows_it(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    routes = {
        route.path.replace(":path", "")
        for route in create_app([]).routes
        if isinstance(route, Route) and not route.path.startswith(("/docs", "/openapi"))
    }
    assert set(described["paths"]) == routes - {"/"}
    page = client.get("/docs")
    assert all(path in page.text for path in described["paths"])
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert client.get("/docs/style.css").headers["content-type"].startswith("text/css")


# The port.


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
