"""The OpenAPI 3.1 description of the API, kept by hand; a test compares it with the routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from lookalike import __version__
from lookalike.analysis.tiers import TIERS
from lookalike.search.engine import DEFAULT_K
from lookalike.server.answers import as_json
from lookalike.server.browsing import DEFAULT_PAGE, MAX_PAGE
from lookalike.server.json_schema import COUNT, TEXT, Schema, list_of, ref, whole
from lookalike.server.queries import MAX_ADDRESS_CONDITION_LENGTH, MAX_K
from lookalike.server.schemas import schemas
from lookalike.server.views import MAX_CARDS

_SHORT: Schema = {"type": "string", "maxLength": MAX_ADDRESS_CONDITION_LENGTH}
_PICTURE: Schema = {"application/octet-stream": {"type": "string", "format": "binary"}}


def _parameter(name: str, place: str, schema: Schema, about: str) -> Schema:
    return {"name": name, "in": place, "required": place == "path", "description": about, "schema": schema}


def _content(kind: str, schema: Schema) -> Schema:
    return {"content": {kind: {"schema": schema}}}


_ID = _parameter("id", "path", TEXT, "an item's id, percent-encoded")
_CONDITION = _parameter(
    "where", "query", _SHORT, "an SQL condition over the columns, such as label = 'roses'"
)
_V = _parameter("v", "query", TEXT, "the start of the item's sha256: the answer is kept for a year")
_START = _parameter("start", "query", TEXT, "the letters that the words begin with")
_OFFSET = _parameter("offset", "query", COUNT, "how many to skip")
_LIMIT = _parameter("limit", "query", whole(1, MAX_PAGE), f"how many, {DEFAULT_PAGE} by default")
_K = _parameter("k", "query", whole(1, MAX_K), f"how many hits, {DEFAULT_K} by default")
_TIER = _parameter("tier", "query", {"enum": list(TIERS)}, "only groups with a pair in this tier")
_COLUMN = _parameter("column", "query", TEXT, "the column to colour by; without it, all have one colour")
_ROWS = {
    **_parameter("rows", "query", TEXT, f"numbers of items, such as 0,17,4; at most {MAX_CARDS}"),
    "required": True,
}
_ITEM = {**_parameter("id", "query", TEXT, "the id of an item"), "required": True}
_LABEL = _parameter("label", "query", TEXT, "the column of labels; label by default")
_JPEG, _ANY_PICTURE = _content("image/jpeg", {}), _content("image/*", {})


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
            "schemas": schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _paths(collections: Sequence[str]) -> Schema:
    c = _parameter("c", "path", {"type": "string", "enum": collections}, "the name of a collection")
    return {
        "/api/collections": {"get": _operation("What is served", "collections", list_of(ref("Collection")))},
        **_of_items(c), **_of_queries(c), **_of_views(c), **_of_marks(c), **_of_clip_retrieval(),
        "/metrics": {"get": _operation("Figures for Prometheus", "metrics", _content("text/plain", TEXT))},
        "/healthz": {"get": _operation("Whether the server answers", "health", _content("text/plain", TEXT))},
    }  # fmt: skip


def _of_items(c: Schema) -> Schema:
    """Items, their pictures, and the values of their columns."""
    return {
        "/api/{c}/items": {
            "get": _operation("Items in their order", "items", ref("Page"), [c, _OFFSET, _LIMIT, _CONDITION])
        },
        "/api/{c}/items/{id}": {
            "get": _operation("All columns of an item", "item", {"type": "object"}, [c, _ID])
        },
        "/api/{c}/thumbnails/{id}": {
            "get": _operation("The thumbnail of an item", "thumbnail", _JPEG, [c, _ID, _V])
        },
        "/api/{c}/images/{id}": {
            "get": _operation("The original of an item, if it is there", "image", _ANY_PICTURE, [c, _ID, _V])
        },
        "/api/{c}/facets": {
            "get": _operation("The values of the columns", "facets", ref("Facets"), [c, _CONDITION])
        },
    }  # fmt: skip


def _of_queries(c: Schema) -> Schema:
    """What is asked with a picture or words."""
    return {
        "/api/{c}/words": {
            "get": _operation("Words to search for", "words", list_of(ref("Word")), [c, _START])
        },
        "/api/{c}/search": {
            "post": _operation(
                "The items most like a query",
                "search",
                {"anyOf": [ref("Answer"), ref("Answers")]},
                [c, _K, _CONDITION],
                {"application/json": ref("Search"), **_PICTURE},
            )
        },
        "/api/{c}/embed": {
            "post": _operation(
                "The vector of a picture or of words", "embed", ref("Embedding"), [c],
                {"application/json": ref("Embed"), **_PICTURE},
            )
        },
        "/api/{c}/identify": {
            "post": _operation(
                "The label of a picture, or that it is unknown", "identify", ref("Identified"), [c, _LABEL],
                {"application/json": ref("Term"), **_PICTURE},
            )
        },
    }  # fmt: skip


def _of_views(c: Schema) -> Schema:
    """What was derived of the collection."""
    return {
        "/api/{c}/clusters": {
            "get": _operation("Groups of items that are alike", "clusters", ref("Clusters"), [c])
        },
        "/api/{c}/duplicates": {
            "get": _operation(
                "Duplicates", "duplicates", ref("Duplicates"), [c, _TIER, _OFFSET, _LIMIT]
            )
        },
        "/api/{c}/outliers": {
            "get": _operation("Outliers and likely label errors", "outliers", ref("Outliers"), [c])
        },
        "/api/{c}/middle": {
            "get": _operation("The mean vector of items", "middle", ref("Middle"), [c, _CONDITION])
        },
        "/api/{c}/map": {"get": _operation("Every item placed in the plane", "map", ref("Map"), [c])},
        "/api/{c}/map/colors": {
            "get": _operation("A colour for every item", "mapColors", ref("Colors"), [c, _COLUMN, _CONDITION])
        },
        "/api/{c}/map/cards": {
            "get": _operation("Items by their numbers", "mapCards", list_of(ref("Card")), [c, _ROWS])
        },
    }  # fmt: skip


def _of_marks(c: Schema) -> Schema:
    """What people say of pictures."""
    return {
        "/api/{c}/marks": {
            "get": _operation("What marks say of an item", "marksOf", list_of(ref("Mark")), [c, _ITEM]),
            "post": _operation(
                "Say something of pictures, or take it back", "marks", ref("Marked"), [c],
                {"application/json": {"anyOf": [ref("Mark"), {**list_of(ref("Mark")), "minItems": 1}]}},
            ),
        },
        "/api/{c}/proposals": {
            "get": _operation(
                "Labels that wait to be confirmed", "proposals", ref("Proposals"),
                [c, _LABEL, _OFFSET, _LIMIT],
            )
        },
    }  # fmt: skip


def _of_clip_retrieval() -> Schema:
    """The interface of clip-retrieval."""
    return {
        "/indices-list": {
            "get": _operation("clip-retrieval: the collections", "indicesList", list_of(TEXT)),
            "post": _operation("clip-retrieval: the same", "indicesListPosted", list_of(TEXT)),
        },
        "/knn-service": {
            "post": _operation(
                "clip-retrieval: the nearest rows", "knnService", list_of(ref("Neighbour")),
                body={"application/json": ref("KnnRequest")},
            )
        },
        "/metadata": {
            "post": _operation(
                "clip-retrieval: the metadata of rows", "metadata", list_of(ref("Metadata")),
                body={"application/json": ref("MetadataRequest")},
            )
        },
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
    problem = _content("application/problem+json", ref("Problem"))
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
