"""The OpenAPI 3.1 description of the API, kept by hand; a test compares it with the routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lookalike import __version__
from lookalike.search.engine import DEFAULT_K
from lookalike.search.mentions import ORIGINS
from lookalike.search.refine import MOST_MARKS
from lookalike.search.thumbs import WAYS
from lookalike.server.answers import as_json
from lookalike.server.browsing import DEFAULT_PAGE, MAX_PAGE
from lookalike.server.clip_retrieval import DEFAULT_RESULTS, MAX_PICTURES
from lookalike.server.marking import KINDS as MARK_KINDS
from lookalike.server.problems import KINDS
from lookalike.server.queries import (
    MAX_ADDRESS_CONDITION_LENGTH,
    MAX_CONDITION_LENGTH,
    MAX_K,
    MAX_QUERIES,
    MAX_TERMS,
    MAX_TEXT_LENGTH,
    MAX_URL_LENGTH,
)
from lookalike.server.views import DUPLICATE_TIERS, MAX_CARDS

Schema = dict[str, Any]

WORD_ORIGINS = [*ORIGINS, "model", "guess", "color"]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
BASE64: Schema = {"type": "string", "contentEncoding": "base64"}


def openapi(request: Request) -> Response:
    """`GET /openapi.json`."""
    return as_json(description(list(request.app.state.collections)))


def description(collections: Sequence[str]) -> Schema:
    """The whole description, for a server of these collections."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lookalike",
            "version": __version__,
            "description": "Visual search in collections. Errors are problem details (RFC 9457).",
        },
        "paths": _paths(collections),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _paths(collections: Sequence[str]) -> Schema:
    c = _parameter("c", "path", {"type": "string", "enum": collections}, "the name of a collection")
    id_ = _parameter("id", "path", TEXT, "an item's id, percent-encoded")
    where = _parameter("where", "query", _SHORT, "an SQL condition over the columns, such as label = 'roses'")
    v = _parameter("v", "query", TEXT, "the start of the item's sha256: the answer is kept for a year")
    start = _parameter("start", "query", TEXT, "the letters that the words begin with")
    offset = _parameter("offset", "query", COUNT, "how many to skip")
    limit = _parameter("limit", "query", _whole(1, MAX_PAGE), f"how many, {DEFAULT_PAGE} by default")
    k = _parameter("k", "query", _whole(1, MAX_K), f"how many hits, {DEFAULT_K} by default")
    tier = _parameter(
        "tier", "query", {"enum": list(DUPLICATE_TIERS)}, "only groups with a pair in this tier"
    )
    column = _parameter("column", "query", TEXT, "the column to colour by; without it, all have one colour")
    rows = _parameter("rows", "query", TEXT, f"numbers of items, such as 0,17,4; at most {MAX_CARDS}")
    rows["required"] = True
    label = _parameter("label", "query", TEXT, "the column of labels; label by default")
    jpeg, any_picture = _content("image/jpeg", {}), _content("image/*", {})
    return {
        "/api/collections": {"get": _operation("What is served", "collections", _list(_ref("Collection")))},
        "/api/{c}/items": {
            "get": _operation("Items in their order", "items", _ref("Page"), [c, offset, limit, where])
        },
        "/api/{c}/items/{id}": {
            "get": _operation("All columns of an item", "item", {"type": "object"}, [c, id_])
        },
        "/api/{c}/thumbnails/{id}": {
            "get": _operation("The thumbnail of an item", "thumbnail", jpeg, [c, id_, v])
        },
        "/api/{c}/images/{id}": {
            "get": _operation("The original of an item, if it is there", "image", any_picture, [c, id_, v])
        },
        "/api/{c}/words": {
            "get": _operation("Words to search for", "words", _list(_ref("Word")), [c, start])
        },
        "/api/{c}/facets": {
            "get": _operation("The values of the columns", "facets", _ref("Facets"), [c, where])
        },
        "/api/{c}/clusters": {
            "get": _operation("Groups of items that are alike", "clusters", _ref("Clusters"), [c])
        },
        "/api/{c}/duplicates": {
            "get": _operation(
                "Duplicates", "duplicates", _ref("Duplicates"), [c, tier, offset, limit]
            )
        },
        "/api/{c}/outliers": {
            "get": _operation("Outliers and likely label errors", "outliers", _ref("Outliers"), [c])
        },
        "/api/{c}/middle": {
            "get": _operation("The mean vector of items", "middle", _ref("Middle"), [c, where])
        },
        "/api/{c}/map": {"get": _operation("Every item placed in the plane", "map", _ref("Map"), [c])},
        "/api/{c}/map/colors": {
            "get": _operation("A colour for every item", "mapColors", _ref("Colors"), [c, column, where])
        },
        "/api/{c}/map/cards": {
            "get": _operation("Items by their numbers", "mapCards", _list(_ref("Card")), [c, rows])
        },
        "/api/{c}/marks": {
            "post": _operation(
                "Say something of pictures, or take it back", "marks", _ref("Mark"), [c],
                {"application/json": _ref("Mark")},
            )
        },
        "/api/{c}/search": {
            "post": _operation(
                "The items most like a query",
                "search",
                {"anyOf": [_ref("Answer"), _ref("Answers")]},
                [c, k, where],
                {"application/json": _ref("Search"), **_PICTURE},
            )
        },
        "/api/{c}/embed": {
            "post": _operation(
                "The vector of a picture or of words", "embed", _ref("Embedding"), [c],
                {"application/json": _ref("Embed"), **_PICTURE},
            )
        },
        "/api/{c}/identify": {
            "post": _operation(
                "The label of a picture, or that it is unknown", "identify", _ref("Identified"), [c, label],
                {"application/json": _ref("Term"), **_PICTURE},
            )
        },
        "/indices-list": {
            "get": _operation("clip-retrieval: the collections", "indicesList", _list(TEXT)),
            "post": _operation("clip-retrieval: the same", "indicesListPosted", _list(TEXT)),
        },
        "/knn-service": {
            "post": _operation(
                "clip-retrieval: the nearest rows", "knnService", _list(_ref("Neighbour")),
                body={"application/json": _ref("KnnRequest")},
            )
        },
        "/metadata": {
            "post": _operation(
                "clip-retrieval: the metadata of rows", "metadata", _list(_ref("Metadata")),
                body={"application/json": _ref("MetadataRequest")},
            )
        },
        "/metrics": {"get": _operation("Figures for Prometheus", "metrics", _content("text/plain", TEXT))},
        "/healthz": {"get": _operation("Whether the server answers", "health", _content("text/plain", TEXT))},
    }  # fmt: skip


