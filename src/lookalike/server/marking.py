"""Stores the marks that people make on the page, in the collection's journal: `POST /api/{c}/marks`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from lookalike.analysis.duplicates import KEEP, NOT_DUPLICATE
from lookalike.server.answers import as_json, live_of
from lookalike.server.bodies import content_type
from lookalike.server.live import Served
from lookalike.server.problems import Problem
from lookalike.server.queries import parse_json
from lookalike.storage.marks import Mark, write_marks

# The kinds of marks, and how many pictures each is about.
KINDS = {NOT_DUPLICATE: 2, KEEP: 1}


async def marks(request: Request) -> Response:
    """Store a mark about some items; the value true sets it, null takes it back."""
    live = live_of(request)
    # A form on another site cannot send JSON.
    if content_type(request) != "application/json":
        raise Problem("unsupported-type", "send application/json")
    async with request.app.state.bodies.read(request) as body:
        kind, ids, value = _parsed(parse_json(body))
    await run_in_threadpool(_mark, live, kind, ids, value)
    return as_json({"kind": kind, "ids": list(ids), "value": value})


def _parsed(fields: Any) -> tuple[str, tuple[str, ...], bool | None]:
    """The kind, the ids and the value; raises a `Problem` that names the field."""
    kind, ids, value = (fields.get(name) for name in ("kind", "ids", "value"))
    if not isinstance(kind, str) or kind not in KINDS:
        raise Problem("bad-parameter", f"kind must be one of {', '.join(KINDS)}, not {kind!r}", field="kind")
    texts = ids if isinstance(ids, list) and all(isinstance(id_, str) for id_ in ids) else []
    if len(texts) != KINDS[kind] or len(set(texts)) < len(texts):
        raise Problem("bad-parameter", f"{kind} needs {KINDS[kind]} different ids", field="ids")
    if value is not True and value is not None:
        raise Problem("bad-parameter", f"value must be true or null, not {value!r}", field="value")
    return kind, tuple(texts), value


def _mark(live: Served, kind: str, ids: tuple[str, ...], value: bool | None) -> None:
    snapshot = live.engine().snapshot
    sha256s = tuple(sha256 or "" for sha256 in snapshot.values("sha256", snapshot.rows_of(ids)))
    write_marks(snapshot.root, [Mark(datetime.now(UTC), kind, ids, sha256s, value)])
