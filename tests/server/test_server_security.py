"""A test for each attack: from other machines, by other pages, by paths, conditions, and too much work."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import build, write_picture
from hypothesis import given
from hypothesis import strategies as st
from pictures import quick
from serving import problem, running

import lookalike
from lookalike.server import Access, ServerError, from_environment, serve
from lookalike.server.security import COOKIE, Guard
from lookalike.storage.manifest import Manifest

TOKEN = "a long secret"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def client(collection: lookalike.Collection) -> Iterator[httpx.Client]:
    with running(collection) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture(scope="module")
def locked(collection: lookalike.Collection) -> Iterator[str]:
    with running(collection, access=Access(token=TOKEN)) as url:
        yield url


# Other machines.


async def asked_from(address: str, access: Access) -> int:
    """The status that a client at an address gets; it says that it means localhost."""

    async def welcome(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]

    scope = {
        "type": "http", "method": "GET", "path": "/", "query_string": b"", "scheme": "http",
        "headers": [(b"host", b"localhost")], "client": (address, 50_000),
    }  # fmt: skip
    statuses = []

    async def send(message: dict[str, int]) -> None:
        statuses.append(message.get("status"))

    await Guard(welcome, access)(scope, None, send)  # type: ignore[arg-type]
    return statuses[0] or 0


@pytest.mark.parametrize(
    ("address", "status"),
    [("127.0.0.1", 200), ("::1", 200), ("::ffff:127.0.0.1", 200), ("192.168.1.9", 403), ("2001:db8::1", 403)],
)
def test_without_a_token_only_this_machine_is_answered(address: str, status: int) -> None:
    assert asyncio.run(asked_from(address, Access())) == status


def test_no_auth_and_nothing_else_opens_the_server_to_all() -> None:
    assert asyncio.run(asked_from("192.168.1.9", Access(no_auth=True))) == 200


def test_an_address_that_others_reach_needs_a_token(collection: lookalike.Collection) -> None:
    with pytest.raises(ServerError, match="needs a token; give a secret as `token`, or `no_auth=True`"):
        serve([collection.path], host="0.0.0.0", port=0, open_browser=False)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"host": "0.0.0.0", "no_auth": True}, True),
        ({"host": "0.0.0.0", "no_auth": True, "read_only": False}, False),
        ({"host": "0.0.0.0", "no_auth": True, "token": TOKEN}, False),
        ({"host": "127.0.0.1", "no_auth": True}, False),
        ({"host": "127.0.0.1", "read_only": True}, True),
    ],
)
def test_where_everybody_is_let_in_nobody_can_mark_pictures_unless_that_is_asked_for(
    collection: lookalike.Collection, options: dict[str, Any], expected: bool
) -> None:
    said = []

    def stop(_: str, is_read_only: bool) -> None:
        said.append(is_read_only)
        raise KeyboardInterrupt

    serve([collection.path], port=0, open_browser=False, on_ready=stop, **options)
    assert said == [expected]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"NO_AUTH": "1"}, True),
        ({"NO_AUTH": "1", "READ_ONLY": "0"}, False),
        ({"NO_AUTH": "1", "TOKEN": TOKEN}, False),
        ({"READ_ONLY": "1"}, True),
    ],
)
def test_the_environment_has_the_same_default(
    collection: lookalike.Collection,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    expected: bool,
) -> None:
    for name, value in {"COLLECTIONS": str(collection.path), **variables}.items():
        monkeypatch.setenv(f"LOOKALIKE_{name}", value)
    assert from_environment().state.read_only is expected


# The token.


@pytest.mark.parametrize("path", ["api/collections", "web/main.js", "metrics", "openapi.json", "nothing"])
def test_without_the_token_there_is_nothing(locked: str, path: str) -> None:
    wrong = ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Cookie": f"{COOKIE}={TOKEN}"})
    for headers in wrong:
        answer = httpx.get(locked + path, headers=headers)
        assert problem(answer)[:2] == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_program_sends_the_token_in_a_header(locked: str) -> None:
    assert httpx.get(f"{locked}api/collections", headers=BEARER).json()[0]["count"] == 42


def test_a_person_logs_in_once_with_the_address(locked: str) -> None:
    with httpx.Client(base_url=locked) as browser:
        answer = browser.get("/", params={"token": TOKEN, "id": 'a"b'})
        assert 'content="0; url=./?id=a%22b"' in answer.text
        assert browser.get("/web/entered.js").status_code == 200
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in answer.headers["set-cookie"]
        assert browser.get("/").headers["content-type"].startswith("text/html")
        assert browser.get("/api/collections").status_code == 200


def test_a_wrong_token_in_the_address_leads_to_the_login(locked: str) -> None:
    for params in ({}, {"token": ""}, {"token": "wrong"}):
        answer = httpx.get(locked, params=params)
        assert answer.status_code == 401
        assert '<input name="token" type="password"' in answer.text
        assert ("That is not the token" in answer.text) == (params == {"token": "wrong"})
        assert "set-cookie" not in answer.headers


def test_the_token_in_the_address_opens_nothing_but_the_page(locked: str) -> None:
    assert httpx.get(f"{locked}api/collections", params={"token": TOKEN}).status_code == 401


def test_whether_the_server_runs_is_no_secret(locked: str) -> None:
    assert httpx.get(f"{locked}healthz").text == "ok"


# Other pages.


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:1", "null", "http://127.0.0.1"])
@pytest.mark.parametrize("path", ["/api/photos/search", "/api/photos/embed", "/knn-service", "/metadata"])
def test_what_a_foreign_page_sends_is_refused(client: httpx.Client, origin: str, path: str) -> None:
    body = {"id": "sea/sea-002.png", "ids": [1]}
    answer = client.post(path, json=body, headers={"Origin": origin})
    assert problem(answer)[:2] == (403, "foreign-origin")


@pytest.mark.parametrize("more", ["0", ".evil.example", "@evil.example"])
def test_a_page_whose_address_only_begins_as_the_own_does_is_foreign(client: httpx.Client, more: str) -> None:
    headers = {"Origin": str(client.base_url).rstrip("/") + more}
    answer = client.post("/api/photos/search", json={"id": "sea/sea-002.png"}, headers=headers)
    assert problem(answer)[:2] == (403, "foreign-origin")


def test_the_own_page_may_ask(client: httpx.Client) -> None:
    origin = str(client.base_url).rstrip("/")
    answer = client.post("/api/photos/search", json={"id": "sea/sea-002.png"}, headers={"Origin": origin})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_a_site_that_was_named_may_read_the_answers(collection: lookalike.Collection) -> None:
    origin = {"Origin": "https://front.example"}
    with running(collection, access=Access(origins=["https://front.example/"])) as url:
        asked = httpx.options(
            f"{url}knn-service", headers={**origin, "Access-Control-Request-Method": "POST"}
        )
        answer = httpx.get(f"{url}indices-list", headers=origin)
        other = httpx.get(f"{url}indices-list", headers={"Origin": "https://evil.example"})
    assert asked.status_code == 204
    for allowed in (asked, answer):
        assert allowed.headers["access-control-allow-origin"] == "https://front.example"
        assert allowed.headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("origin", ["https://front.example.evil.example", "https://front.exampl"])
def test_a_site_with_part_of_a_name_or_more_is_not_the_site_that_was_named(
    collection: lookalike.Collection, origin: str
) -> None:
    access = Access(origins=["https://front.example"])
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    with running(collection, access=access) as url, httpx.Client(base_url=url, headers=headers) as page:
        answers = [
            page.options("/knn-service"),
            page.post("/knn-service", json={"ids": [1]}),
            page.get("/indices-list"),
        ]
    assert [answer.status_code for answer in answers] == [405, 403, 200]
    for answer in answers:
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
@pytest.mark.parametrize("path", ["/api/collections", "/api/photos/items?where=id>''", "/metrics"])
def test_a_foreign_page_cannot_put_the_server_to_work_with_a_get(
    client: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    assert problem(client.get(path, headers=headers))[:2] == (403, "foreign-origin")


def test_a_foreign_page_cannot_post_without_an_origin_either(client: httpx.Client) -> None:
    mark = {"kind": "keep", "ids": ["sea/sea-001.png"], "value": True}
    answer = client.post("/api/photos/marks", json=mark, headers={"Sec-Fetch-Site": "cross-site"})
    assert problem(answer)[:2] == (403, "foreign-origin")


@pytest.mark.parametrize("site", [None, "none", "same-origin"])
def test_the_own_page_and_every_client_that_is_no_browser_may_get(
    client: httpx.Client, site: str | None
) -> None:
    headers = {"Sec-Fetch-Site": site} if site else {}
    assert client.get("/api/photos/items", headers=headers).status_code == 200


def test_the_page_may_be_linked_to_from_anywhere(client: httpx.Client) -> None:
    for path in ("/", "/docs", "/healthz", "/web/style.css"):
        assert client.get(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_a_site_that_was_named_may_get_too(collection: lookalike.Collection) -> None:
    headers = {"Origin": "https://front.example", "Sec-Fetch-Site": "cross-site"}
    with running(collection, access=Access(origins=["https://front.example"])) as url:
        assert httpx.get(f"{url}api/collections", headers=headers).status_code == 200


@pytest.mark.parametrize("origin", ["http://[", "http://]", "http://[::1", "//["])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_origin_that_is_no_address_is_a_bad_request(
    client: httpx.Client, method: str, origin: str
) -> None:
    answer = client.request(method, "/api/photos/search", headers={"Origin": origin})
    assert problem(answer)[:2] == (400, "bad-header")


@quick
@given(
    origin=st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"])).map(
        lambda text: text.strip(" ")
    )
)
def test_any_origin_is_answered_and_never_with_a_failure(client: httpx.Client, origin: str) -> None:
    answer = client.post("/api/photos/search", json={}, headers={"Origin": origin.encode("latin-1")})
    assert 400 <= answer.status_code < 500


# Paths: what is given as an original lies in a source, is a file, and is the very picture.


def original(collection: lookalike.Collection, id_: str) -> httpx.Response:
    with running(collection) as url:
        return httpx.get(f"{url}api/target/images/{id_}")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return write_picture(tmp_path / "elsewhere" / "secret.png", 77)


def test_an_original_that_has_changed_is_not_given(folder: Path, target: Path) -> None:
    collection, _ = build(folder, target)
    write_picture(folder / "sea" / "sea-002.png", 99)
    assert problem(original(collection, "sea/sea-002.png"))[:2] == (404, "no-original")


def test_a_link_out_of_the_source_is_not_followed(folder: Path, target: Path, secret: Path) -> None:
    (folder / "link.png").symlink_to(secret)
    (folder / "linked").symlink_to(secret.parent)
    collection, _ = build(folder, target)
    for id_ in ("link.png", "linked/secret.png"):
        assert problem(original(collection, id_))[:2] == (404, "no-original")
    assert original(collection, "brick/brick-000.jpg").status_code == 200


def test_a_collection_from_elsewhere_cannot_name_a_file_of_this_machine(
    folder: Path, target: Path, secret: Path
) -> None:
    """Its rows say where the pictures are; only its sources are looked into, and only for the same bytes."""
    build(secret.parent, target)
    collection = lookalike.open(target)
    manifest = Manifest(collection.manifest.model, sources={f"file://{folder}/": {}})
    (target / "collection.json").write_bytes(manifest.to_json())
    assert problem(original(collection, "secret.png"))[:2] == (404, "no-original")


def test_a_source_that_is_only_the_start_of_a_name_is_not_meant(folder: Path, target: Path) -> None:
    beside = folder.with_name(folder.name + "-private")
    write_picture(beside / "own.png", 5)
    collection, _ = build(beside, target)
    manifest = Manifest(collection.manifest.model, sources={f"file://{folder}": {}})
    (target / "collection.json").write_bytes(manifest.to_json())
    assert problem(original(collection, "own.png"))[:2] == (404, "no-original")


def test_a_pipe_in_the_place_of_a_picture_does_not_hold_the_server(folder: Path, target: Path) -> None:
    collection, _ = build(folder, target)
    (folder / "sea" / "sea-002.png").unlink()
    os.mkfifo(folder / "sea" / "sea-002.png")
    assert problem(original(collection, "sea/sea-002.png"))[:2] == (404, "no-original")


# Conditions.


@pytest.mark.parametrize(
    "where",
    [
        "1 = (SELECT count(*) FROM read_text('/etc/passwd'))",
        "id IN (SELECT content FROM '/etc/passwd')",
        "true) ; COPY items TO '/tmp/stolen.csv'; SELECT (true",
        "getenv('HOME') <> ''",
        "repeat(id, 1000000000) = 'x'",
        "1 = 1; ATTACH '/tmp/stolen.db'",
        "id IN (FROM glob('/*'))",
        "current_setting('home_directory') = 'x'",
        "pragma_version() = 'x'",
        "id = (TABLE items)",
        "COLUMNS('.*') = 1",
    ],
)
def test_a_condition_reads_and_writes_nothing_but_the_columns(client: httpx.Client, where: str) -> None:
    answer = client.get("/api/photos/items", params={"where": where})
    assert problem(answer)[:2] == (400, "bad-condition")
    assert "root:" not in answer.text


def test_no_answer_says_where_the_collection_lies(client: httpx.Client, photos: Path) -> None:
    for path in ("/api/collections", "/api/nothing/items", "/api/photos/items/nothing", "/metrics", "/docs"):
        assert not re.search(re.escape(str(photos.parent)), client.get(path).text)
