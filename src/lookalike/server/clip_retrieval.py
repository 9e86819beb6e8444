"""clip-retrieval's interface, so that its client and its front end work with Lookalike unchanged.

Names and shapes are those of `clip_retrieval/clip_back.py`: `/indices-list`, `/knn-service`, `/metadata`. An
id is a row number. Both clients send JSON without a content type, so the type is not checked; other web
pages are kept out by their Origin. A collection has one vector for each item, so `modality` makes no
difference; it has no safety or aesthetics models, so options for these are ignored.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from lookalike.search.engine import Engine
from lookalike.search.query import Floats
from lookalike.server.answers import as_json, details, named
from lookalike.server.live import Served, thumbnail
from lookalike.server.metrics import Metrics
from lookalike.server.problems import Problem
from lookalike.server.queries import Term, parse_json, parse_term, whole
from lookalike.server.searching import embedded, engine_of, in_turn

MAX_RESULTS, MAX_PICTURES, DEFAULT_RESULTS = 3000, 1000, 100
_COLUMNS = ("url", "caption", "NSFW")
# request field -> kind of term; the first one present counts.
_KINDS = {"text": "text", "image": "image", "image_url": "url", "embedding_input": "vector"}
_SAME = 0.94


async def indices_list(request: Request) -> Response:
    """`/indices-list`: the names of the collections."""
    return as_json(list(request.app.state.collections))


async def knn_service(request: Request) -> Response:
    """`POST /knn-service`: rows with `id` and `similarity`, and metadata for the first `num_images`."""
    async with request.app.state.bodies.read(request) as body:
        fields = parse_json(body)
        term, live = _term(fields), _live(request, fields)
        shown = min(whole(fields.get("num_images", DEFAULT_RESULTS), "num_images", 0, None), MAX_PICTURES)
        most = min(whole(fields.get("num_result_ids", shown), "num_result_ids", 0, None), MAX_RESULTS)
        metrics: Metrics = request.app.state.metrics

        def work() -> Response:
            vector = engine.direction(query).vector
            if not vector.any():
                raise Problem("bad-parameter", "a colour has no vector", field="text")
            with metrics.step("search"):
                ((rows, scores),) = engine.nearest([vector], most)
            if fields.get("deduplicate"):
                places = _distinct(engine.vectors_at(rows))
                rows, scores = rows[places], scores[places]
            with metrics.step("metadata"):
                about = _metadata(engine, rows[:shown].tolist())
            found = [
                {"id": row, "similarity": score}
                for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
            ]
            described = [{**meta, **hit} for meta, hit in zip(about, found, strict=False)]
            return as_json(described + found[len(described) :])

        async with request.app.state.pictures.fetched([((term, 1.0),)]) as queries:
            engine = await engine_of(request, live)
            (query,) = await embedded(request, engine, queries)
            return await in_turn(request, work)


async def metadata(request: Request) -> Response:
    """`POST /metadata`: an object with `id` and `metadata` for each of `ids`."""
    async with request.app.state.bodies.read(request) as body:
        fields = parse_json(body)
        ids = fields.get("ids")
        if not isinstance(ids, list) or len(ids) > MAX_PICTURES:
            raise Problem("bad-parameter", f"ids has to list at most {MAX_PICTURES:,} ids", field="ids")
        live = _live(request, fields)

        def work() -> Response:
            engine = live.engine()
            rows = [whole(id_, "an id", 0, len(engine) - 1) for id_ in ids]
            pairs = zip(rows, _metadata(engine, rows), strict=True)
            return as_json([{"id": row, "metadata": meta} for row, meta in pairs])

        return await in_turn(request, work)


def _live(request: Request, fields: Mapping[str, Any]) -> Served:
    """The collection with the given name, or the first if none is given."""
    name = fields.get("indice_name")
    if name is None:
        name = next(iter(request.app.state.collections))
    if not isinstance(name, str):
        raise Problem("bad-parameter", "indice_name has to be the name of a collection", field="indice_name")
    return named(request, name)


def _term(fields: Mapping[str, Any]) -> Term:
    for field, kind in _KINDS.items():
        if fields.get(field):
            return parse_term({kind: fields[field]}, field)[0]
    raise Problem("bad-parameter", f"give one of {', '.join(_KINDS)}", field="text")


def _metadata(engine: Engine, rows: list[int]) -> list[dict[str, Any]]:
    """The metadata of rows in clip-retrieval's form; without an address, it contains the thumbnail itself."""
    found = []
    snapshot = engine.snapshot
    names = [name for name in ("id", "label", *_COLUMNS) if name in snapshot.schema.names]
    for row in snapshot.records(rows, names):
        about = {
            name: value for name, value in details(row).items() if name in _COLUMNS and value is not None
        }
        about = {"image_path": row["id"], "caption": row["label"] or row["id"], **about}
        if "url" not in about:
            _, jpeg = thumbnail(snapshot, row["id"])
            if jpeg:
                about["image"] = base64.b64encode(jpeg).decode()
        found.append(about)
    return found


def _distinct(vectors: Floats) -> list[int]:
    """Of rows (n, D), best first, keep those without a better one in their group.

    Groups are connected by cosines above 0.94, as in clip-retrieval.
    """
    left = np.arange(len(vectors))
    kept = []
    while len(left):
        kept.append(int(left[0]))
        edge, left = left[:1], left[1:]
        while len(edge) and len(left):
            near = (vectors[left] @ vectors[edge].T > _SAME).any(axis=1)
            edge, left = left[near], left[~near]
    return kept
