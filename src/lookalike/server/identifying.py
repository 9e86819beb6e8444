"""What a picture shows, by the collection's labels: `/api/{c}/identify` and `/api/{c}/proposals`."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lookalike.learning.identify import identify as identified
from lookalike.learning.identify import learned
from lookalike.search.engine import Engine
from lookalike.search.query import Image, Query, as_query
from lookalike.server.answers import as_json, cards, live_of
from lookalike.server.browsing import asked_page, kept_proposals
from lookalike.server.problems import naming
from lookalike.server.queries import Region, Term, Url, parse_json, parse_term
from lookalike.server.searching import checked_type, embedded, engine_of, in_turn, picture_of
from lookalike.storage.given_labels import LABEL


async def identify(request: Request) -> Response:
    """The label of the picture in the body, or of the term in its JSON, or that it is unknown."""
    live, kind = live_of(request), checked_type(request)
    column = request.query_params.get("label", LABEL)
    async with request.app.state.bodies.read(request) as body:
        term: Term = Image(body)
        if kind == "application/json":
            term, _ = parse_term(parse_json(body), "the body")
        async with request.app.state.pictures.fetched([((term, 1.0),)]) as queries:
            engine = await engine_of(request, live)
            (query,) = await embedded(request, engine, queries)
            return await in_turn(request, lambda: _answer(engine, query, column, queries[0][0][0]))


async def waiting(request: Request) -> Response:
    """`GET /api/{c}/proposals`: the labels that wait for a person to confirm them, surest first."""
    live, column = live_of(request), request.query_params.get("label", LABEL)
    offset, limit = asked_page(request)
    engine = await engine_of(request, live)
    return await in_turn(request, lambda: _waiting(engine, column, offset, limit))


def _picture(engine: Engine, term: Term) -> Query:
    """A term as a query, the part of an item's picture as a picture."""
    match term:
        case Region(id_, box):
            return as_query(Image(picture_of(engine, id_), box))
        case Url():
            raise AssertionError("a URL is fetched before anything is identified")
    return as_query(term)


def _waiting(engine: Engine, column: str, offset: int, limit: int) -> Response:
    found = kept_proposals(engine, column)
    some = found[offset : offset + limit]
    shown = [
        {"item": item, "label": one.label, "probability": one.probability}
        for item, one in zip(
            cards(engine, engine.snapshot.rows_of(one.id for one in some)), some, strict=True
        )
    ]
    return as_json({"total": len(found), "offset": offset, "proposals": shown})


def _answer(engine: Engine, query: Query, column: str, term: Term) -> Response:
    with naming("label"):
        knowing = learned(engine, column)
    (found,) = identified(engine, [query], lambda: knowing, [_picture(engine, term)])
    near = cards(engine, found.neighbours.rows)
    scores = [round(score, 6) for score in found.neighbours.scores.tolist()]
    answer: dict[str, Any] = found.as_dict()
    answer["neighbours"] = [{**one, "score": score} for one, score in zip(near, scores, strict=True)]
    same = engine.snapshot.rows_of([found.same] if found.same else [])
    answer["same"] = next(iter(cards(engine, same)), None)
    return as_json(answer)
