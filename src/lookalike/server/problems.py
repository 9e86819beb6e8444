"""What goes wrong, as problem details (RFC 9457): one table of kinds, one answer for each error."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from lookalike.errors import (
    CollectionError,
    ExtraError,
    ImageError,
    LookalikeError,
    ModelError,
    QueryError,
    UnknownIdError,
    UnknownWordError,
)

# kind -> status, title; the kind ends the URI by which a program tells one problem from another.
KINDS = {
    "unknown-path": (404, "There is nothing at this address"),
    "unknown-collection": (404, "There is no such collection"),
    "unknown-item": (404, "There is no such item"),
    "unknown-word": (400, "The model does not know that word"),
    "no-view": (404, "This has not been made for the collection"),
    "stale-view": (409, "This was made from an older state of the collection"),
    "no-original": (404, "The original of this item cannot be had"),
    "wrong-method": (405, "This address does not take this method"),
    "unauthorized": (401, "This server wants a token"),
    "foreign-client": (403, "This server does not answer to other machines"),
    "foreign-origin": (403, "This server does not answer to other sites"),
    "foreign-host": (403, "This server does not answer to that name"),
    "empty-body": (400, "The request has no body"),
    "bad-json": (400, "The body is not the JSON that was expected"),
    "bad-header": (400, "A header of the request makes no sense"),
    "bad-parameter": (400, "A parameter is out of range"),
    "bad-condition": (400, "The condition cannot be applied"),
    "too-slow": (408, "The body did not arrive in time"),
    "too-large": (413, "The body is too large"),
    "unsupported-type": (415, "The body is of a type that is not taken"),
    "not-a-picture": (422, "The body is not a picture that can be read"),
    "not-fetched": (422, "The picture at this URL cannot be fetched"),
    "missing-extra": (501, "This server lacks a library"),
    "other-model": (409, "The model is not the one that made this collection"),
    "busy": (503, "The server has too much to do at the moment"),
    "unreadable-collection": (503, "The collection cannot be read at the moment"),
    "failure": (500, "The server failed"),
}


class Problem(Exception):
    """A request that cannot be answered; `extra` are further members of the answer."""

    def __init__(self, kind: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.extra = kind, detail, extra

    def response(self, headers: dict[str, str] | None = None) -> Response:
        """The answer: `type`, `title`, `status`, `detail`, and perhaps `hint` and `nearest`."""
        status, title = KINDS[self.kind]
        members = {"type": f"urn:lookalike:{self.kind}", "title": title, "status": status}
        body = json.dumps({**members, "detail": self.detail, **self.extra}, ensure_ascii=False)
        # What is quoted from a request may hold halves of characters, which JSON can write and UTF-8 cannot.
        return Response(body.encode(errors="replace"), status, headers, media_type="application/problem+json")


async def on_problem(request: Request, error: Exception) -> Response:
    """The answer to a problem that a route raised."""
    assert isinstance(error, Problem)
    return error.response()


async def on_lookalike_error(request: Request, error: Exception) -> Response:
    """The answer to what the rest of Lookalike reports."""
    assert isinstance(error, LookalikeError)
    extra = {"hint": error.hint} if error.hint else {}
    match error:
        case ImageError():  # its hints are about flags of the command line
            problem = Problem("not-a-picture", error.message)
        case UnknownIdError():
            problem = Problem("unknown-item", error.message, **extra, nearest=error.nearest)
        case UnknownWordError():
            problem = Problem("unknown-word", error.message, **extra, nearest=error.nearest)
        case QueryError():
            problem = Problem("bad-parameter", error.message, **extra)
        case ModelError():
            problem = Problem("other-model", error.message, **extra)
        case ExtraError():
            problem = Problem("missing-extra", error.message, **extra)
        case CollectionError():
            problem = Problem("unreadable-collection", error.message, **extra)
        case _:
            problem = Problem("failure", error.message, **extra)
    return problem.response()


async def on_http_error(request: Request, error: Exception) -> Response:
    """The answer where no route fits: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = dict(error.headers or {})
        detail = f"{request.method} {request.url.path}: allowed is {allowed.get('Allow', 'GET')}"
        return Problem("wrong-method", detail).response(allowed)
    return Problem("unknown-path", f"{request.url.path} is not known").response()


async def on_disconnect(request: Request, error: Exception) -> Response:
    """A client that went away gets no answer; this one is dropped by the server below."""
    assert isinstance(error, ClientDisconnect)
    return Response(status_code=400)


async def on_failure(request: Request, error: Exception) -> Response:
    """The answer to an error nobody foresaw; the traceback goes to the log, not to the client."""
    return Problem("failure", "an error inside the server; its log has the details").response()


HANDLERS: dict[Any, Any] = {
    Problem: on_problem,
    LookalikeError: on_lookalike_error,
    HTTPException: on_http_error,
    ClientDisconnect: on_disconnect,
    Exception: on_failure,
}
