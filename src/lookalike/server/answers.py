"""The building blocks of answers: cards of items, whole rows, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from lookalike.errors import QueryError
from lookalike.search.engine import Engine
from lookalike.server.live import Served
from lookalike.server.problems import Problem, hint_of
from lookalike.server.queries import MAX_ADDRESS_CONDITION_LENGTH, condition
from lookalike.storage.columns import jsonable

Rows = NDArray[np.int64]

# The columns that a grid needs to show an item.
CARD_COLUMNS = ("id", "label", "width", "height", "sha256")
# Where the collection stores a thumbnail is nobody else's business.
HIDDEN_COLUMNS = ("thumb_offset", "thumb_size")


def live_of(request: Request) -> Served:
    """The collection named in the path; raises the `Problem` unknown-collection if there is none."""
    return named(request, request.path_params["c"])


def named(request: Request, name: str) -> Served:
    served: Mapping[str, Served] = request.app.state.collections
    if name not in served:
        raise Problem("unknown-collection", f"{name!r} is not served; known: {', '.join(served)}")
    return served[name]


def matching(engine: Engine, where: str | None) -> Rows:
    """The rows that meet a condition; an invalid condition is a `Problem` of the field `where`."""
    try:
        return engine.matching(where)
    except QueryError as error:
        raise Problem("bad-condition", error.message, **hint_of(error), field="where") from None


def asked_condition(request: Request) -> str | None:
    """The condition in the query string, or None."""
    return condition(request.query_params.get("where"), MAX_ADDRESS_CONDITION_LENGTH)


def cards(engine: Engine, rows: Sequence[int] | Rows, more: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The columns that a grid needs of these rows, and `more`; `v` is the version of the picture."""
    return [card(row) for row in engine.snapshot.records(rows, _there(engine, [*CARD_COLUMNS, *more]))]


def whole_row(engine: Engine, id_: str) -> dict[str, Any]:
    """All columns of an item, derived ones too; raises `UnknownIdError`."""
    snapshot = engine.snapshot
    (found,) = snapshot.records([snapshot.row_of(id_)], snapshot.all_columns.names)
    return found


def _there(engine: Engine, names: Iterable[str]) -> list[str]:
    known = engine.snapshot.schema.names
    return [name for name in names if name in known]


def card(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name != "sha256"}
    return {**shown, "v": row["sha256"][:12]}


def details(row: Mapping[str, Any]) -> dict[str, Any]:
    """All columns of a row, ready for JSON."""
    return {name: jsonable(value) for name, value in row.items() if name not in HIDDEN_COLUMNS}


def _text(value: Any) -> str:
    return str(jsonable(value))


def as_json(content: Any, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"), default=_text)
    return Response(body, headers=headers, media_type="application/json")
