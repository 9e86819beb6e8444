"""The routes: what the server answers at each address."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from lookalike.collection import Collection
from lookalike.query import Id
from lookalike.results import jsonable
from lookalike.server.live import LiveCollection, State
from lookalike.server.problems import HANDLERS, Problem
from lookalike.server.security import LOOPBACK, Guard

WEB_FOLDER = Path(__file__).parent / "web"
MAX_BODY_BYTES = 50_000_000
MAX_PAGE, MAX_K = 1000, 10_000
DEFAULT_PAGE, DEFAULT_K = 100, 50

# The operating system's own table is not to be trusted: on Windows it has scripts as plain text.
_WEB_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_BODY_TYPES = ("application/json", "application/octet-stream")
_YEAR_S = 365 * 24 * 3600


def create_app(collection: Collection, allowed_hosts: Sequence[str] = LOOPBACK) -> Starlette:
    """The ASGI application that serves a collection and the page, and follows its changes.

    Requests whose Host header names none of `allowed_hosts` are refused.
    Raises `CollectionError` where the collection cannot be read.
    """
    page = Page(directory=WEB_FOLDER)

    async def index(request: Request) -> Response:
        return await page.get_response("index.html", request.scope)

    app = Starlette(
        routes=[
            Route("/", index),
            Mount("/web", page),
            Route("/api/collections", collections),
            Route("/api/{c}/items", items),
            Route("/api/{c}/items/{id:path}", item),
            Route("/api/{c}/thumbnails/{id:path}", thumbnail),
            Route("/api/{c}/search", search, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, allowed_hosts=allowed_hosts)],
        exception_handlers=HANDLERS,
    )
    app.router.redirect_slashes = False
    live = LiveCollection(collection)
    app.state.collections = {live.name: live}
    # A large picture takes hundreds of megabytes while it is decoded: one for each core at a time.
    app.state.search_slots = asyncio.Semaphore(os.cpu_count() or 1)
    return app


class Page(StaticFiles):
    """The files of the page; a browser asks each time whether its copy is still good."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        kind = _WEB_TYPES.get(Path(args[0]).suffix)
        if kind and "content-type" in response.headers:
            response.headers["Content-Type"] = kind
        return response


# The functions that are not async run in worker threads, which is Starlette's way with them.


def collections(request: Request) -> Response:
    """What is served: name, count, model, dim, fingerprint, and how many items each label has."""
    return _json([_summary(live) for live in request.app.state.collections.values()])


def items(request: Request) -> Response:
    """A stretch of the rows, in their order."""
    state = _live(request).state()
    offset = _whole(request.query_params.get("offset", 0), "offset", 0, None)
    limit = _whole(request.query_params.get("limit", DEFAULT_PAGE), "limit", 1, MAX_PAGE)
    table = state.snapshot.items
    columns = ["id", "label", "width", "height", "sha256"]
    rows = table.select(columns).slice(min(offset, len(table)), limit).to_pylist()
    return _json({"total": len(table), "offset": offset, "items": [_card(row) for row in rows]})


def item(request: Request) -> Response:
    """One row with all its columns, but for where its thumbnail lies."""
    row = _live(request).state().row(request.path_params["id"])
    hidden = ("thumb_offset", "thumb_size")
    return _json({name: value for name, value in jsonable(row).items() if name not in hidden})


def thumbnail(request: Request) -> Response:
    """The JPEG of an item; with `v`, the beginning of its sha256, it is kept for a year."""
    sha256, jpeg = _live(request).thumbnail(request.path_params["id"])
    if not jpeg:
        raise Problem("unknown-path", "this item has no picture")
    version = request.query_params.get("v", "")
    lasting = len(version) >= 8 and sha256.startswith(version)
    etag = f'"{sha256[:32]}"'
    headers = {
        "ETag": etag,
        "Cache-Control": f"private, max-age={_YEAR_S}, immutable" if lasting else "no-cache",
    }
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(jpeg, headers=headers, media_type="image/jpeg")


