"""Browsing without a query: collections, items, and their pictures."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from lookalike.errors import CollectionError, ModelError
from lookalike.images.decoding import decode
from lookalike.images.pillow import media_type
from lookalike.images.thumbnail import THUMBNAIL_PX
from lookalike.images.thumbnail import thumbnail as make_thumbnail
from lookalike.index import index_state
from lookalike.learning.identify import Proposal, proposals
from lookalike.search.engine import Engine
from lookalike.search.mentions import has_mentions
from lookalike.server.answers import (
    HIDDEN_COLUMNS,
    as_json,
    asked_condition,
    cards,
    details,
    live_of,
    matching,
    whole_row,
)
from lookalike.server.live import Served
from lookalike.server.problems import Problem
from lookalike.server.queries import MAX_TEXT_LENGTH, whole
from lookalike.storage.columns import column_type
from lookalike.storage.derived import TABLES
from lookalike.storage.files import is_writable
from lookalike.storage.given_labels import LABEL
from lookalike.storage.label_values import label_counts
from lookalike.storage.marks import marks_stamp
from lookalike.storage.snapshot import Snapshot

MAX_PAGE, DEFAULT_PAGE = 1000, 100
_YEAR_S = 365 * 24 * 3600

# Starlette runs functions that are not async in worker threads.


def collections(request: Request) -> Response:
    """`GET /api/collections`: the collections that are served; a missing one is left out."""
    found = []
    for live in request.app.state.collections.values():
        try:
            found.append(_summary(live, request.app.state.read_only))
        except CollectionError:
            continue
    return as_json(found)


def items(request: Request) -> Response:
    """`GET /api/{c}/items`: a range of the rows that meet a condition, in order."""
    engine = live_of(request).engine()
    offset, limit = asked_page(request)
    rows = matching(engine, asked_condition(request))
    shown = cards(engine, rows[offset : offset + limit])
    return as_json({"total": len(rows), "offset": offset, "items": shown})


def asked_page(request: Request) -> tuple[int, int]:
    """The `offset` and `limit` in the query string."""
    offset = whole(request.query_params.get("offset", 0), "offset", 0, None)
    return offset, whole(request.query_params.get("limit", DEFAULT_PAGE), "limit", 1, MAX_PAGE)


def words(request: Request) -> Response:
    """`GET /api/{c}/words`: the words to search for that begin with `start`, the collection's own first."""
    start = request.query_params.get("start", "")
    if len(start) > MAX_TEXT_LENGTH:
        raise Problem("bad-parameter", f"start has at most {MAX_TEXT_LENGTH:,} characters", field="start")
    found = live_of(request).engine().words.complete(start)
    return as_json([one.as_dict() for one in found])


def item(request: Request) -> Response:
    """`GET /api/{c}/items/{id}`: all columns of one row, except where its thumbnail is stored."""
    row = live_of(request).ask(lambda engine: whole_row(engine, request.path_params["id"]))
    return as_json(details(row))


async def thumbnail(request: Request) -> Response:
    """`GET /api/{c}/thumbnails/{id}`: the JPEG; with `v`, the start of its sha256, it is cached for a year.

    A page asks for dozens at once, and a thread for each costs more than reading what is in memory.
    In a collection built without thumbnails it is made of the original.
    """
    live, id_ = live_of(request), request.path_params["id"]
    found = live.cached_thumbnail(id_)
    sha256, jpeg = found if found else await run_in_threadpool(live.thumbnail, id_)
    if not jpeg:
        jpeg = await request.app.state.workers.run(lambda: _made_thumbnail(live, id_))
    if not jpeg:
        raise Problem("unknown-path", "this item has no picture")
    return _picture(request, sha256, jpeg, "image/jpeg")


def _made_thumbnail(live: Served, id_: str) -> bytes:
    """A thumbnail of an item's original; empty if that is not available."""
    row = live.ask(lambda engine: whole_row(engine, id_))
    data = original(live.engine().snapshot, row)
    return make_thumbnail(decode(data, THUMBNAIL_PX)) if data else b""


