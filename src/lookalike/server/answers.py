"""What answers are made of: cards of items, whole rows, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lookalike.errors import QueryError
from lookalike.search.results import jsonable
from lookalike.server.live import LiveCollection
from lookalike.server.problems import Problem
from lookalike.server.queries import MAX_ADDRESS_CONDITION_LENGTH, condition
from lookalike.server.state import Rows, State

# What a grid needs to show an item.
CARD_COLUMNS = ("id", "label", "width", "height", "sha256")
# Where the collection keeps the thumbnail is no one else's business.
HIDDEN_COLUMNS = ("thumb_offset", "thumb_size")


def live_of(request: Request) -> LiveCollection:
    """The collection that the path names; the `Problem` unknown-collection where none has the name."""
    return named(request, request.path_params["c"])


def named(request: Request, name: str) -> LiveCollection:
    served: Mapping[str, LiveCollection] = request.app.state.collections
    if name not in served:
        raise Problem("unknown-collection", f"{name!r} is not served; known: {', '.join(served)}")
    return served[name]


def matching(state: State, where: str | None) -> Rows:
    """The rows for which a condition holds; one that cannot be is a `Problem` of the field `where`."""
    try:
        return state.matching(where)
    except QueryError as error:
        extra = {"hint": error.hint} if error.hint else {}
        raise Problem("bad-condition", error.message, **extra, field="where") from None


def asked_condition(request: Request) -> str | None:
    """The condition in the query string, if there is one."""
    return condition(request.query_params.get("where"), MAX_ADDRESS_CONDITION_LENGTH)


def cards(state: State, rows: Sequence[int] | Rows, more: Iterable[str] = ()) -> list[dict[str, Any]]:
    """What a grid needs of these rows, and `more` columns; `v` is the version of the picture."""
    return [card(row) for row in state.columns(rows, [*CARD_COLUMNS, *more])]


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
