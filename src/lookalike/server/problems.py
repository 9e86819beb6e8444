"""Errors as problem details (RFC 9457): one table of kinds, one answer for each error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
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

# kind -> status, title; the URI ends with the kind, by which programs tell problems apart.
KINDS = {
    "unknown-path": (404, "There is nothing at this address"),
    "unknown-collection": (404, "There is no such collection"),
    "unknown-item": (404, "There is no such item"),
    "unknown-word": (400, "The model does not know that word"),
    "no-view": (404, "This has not been made for the collection"),
    "stale-view": (409, "This was made from an older state of the collection"),
    "no-original": (404, "The original of this item is not available"),
    "wrong-method": (405, "This address does not allow this method"),
    "unauthorized": (401, "This server requires a token"),
    "read-only": (403, "This server keeps nothing that is said"),
    "foreign-client": (403, "This server does not answer other machines"),
    "foreign-origin": (403, "This server does not answer other sites"),
    "foreign-host": (403, "This server does not answer to that name"),
    "empty-body": (400, "The request has no body"),
    "bad-json": (400, "The body is not the JSON that was expected"),
    "bad-header": (400, "A header of the request makes no sense"),
    "bad-parameter": (400, "A parameter is out of range"),
    "bad-condition": (400, "The condition cannot be applied"),
    "too-slow": (408, "The body did not arrive in time"),
    "too-large": (413, "The body is too large"),
    "unsupported-type": (415, "The type of the body is not supported"),
    "not-a-picture": (422, "The body is not a picture that can be read"),
    "not-fetched": (422, "The picture at this URL cannot be fetched"),
    "missing-extra": (501, "This server lacks a library for that"),
    "other-model": (409, "The model is not the one that made this collection"),
    "busy": (503, "The server is too busy at the moment"),
    "ending": (503, "The server is ending"),
    "unreadable-collection": (503, "The collection cannot be read at the moment"),
    "failure": (500, "The server failed"),
}


class Problem(Exception):
    """A request that cannot be answered; `extra` holds further members of the answer."""

    def __init__(self, kind: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.extra = kind, detail, extra

    def response(self, headers: dict[str, str] | None = None) -> Response:
        """The answer: `type`, `title`, `status`, `detail`, and possibly `hint` and `nearest`."""
        status, title = KINDS[self.kind]
        members = {"type": f"urn:lookalike:{self.kind}", "title": title, "status": status}
        body = json.dumps({**members, "detail": self.detail, **self.extra}, ensure_ascii=False)
        # Text quoted from a request may contain lone surrogates, which JSON can write and UTF-8 cannot.
        return Response(body.encode(errors="replace"), status, headers, media_type="application/problem+json")


@contextmanager
def naming(field: str) -> Iterator[None]:
    """Turn an error of the block that has no kind of its own into a `Problem` of a field."""
    try:
        yield
    except LookalikeError as error:
        if type(error) is not LookalikeError:
            raise
        raise Problem("bad-parameter", error.message, field=field) from None


def hint_of(error: LookalikeError) -> dict[str, str]:
    """The hint of an error as a member of the answer; none where it takes Python or the server's machine.

    The arguments that a hint names are fields of the API by the same names.
    """
    if isinstance(error, ExtraError):
        return {"hint": f"install its extra {error.extra} where the server runs"}
    if not error.hint or re.search(r"`[^`]*[(=][^`]*`", error.hint):
        return {}
    return {"hint": error.hint.replace("`", "")}


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer a problem that a route raised."""
    assert isinstance(error, Problem)
    return error.response()


async def on_lookalike_error(request: Request, error: Exception) -> Response:
    """Answer an error from the rest of Lookalike."""
    assert isinstance(error, LookalikeError)
    extra = hint_of(error)
    match error:
        case ImageError():  # its hints are for who reads files, and not for who sends a picture
            problem = Problem("not-a-picture", error.message)
        case UnknownIdError():
            problem = Problem("unknown-item", error.message, **extra, nearest=error.nearest)
        case UnknownWordError():
            problem = Problem("unknown-word", error.message, **extra, nearest=error.nearest)
        case QueryError():
            problem = Problem("bad-parameter", error.message, **extra)
        case ExtraError():
            problem = Problem("missing-extra", error.message, **extra)
        case ModelError():
            problem = Problem("other-model", error.message, **extra)
        case CollectionError():
            problem = Problem("unreadable-collection", error.message, **extra)
        case _:
            problem = Problem("failure", error.message, **extra)
    return problem.response()


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer a request that no route matches: an unknown path, or a wrong method."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = dict(error.headers or {})
        detail = f"{request.method} {request.url.path} is not allowed, use {allowed.get('Allow', 'GET')}"
        return Problem("wrong-method", detail).response(allowed)
    return Problem("unknown-path", f"{request.url.path} is not known").response()


async def on_disconnect(request: Request, error: Exception) -> Response:
    """A client that went away gets no answer; the server below drops this one."""
    assert isinstance(error, ClientDisconnect)
    return Response(status_code=400)


async def on_failure(request: Request, error: Exception) -> Response:
    """Answer an unexpected error; the traceback goes to the log, not to the client."""
    return Problem("failure", "an error inside the server; its log has the details").response()


HANDLERS: dict[Any, Any] = {
    Problem: on_problem,
    LookalikeError: on_lookalike_error,
    HTTPException: on_http_error,
    ClientDisconnect: on_disconnect,
    Exception: on_failure,
}