def image(request: Request) -> Response:
    """`GET /api/{c}/images/{id}`: the original, if it has not changed since it was embedded."""
    live = live_of(request)
    row = live.ask(lambda engine: whole_row(engine, request.path_params["id"]))
    data = original(live.engine().snapshot, row)
    if data is None:
        raise Problem("no-original", "the picture has been moved or changed")
    return _picture(request, row["sha256"], data, media_type(data))


def original(snapshot: Snapshot, row: dict[str, Any]) -> bytes | None:
    """The bytes of an item's original picture; None if they are not available.

    Only a regular file below one of the collection's sources is read, never through a link that leads out of
    them, and the bytes are returned only if they have the row's sha256.
    """
    if not row["sha256"] or not row["uri"].startswith("file://"):
        return None
    path = _real_path(row["uri"])
    sources = [_real_path(uri) for uri in snapshot.manifest.sources if uri.startswith("file://")]
    if not any(path.startswith(os.path.join(source, b"")) for source in sources):
        return None
    try:
        # Reading a pipe would never end: it is opened without blocking, and then rejected as not a file.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
        with open(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size != row["size_bytes"]:
                return None
            data = file.read(status.st_size)
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == row["sha256"] else None


def _real_path(uri: str) -> bytes:
    return os.path.realpath(unquote_to_bytes(uri.removeprefix("file://")))


def _picture(request: Request, sha256: str, data: bytes, kind: str) -> Response:
    version = request.query_params.get("v", "")
    lasting = len(version) >= 8 and sha256.startswith(version)
    etag = f'"{sha256[:32]}"'
    headers = {
        "ETag": etag,
        "Cache-Control": f"private, max-age={_YEAR_S}, immutable" if lasting else "no-cache",
    }
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=kind)


def _summary(live: Served, read_only: bool) -> dict[str, Any]:
    engine = live.engine()
    return {
        "name": live.name,
        **engine.kept("summary", "", lambda: _described(engine.snapshot)),
        "words": _has_words(engine),
        "marks": not read_only and is_writable(live.path),
        "index": index_state(engine.snapshot.state),
        "views": [*(view for view in TABLES if _is_there(live.path / "derived", view)), *_asking(engine)],
    }


def _described(snapshot: Snapshot) -> dict[str, Any]:
    """Facts that stay the same as long as the state does."""
    spec = snapshot.manifest.model
    try:
        model = snapshot.model
    except ModelError:
        model = None
    shown = [one for one in snapshot.filled_columns if one.name not in HIDDEN_COLUMNS]
    return {
        "count": len(snapshot),
        "model": spec.name,
        "dim": spec.dim,
        "fingerprint": snapshot.fingerprint,
        "labels": label_counts(snapshot),
        "pictures": model is not None,
        "columns": [{"name": one.name, "type": column_type(one.type)} for one in shown],
    }


def _has_words(engine: Engine) -> bool:
    """Whether words can be searched for; the collection's own count only if the model knows none."""
    try:
        if engine.snapshot.model.text_vector is not None:
            return True
    except ModelError:
        pass
    stamp = marks_stamp(engine.snapshot.root)
    return bool(engine.kept("has words", repr(stamp), lambda: has_mentions(engine.snapshot)))


def kept_proposals(engine: Engine, column: str = LABEL) -> Sequence[Proposal]:
    """The proposals for a column that wait, surest first; raises `CollectionError` for damaged marks."""
    key = repr((marks_stamp(engine.snapshot.root), column))
    found: Sequence[Proposal] = engine.kept("proposals", key, lambda: proposals(engine.snapshot, column))
    return found


def _asking(engine: Engine) -> list[str]:
    """The view of proposals, if some wait; damaged marks are an error only for what reads one."""
    with suppress(CollectionError):
        return ["proposals"] if kept_proposals(engine) else []
    return []


def _is_there(derived: Path, view: str) -> bool:
    return (derived / f"{view}.json").is_file()
