"""Search, and the vectors to search with: `POST /api/{c}/search` and `POST /api/{c}/embed`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lookalike.images.limit import MAX_MEGAPIXELS
from lookalike.images.picture import Pixels
from lookalike.models.model import unit
from lookalike.search.engine import DEFAULT_K, Engine
from lookalike.search.query import Floats, Id, Image, Query, Text, Vector, as_item
from lookalike.search.refine import refined_direction
from lookalike.search.results import FIRST_HITS, WEAK, Results
from lookalike.server.answers import as_json, asked_condition, cards, live_of, matching, whole_row
from lookalike.server.bodies import content_type
from lookalike.server.browsing import original
from lookalike.server.live import Served, thumbnail
from lookalike.server.metrics import Metrics
from lookalike.server.patience import attended
from lookalike.server.problems import Problem
from lookalike.server.queries import (
    MAX_K,
    Region,
    Sum,
    Term,
    Url,
    int8_text,
    parse_json,
    parse_search,
    parse_term,
    whole,
)
from lookalike.server.queries import Request as Search
from lookalike.server.workers import Result, Workers

_BODY_TYPES = ("application/json", "application/octet-stream")
_TAKEN = "image/*, application/octet-stream or application/json"


async def search(request: Request) -> Response:
    """The items most like the picture in the body, or the sums of terms in its JSON."""
    live, kind = live_of(request), checked_type(request)
    k = whole(request.query_params.get("k", DEFAULT_K), "k", 1, MAX_K)
    where = asked_condition(request)
    async with request.app.state.bodies.read(request) as body:
        if kind == "application/json":
            wanted = parse_search({"k": k, "where": where, **parse_json(body)})
        else:
            wanted = Search((((Image(body), 1.0),),), k, where)
        async with request.app.state.pictures.fetched(wanted.queries) as queries:
            wanted, engine = replace(wanted, queries=queries), await engine_of(request, live)
            sums = await embedded(request, engine, queries)
            return await in_turn(request, lambda: _search(engine, wanted, sums, request.app.state.metrics))


async def embed(request: Request) -> Response:
    """The vector of the picture in the body, or of the picture or the words in its JSON."""
    live, kind = live_of(request), checked_type(request)
    async with request.app.state.bodies.read(request) as body:
        term: Term = Image(body)
        if kind == "application/json":
            term, _ = parse_term(parse_json(body), "the body")
            if not isinstance(term, Image | Text | Url):
                raise Problem("bad-parameter", "what is embedded is an image or text", field="image")
        async with request.app.state.pictures.fetched([((term, 1.0),)]) as (((term, _),),):
            engine = await engine_of(request, live)
            features = await picture_features(request, engine, term) if isinstance(term, Image) else None
            return await in_turn(request, lambda: _embedding(engine, term, features))


async def engine_of(request: Request, live: Served) -> Engine:
    """The engine of the newest state of a collection."""
    found = live.engine_at_hand()
    return found if found else await in_turn(request, live.engine)


async def in_turn(request: Request, work: Callable[[], Result]) -> Result:
    """Do the work in a thread when its turn comes."""
    workers: Workers = request.app.state.workers
    async with attended(request):
        return await workers.run(work)


def checked_type(request: Request) -> str:
    """The type of a body that may be a picture or JSON; any other is a `Problem`."""
    kind = content_type(request)
    if kind not in _BODY_TYPES and not kind.startswith("image/"):
        # Other pages may send text and forms unasked, and bodies without a type, but not these.
        raise Problem("unsupported-type", f"the Content-Type is {kind!r}; send {_TAKEN}")
    return kind


def _search(engine: Engine, wanted: Search, sums: Sequence[Query], metrics: Metrics) -> Response:
    started = time.perf_counter()
    # A condition that cannot be is a problem of its own.
    count = len(engine) if wanted.where is None else len(matching(engine, wanted.where))
    found = _find(engine, wanted, sums, metrics)
    took_ms = round((time.perf_counter() - started) * 1000, 2)
    answer: dict[str, Any] = {"took_ms": took_ms, "total": len(engine), "matching": count}
    if wanted.batch:
        return as_json({**answer, "results": found})
    return as_json({"query": _described(engine, wanted.queries[0]), **answer, **found[0]})


def _find(engine: Engine, wanted: Search, sums: Sequence[Query], metrics: Metrics) -> list[dict[str, Any]]:
    """The hits of each query, as cards with scores."""
    likes, unlikes = ([as_item(id_) for id_ in ids] for ids in (wanted.like, wanted.unlike))
    directions = [
        refined_direction(engine, one, likes, unlikes) if likes or unlikes else engine.direction(one)
        for one in sums
    ]
    marked = set(engine.snapshot.rows_of((*wanted.like, *wanted.unlike)).tolist())
    asked = [_rows_in(engine, query) | marked for query in wanted.queries]
    hidden: list[set[int]] = [set() for _ in asked] if wanted.include_query else asked
    mask = engine.allowed(wanted.where, None)
    with metrics.step("search"):
        found = engine.find(
            directions, wanted.k, mask=mask, hidden=hidden, min_confidence=wanted.min_confidence
        )
    left_out = [len(rows) if mask is None else int(mask[list(rows)].sum()) for rows in hidden]
    with metrics.step("metadata"):
        return [
            {**_hits(engine, results, own), "left_out": count}
            for results, own, count in zip(found, asked, left_out, strict=True)
        ]


def _hits(engine: Engine, results: Results, asked: set[int]) -> dict[str, Any]:
    """The hits of a query; `chance` is true if the surest of ten, without the query's own, is weak."""
    confidences: list[float | None] = [None] * len(results)
    if results.confidences is not None:
        confidences = results.confidences.round(4).tolist()
    said: dict[str, Any] = {"words": [one.as_dict() for one in results.meant]} if results.meant else {}
    if results.refined:
        said["refined"] = results.refined
    hits = [
        {**one, "score": round(score, 6), "confidence": confidence}
        for one, score, confidence in zip(
            cards(engine, results.rows, ["tags"]), results.scores.tolist(), confidences, strict=True
        )
    ]
    others = (one for row, one in zip(results.rows.tolist(), confidences, strict=True) if row not in asked)
    best = max((one for one in islice(others, FIRST_HITS) if one is not None), default=None)
    return {"hits": hits, "chance": best is not None and best < WEAK, **said}