_WHERE: Schema = {"type": "string", "maxLength": MAX_CONDITION_LENGTH}
_SHORT: Schema = {"type": "string", "maxLength": MAX_ADDRESS_CONDITION_LENGTH}
_PICTURE: Schema = {"application/octet-stream": {"type": "string", "format": "binary"}}


def _schemas() -> Schema:
    box = {
        "type": "array",
        "items": {"type": "number", "minimum": 0, "maximum": 1},
        "minItems": 4,
        "maxItems": 4,
    }
    k, chance = _whole(1, MAX_K), {"type": "number", "minimum": 0, "maximum": 1}
    terms = {"type": "array", "items": _ref("Term"), "minItems": 1, "maxItems": MAX_TERMS}
    how = {
        "k": {**k, "default": DEFAULT_K},
        "where": _or_null(_WHERE),
        "include_query": {"type": "boolean", "default": False},
        "min_confidence": {**chance, "default": 0},
    }
    vector = {"type": "array", "items": NUMBER, "minItems": 1}
    words = {"type": "string", "maxLength": MAX_TEXT_LENGTH}
    url = {"type": "string", "maxLength": MAX_URL_LENGTH}
    weight = {"type": "number", "minimum": -1e6, "maximum": 1e6, "not": {"const": 0}}
    size = {"width": COUNT, "height": COUNT}
    card = {"id": TEXT, "label": _or_null(TEXT), **size, "v": TEXT}
    value = _object({"value": _or_null(TEXT), "count": COUNT})
    counted = {"values": _list(value), "distinct": COUNT}
    edges = {"min": _or_null(NUMBER), "max": _or_null(NUMBER), "edges": _list(NUMBER)}
    spread = {**edges, "bins": _list(COUNT)}
    name = {"name": TEXT}
    counts = {"took_ms": NUMBER, "total": COUNT, "matching": COUNT}
    hits = {"hits": _list(_ref("Hit")), "chance": {"type": "boolean"}, "left_out": COUNT}
    meant = {"words": _list(_ref("Meant")), "refined": {"enum": list(WAYS)}}
    marks = {name: {**_list(TEXT), "maxItems": MOST_MARKS} for name in ("like", "unlike")}
    return {
        "Problem": _object(
            {
                "type": {"enum": [f"urn:lookalike:{kind}" for kind in KINDS]},
                "title": TEXT, "status": COUNT, "detail": TEXT,
            },
            {"hint": TEXT, "field": TEXT, "nearest": _list(TEXT)},
        ),
        "Collection": _object(
            {
                **name, "count": COUNT, "model": TEXT, "dim": COUNT, "fingerprint": TEXT,
                "labels": {"type": "object", "additionalProperties": COUNT},
                "words": {"type": "boolean"}, "pictures": {"type": "boolean"},
                "columns": _list(_object({**name, "type": {"enum": ["text", "list", "number", "other"]}})),
                "index": {"enum": ["none", "fresh", "stale"]}, "views": _list(TEXT),
            }
        ),
        "Card": _object(card),
        "Page": _object({"total": COUNT, "offset": COUNT, "items": _list(_ref("Card"))}),
        "Hit": _object(
            {**card, "score": NUMBER, "confidence": _or_null(chance)}, {"tags": _or_null(_list(TEXT))}
        ),
        "Term": {
            "oneOf": [
                _closed({"id": TEXT}, {"box": _or_null(box), "weight": weight}),
                _closed({"image": BASE64}, {"box": _or_null(box), "weight": weight}),
                _closed({"url": url}, {"box": _or_null(box), "weight": weight}),
                _closed({"text": words}, {"weight": weight}),
                _closed({"vector": vector}, {"weight": weight}),
                _closed({"vector_int8": TEXT}, {"weight": weight}),
            ]
        },
        "Search": {
            "oneOf": [
                _closed({"id": TEXT}, {**how, **marks}),
                _closed({"query": terms}, {**how, **marks}),
                _closed({"queries": {**_list(terms), "minItems": 1, "maxItems": MAX_QUERIES}}, how),
            ]
        },
        "Word": _object(
            {"word": TEXT, "origin": {"enum": WORD_ORIGINS}, "count": _or_null(COUNT), "said": TEXT}
        ),
        "Meant": _object({"text": TEXT, "words": _list(_ref("Word")), "unknown": _list(TEXT)}),
        "Hits": _object(hits, meant),
        "Answer": _object({"query": {"type": "object"}, **counts, **hits}, meant),
        "Answers": _object({**counts, "results": _list(_ref("Hits"))}),
        "Embed": {
            "oneOf": [
                _closed({"image": BASE64}, {"box": _or_null(box)}),
                _closed({"url": url}, {"box": _or_null(box)}),
                _closed({"text": words}),
            ]
        },
        "Embedding": _object(
            {"vector": vector, "vector_int8": TEXT, "model": TEXT, "dim": COUNT,
             "tags": _list(_object({"tag": TEXT, "probability": chance}))}
        ),
        "Identified": _object(
            {"label": _or_null(TEXT), "probability": chance, "reason": {"enum": ["", "strange", "unsure"]},
             "likely": _list(_object({"label": TEXT, "probability": chance})),
             "neighbours": _list(_object({**card, "score": NUMBER}))}
        ),
        "Facets": _object(
            {
                "total": COUNT,
                "columns": _list(
                    {
                        "oneOf": [
                            _object({**name, "type": {"enum": ["text", "list"]}, **counted}),
                            _object({**name, "type": {"const": "number"}, **spread}),
                        ]
                    }
                ),
            }
        ),
        "Clusters": _object(
            {"method": TEXT, "reason": TEXT, "noise": COUNT, "command": TEXT,
             "clusters": _list(_object(
                 {"cluster": COUNT, **name, "tags": _list(TEXT), "size": COUNT, "cohesion": NUMBER,
                  "medoid": TEXT, "items": _list(_ref("Card"))}
             ))}
        ),
        "Duplicates": _object(
            {"command": TEXT, "keep": TEXT, "left_out": COUNT, "total": COUNT, "offset": COUNT,
             "tiers": {"type": "object", "additionalProperties": COUNT},
             "groups": _list(_object(
                 {"keep": _ref("Card"), "kept": FLAG, "why": TEXT,
                  "move": _list(_object(
                      {"item": _ref("Card"), "tier": TEXT, "reason": TEXT, "not_duplicate": FLAG,
                       "kept": FLAG}
                  ))}
             ))}
        ),
        "Mark": _object(
            {"kind": {"enum": list(MARK_KINDS)}, "ids": _list(TEXT), "value": {"enum": [True, None]}}
        ),
        "Outliers": _object(
            {"command": TEXT, "k": COUNT, "label": TEXT, "labelled": COUNT,
             "farthest": _list(_object({"item": _ref("Card"), "distance": NUMBER})),
             "mislabelled": _list(_object(
                 {"item": _ref("Card"), "label": TEXT, "suggested": TEXT, "share": chance, "own": chance}
             ))}
        ),
        "Middle": _object({"count": COUNT, "vector_int8": TEXT}),
        "Map": _object({"method": TEXT, "command": TEXT, "count": COUNT, "places": BASE64}),
        "Colors": _object(
            {"type": {"enum": ["none", "text", "number"]}, "codes": BASE64, "values": _list(TEXT),
             "min": _or_null(NUMBER), "max": _or_null(NUMBER)}
        ),
        "KnnRequest": _object(
            {},
            {
                "text": _or_null(words), "image": _or_null(BASE64), "image_url": _or_null(url),
                "embedding_input": _or_null(vector), "indice_name": _or_null(TEXT),
                "modality": {"enum": ["image", "text"]},
                "num_images": {**COUNT, "default": DEFAULT_RESULTS}, "num_result_ids": COUNT,
                "deduplicate": {"type": "boolean"},
            },
        ),
        "Neighbour": _object(
            {"id": COUNT, "similarity": NUMBER}, {"caption": TEXT, "url": TEXT, "image": BASE64}
        ),
        "MetadataRequest": _object(
            {"ids": {**_list(COUNT), "maxItems": MAX_PICTURES}}, {"indice_name": _or_null(TEXT)}
        ),
        "Metadata": _object({"id": COUNT, "metadata": {"type": "object"}}),
    }  # fmt: skip


def _operation(
    summary: str,
    name: str,
    answer: Schema,
    parameters: Sequence[Schema] = (),
    body: Mapping[str, Schema] | None = None,
) -> Schema:
    """An operation with one kind of answer, JSON by default, and problems for everything else."""
    content = answer if "content" in answer else _content("application/json", answer)
    problem = _content("application/problem+json", _ref("Problem"))
    operation: Schema = {
        "summary": summary,
        "operationId": name,
        "responses": {
            "200": {"description": summary, **content},
            "default": {"description": "What went wrong", **problem},
        },
    }
    if parameters:
        operation["parameters"] = list(parameters)
    if body:
        operation["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": schema} for kind, schema in body.items()},
        }
    return operation


def _content(kind: str, schema: Schema) -> Schema:
    return {"content": {kind: {"schema": schema}}}


def _parameter(name: str, place: str, schema: Schema, about: str) -> Schema:
    return {"name": name, "in": place, "required": place == "path", "description": about, "schema": schema}


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required)}


def _closed(required: Schema, optional: Schema | None = None) -> Schema:
    """An object that may not have other fields."""
    return {**_object(required, optional), "additionalProperties": False}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _whole(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
