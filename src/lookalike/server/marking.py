"""What people say of pictures on the page: `/api/{c}/marks` reads and writes the collection's journal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lookalike.analysis.tiers import NOT_DUPLICATE
from lookalike.errors import LookalikeError
from lookalike.learning.identify import given
from lookalike.learning.label_marks import label_marks
from lookalike.models.spelling import spelling
from lookalike.search.engine import Engine
from lookalike.search.taught import KIND as WORD
from lookalike.search.taught import column_lesson, forgetting, lesson_marks
from lookalike.search.taught_tags import write_taught_tags
from lookalike.server.answers import as_json, live_of
from lookalike.server.bodies import content_type
from lookalike.server.live import Served
from lookalike.server.problems import Problem, naming
from lookalike.server.queries import parse_any_json
from lookalike.server.searching import engine_of, in_turn
from lookalike.server.statements import Statement, parse_statements
from lookalike.storage.given_labels import LABEL
from lookalike.storage.item_marks import said_of, undoing
from lookalike.storage.marks import Mark, write_marks

MAX_MARKS_BYTES = 1_000_000


async def marks(request: Request) -> Response:
    """`GET`: what marks say of an item. `POST`: keep the marks in the body, all of them or none."""
    return await (_keep(request) if request.method == "POST" else _tell(request))


async def _tell(request: Request) -> Response:
    id_ = request.query_params.get("id", "")
    if not id_:
        raise Problem("bad-parameter", "which item? give its id", field="id")
    engine = await engine_of(request, live_of(request))
    (said,) = await in_turn(request, lambda: said_of(engine.snapshot, [id_]))
    return as_json([{"kind": kind, "ids": [id_], "value": value} for kind, value in said.items()])


async def _keep(request: Request) -> Response:
    live = live_of(request)
    if request.app.state.read_only:
        raise Problem("read-only", "nothing can be said of pictures here")
    # A form on another site cannot send JSON.
    if content_type(request) != "application/json":
        raise Problem("unsupported-type", "send application/json")
    async with request.app.state.bodies.read(request, MAX_MARKS_BYTES) as body:
        said = parse_statements(parse_any_json(body))
    return await in_turn(request, lambda: _kept(live, said))


def _kept(live: Served, said: Sequence[Statement]) -> Response:
    """Write the marks, and the tags of taught words; the answer has the marks that take them back."""
    engine = live.newest()
    batch = _marks_of(engine, said)
    before = undoing(engine.snapshot, batch)
    write_marks(engine.snapshot.root, batch)
    is_tagged = True
    if any(mark.kind.startswith(WORD) for mark in batch):
        is_tagged = False
        with suppress(LookalikeError):  # a build holds the collection: `lookalike teach` makes them then
            write_taught_tags(live.newest())
            is_tagged = True
    live.newest()
    return as_json({"marks": _grouped(batch), "undo": _grouped(before), "tagged": is_tagged})


def _marks_of(engine: Engine, said: Sequence[Statement]) -> list[Mark]:
    """The marks of a request; raises a `Problem`, `QueryError` or `UnknownIdError` if one cannot be."""
    snapshot, found = engine.snapshot, []
    for one in said:
        if one.family == "word":
            continue
        if one.kind == NOT_DUPLICATE:
            sha256s = [sha256 or "" for sha256 in snapshot.values("sha256", snapshot.rows_of(one.ids))]
            found.append(Mark(datetime.now(UTC), one.kind, one.ids, tuple(sha256s), one.value))
        elif one.family == "label" and one.value is not None:
            with naming("value"):
                found += given(snapshot, dict.fromkeys(one.ids, one.value), one.name or LABEL)
        else:
            found += label_marks(snapshot, one.kind, one.ids, [one.value] * len(one.ids))
    for name in dict.fromkeys(one.name for one in said if one.family == "word"):
        found += _taught(engine, name, [one for one in said if one.kind == WORD + name])
    return found


def _taught(engine: Engine, name: str, said: Sequence[Statement]) -> list[Mark]:
    """The marks of one word: of words spelled alike, of the one that was taught first."""
    snapshot = engine.snapshot
    known = {spelling(one.name): one.name for one in engine.words.own.words if one.origin == "taught"}
    name = known.get(spelling(name), name)
    like, unlike, neither = (
        [id_ for one in said if one.value is value for id_ in one.ids] for value in (True, False, None)
    )
    found = lesson_marks(snapshot, name, like, unlike, known) if like or unlike else []
    found += label_marks(snapshot, WORD + name, neither, [None] * len(neither))
    for one in said:
        if not one.ids:
            found += forgetting(snapshot, name) if one.value is None else [column_lesson(name, one.value)]
    return found


def _grouped(marks: Iterable[Mark]) -> list[dict[str, Any]]:
    """Marks as statements, those about single pictures that say the same together."""
    found: dict[Any, dict[str, Any]] = {}
    for mark in marks:
        key = (mark.kind, json.dumps(mark.value, sort_keys=True), None if len(mark.ids) == 1 else mark.ids)
        group = found.setdefault(key, {"kind": mark.kind, "ids": [], "value": mark.value})
        group["ids"] += mark.ids
    return list(found.values())