async def search(request: Request) -> Response:
    """The items nearest to the picture in the body, or to the item whose id is in it."""
    live = _live(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _BODY_TYPES and not kind.startswith("image/"):
        # Other pages may send text and forms unasked, and nothing without a type; these they may not.
        taken = "image/*, application/octet-stream or application/json"
        raise Problem("unsupported-type", f"the Content-Type is {kind!r}; taken are {taken}")
    asked_k = request.query_params.get("k", DEFAULT_K)
    body = await _body(request)
    query: Id | bytes = body
    if kind == "application/json":
        fields = _fields(body)
        query, asked_k = Id(fields["id"]), fields.get("k", asked_k)
    k = _whole(asked_k, "k", 1, MAX_K)
    async with request.app.state.search_slots:
        return await run_in_threadpool(_search, live, query, k)


def _search(live: LiveCollection, query: Id | bytes, k: int) -> Response:
    state = live.state()
    described: dict[str, Any]
    if isinstance(query, Id):
        described = _card(state.row(query.id))
    else:
        described = {"bytes": len(query), "sha256": hashlib.sha256(query).hexdigest()}
    started = time.perf_counter()
    results = state.snapshot.search(query, k, include_query=True)
    took_ms = round((time.perf_counter() - started) * 1000, 2)
    hits = [{**_card(hit.item), "score": round(hit.score, 6)} for hit in results]
    total = len(state.snapshot.items)
    return _json({"query": described, "took_ms": took_ms, "total": total, "hits": hits})


def _card(row: Any) -> dict[str, Any]:
    """What the page needs of a row; `v` is the version of the picture, for the thumbnail's address."""
    shown = {name: row[name] for name in ("id", "label", "width", "height")}
    return {**shown, "v": row["sha256"][:12]}


def _summary(live: LiveCollection) -> dict[str, Any]:
    state: State = live.state()
    snapshot = state.snapshot
    model = snapshot.collection.manifest.model
    counts = snapshot.items["label"].value_counts().to_pylist()
    labels = {one["values"]: one["counts"] for one in counts if one["values"] is not None}
    return {
        "name": live.name,
        "count": len(snapshot.items),
        "model": model.name,
        "dim": model.dim,
        "fingerprint": snapshot.fingerprint,
        "labels": dict(sorted(labels.items())),
    }


def _live(request: Request) -> LiveCollection:
    name = request.path_params["c"]
    served: dict[str, LiveCollection] = request.app.state.collections
    if name not in served:
        raise Problem("unknown-collection", f"{name!r} is not served; known: {', '.join(served)}")
    return served[name]


def _whole(value: Any, name: str, low: int, high: int | None) -> int:
    """A whole number from a query string or from JSON; a `Problem` where it is none or out of range."""
    limits = f"from {low:,}" + (f" to {high:,}" if high is not None else "")
    number = value
    if isinstance(value, str) and value.isascii() and len(value) < 18:
        number = int(value) if value.removeprefix("-").isdigit() else value
    if type(number) is not int or number < low or (high is not None and number > high):
        raise Problem("bad-parameter", f"{name} is a whole number {limits}, not {value!r}")
    return number


def _fields(body: bytes) -> dict[str, Any]:
    """The body `{"id": "…", "k": 50}`, k being optional."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem("bad-json", f"the body cannot be parsed: {error}") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("id"), str):
        raise Problem("bad-json", 'expected an object like {"id": "rose/1.jpg", "k": 50}')
    return fields


async def _body(request: Request) -> bytes:
    """The body, read no further than the limit, which guards the memory."""
    too_large = Problem("too-large", f"the limit is {MAX_BODY_BYTES // 1_000_000} MB")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise too_large
    if not body:
        raise Problem("empty-body", "send a picture, or JSON with the id of an item")
    return bytes(body)


def _json(content: Any) -> Response:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"), default=str)
    return Response(body, media_type="application/json")