async def embedded(request: Request, engine: Engine, queries: Sequence[Sum]) -> list[Query]:
    """The queries with their pictures replaced by vectors."""
    return [
        Query(tuple([(await _without_picture(request, engine, term), weight) for term, weight in query]))
        for query in queries
    ]


async def _without_picture(request: Request, engine: Engine, term: Term) -> Id | Text | Vector:
    match term:
        case Image() | Region():
            return Vector(unit(await picture_features(request, engine, term))[0])
        case Id() | Text() | Vector():
            return term
        case Url():
            raise AssertionError("a URL is fetched before it is a term of a sum")


async def picture_features(request: Request, engine: Engine, picture: Image | Region) -> Floats:
    """The model's features for a picture or its box: float32 (1, D), not of unit length."""
    workers: Workers = request.app.state.workers
    metrics: Metrics = request.app.state.metrics
    limit: float = request.app.state.max_megapixels
    pixels = await workers.run(lambda: _pixels(engine, picture, metrics, limit))
    with metrics.step("embed"):
        return await workers.features(engine.snapshot.model, pixels)


def _pixels(engine: Engine, picture: Image | Region, metrics: Metrics, max_megapixels: float) -> Pixels:
    """The part that the model sees; the limit applies to uploaded pictures, not to the collection's."""
    model = engine.snapshot.model
    if isinstance(picture, Image):
        data, limit = picture.image, max_megapixels
    else:
        data, limit = picture_of(engine, picture.id), MAX_MEGAPIXELS
    with metrics.step("decode"):
        return model.pixels(data, picture.box, max_megapixels=limit)


def picture_of(engine: Engine, id_: str) -> bytes:
    """The original of an item if available, else the thumbnail."""
    data = original(engine.snapshot, whole_row(engine, id_)) or thumbnail(engine.snapshot, id_)[1]
    if not data:
        raise Problem("unknown-path", f"the item {id_!r} has no picture")
    return data


def _rows_in(engine: Engine, query: Sum) -> set[int]:
    return {engine.snapshot.row_of(term.id) for term, _ in query if isinstance(term, Id | Region)}


def _described(engine: Engine, query: Sum) -> dict[str, Any]:
    """The query: the item or picture of a single term, else a list of all terms."""
    described = [
        {**_term(engine, term), **({"weight": weight} if weight != 1 else {})} for term, weight in query
    ]
    return described[0] if len(described) == 1 else {"terms": described}


def _term(engine: Engine, term: Term) -> dict[str, Any]:
    match term:
        case Id():
            return cards(engine, [engine.snapshot.row_of(term.id)])[0]
        case Region():
            return {**cards(engine, [engine.snapshot.row_of(term.id)])[0], "box": term.box}
        case Image(image, box):
            assert isinstance(image, bytes)
            about = {"bytes": len(image), "sha256": hashlib.sha256(image).hexdigest()}
            return {**about, "box": box} if box else about
        case Text():
            return {"text": term.text}
        case Vector():
            return {"dim": len(term.values)}
        case Url():
            raise AssertionError("a URL is fetched before it is a term of a sum")


def _embedding(engine: Engine, term: Term, features: Floats | None) -> Response:
    model = engine.snapshot.model
    tags: list[tuple[str, float]] = []
    if features is not None:
        vector = unit(features)[0]
        (tags,) = model.tags(features) if model.tags else [[]]
    else:
        assert isinstance(term, Text)
        vector = engine.meant(term.text).vector
        if not vector.any():
            raise Problem("bad-parameter", "a colour has no vector", field="text")
    return as_json(
        {
            "vector": [round(one, 7) for one in vector.tolist()],
            "vector_int8": int8_text(vector),
            "model": model.name,
            "dim": model.dim,
            "tags": [{"tag": tag, "probability": round(chance, 4)} for tag, chance in tags],
        }
    )
