"""What requests and answers of the API hold, as JSON Schema."""

from __future__ import annotations

from lookalike.search.engine import DEFAULT_K
from lookalike.search.mentions import ORIGINS
from lookalike.search.refine import MOST_MARKS
from lookalike.search.thumbs import WAYS
from lookalike.server.clip_retrieval import DEFAULT_RESULTS, MAX_PICTURES
from lookalike.server.json_schema import (
    BASE64,
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    Schema,
    closed,
    list_of,
    object_of,
    or_null,
    ref,
    whole,
)
from lookalike.server.problems import KINDS
from lookalike.server.queries import (
    MAX_CONDITION_LENGTH,
    MAX_K,
    MAX_QUERIES,
    MAX_TERMS,
    MAX_TEXT_LENGTH,
    MAX_URL_LENGTH,
)
from lookalike.server.statements import KINDS as MARK_KINDS
from lookalike.server.statements import MAX_IDS, MAX_KIND_LENGTH, MAX_LABEL_LENGTH

WORD_ORIGINS = [*ORIGINS, "model", "guess", "color"]

_CHANCE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_WORDS: Schema = {"type": "string", "maxLength": MAX_TEXT_LENGTH}
_URL: Schema = {"type": "string", "maxLength": MAX_URL_LENGTH}
_VECTOR: Schema = {"type": "array", "items": NUMBER, "minItems": 1}
_NAME: Schema = {"name": TEXT}
_CARD: Schema = {"id": TEXT, "label": or_null(TEXT), "width": COUNT, "height": COUNT, "v": TEXT}


def schemas() -> Schema:
    """Every schema by its name."""
    return {
        **_general(),
        **_items(),
        **_queries(),
        **_hits(),
        **_labels(),
        **_analyses(),
        **_clip_retrieval(),
    }


def _general() -> Schema:
    """What every answer may hold, and which collections there are."""
    return {
        "Problem": object_of(
            {
                "type": {"enum": [f"urn:lookalike:{kind}" for kind in KINDS]},
                "title": TEXT, "status": COUNT, "detail": TEXT,
            },
            {"hint": TEXT, "field": TEXT, "nearest": list_of(TEXT)},
        ),
        "Collection": object_of(
            {
                **_NAME, "count": COUNT, "model": TEXT, "dim": COUNT, "fingerprint": TEXT,
                "labels": {"type": "object", "additionalProperties": COUNT},
                "words": FLAG, "pictures": FLAG, "marks": FLAG,
                "columns": list_of(
                    object_of({**_NAME, "type": {"enum": ["text", "list", "number", "other"]}})
                ),
                "index": {"enum": ["none", "fresh", "stale"]}, "views": list_of(TEXT),
            }
        ),
    }  # fmt: skip


def _items() -> Schema:
    """Items, and the values of their columns."""
    value = object_of({"value": or_null(TEXT), "count": COUNT})
    counted = {"values": list_of(value), "distinct": COUNT}
    edges = {"min": or_null(NUMBER), "max": or_null(NUMBER), "edges": list_of(NUMBER)}
    spread = {**edges, "bins": list_of(COUNT)}
    return {
        "Card": object_of(_CARD),
        "Page": object_of({"total": COUNT, "offset": COUNT, "items": list_of(ref("Card"))}),
        "Facets": object_of(
            {
                "total": COUNT,
                "columns": list_of(
                    {
                        "oneOf": [
                            object_of({**_NAME, "type": {"enum": ["text", "list"]}, **counted}),
                            object_of({**_NAME, "type": {"const": "number"}, **spread}),
                        ]
                    }
                ),
            }
        ),
    }  # fmt: skip


def _queries() -> Schema:
    """What requests ask for."""
    box = {"type": "array", "items": _CHANCE, "minItems": 4, "maxItems": 4}
    weight = {"type": "number", "minimum": -1e6, "maximum": 1e6, "not": {"const": 0}}
    terms = {"type": "array", "items": ref("Term"), "minItems": 1, "maxItems": MAX_TERMS}
    how = {
        "k": {**whole(1, MAX_K), "default": DEFAULT_K},
        "where": or_null({"type": "string", "maxLength": MAX_CONDITION_LENGTH}),
        "include_query": {"type": "boolean", "default": False},
        "min_confidence": {**_CHANCE, "default": 0},
    }
    marks = {name: {**list_of(TEXT), "maxItems": MOST_MARKS} for name in ("like", "unlike")}
    return {
        "Term": {
            "oneOf": [
                closed({"id": TEXT}, {"box": or_null(box), "weight": weight}),
                closed({"image": BASE64}, {"box": or_null(box), "weight": weight}),
                closed({"url": _URL}, {"box": or_null(box), "weight": weight}),
                closed({"text": _WORDS}, {"weight": weight}),
                closed({"vector": _VECTOR}, {"weight": weight}),
                closed({"vector_int8": TEXT}, {"weight": weight}),
            ]
        },
        "Search": {
            "oneOf": [
                closed({"id": TEXT}, {**how, **marks}),
                closed({"query": terms}, {**how, **marks}),
                closed({"queries": {**list_of(terms), "minItems": 1, "maxItems": MAX_QUERIES}}, how),
            ]
        },
        "Embed": {
            "oneOf": [
                closed({"image": BASE64}, {"box": or_null(box)}),
                closed({"url": _URL}, {"box": or_null(box)}),
                closed({"text": _WORDS}),
            ]
        },
    }  # fmt: skip


def _hits() -> Schema:
    """What was found, and what the words of the query meant."""
    counts = {"took_ms": NUMBER, "total": COUNT, "matching": COUNT}
    hits = {"hits": list_of(ref("Hit")), "chance": {"type": "boolean"}, "left_out": COUNT}
    meant = {"words": list_of(ref("Meant")), "refined": {"enum": list(WAYS)}}
    return {
        "Hit": object_of(
            {**_CARD, "score": NUMBER, "confidence": or_null(_CHANCE)}, {"tags": or_null(list_of(TEXT))}
        ),
        "Word": object_of(
            {"word": TEXT, "origin": {"enum": WORD_ORIGINS}, "count": or_null(COUNT), "said": TEXT}
        ),
        "Meant": object_of(
            {"text": TEXT, "words": list_of(ref("Word")), "unknown": list_of(TEXT)}, {"missing": TEXT}
        ),
        "Hits": object_of(hits, meant),
        "Answer": object_of({"query": {"type": "object"}, **counts, **hits}, meant),
        "Answers": object_of({**counts, "results": list_of(ref("Hits"))}),
        "Embedding": object_of(
            {"vector": _VECTOR, "vector_int8": TEXT, "model": TEXT, "dim": COUNT,
             "tags": list_of(object_of({"tag": TEXT, "probability": _CHANCE}))}
        ),
    }  # fmt: skip


def _labels() -> Schema:
    """What a picture may be, and what people say of it."""
    return {
        "Identified": object_of(
            {"label": or_null(TEXT), "probability": _CHANCE, "reason": {"enum": ["", "strange", "unsure"]},
             "likely": list_of(object_of({"label": TEXT, "probability": _CHANCE})),
             "neighbours": list_of(object_of({**_CARD, "score": NUMBER})), "same": or_null(ref("Card")),
             "knows_strangers": FLAG}
        ),
        "Proposals": object_of(
            {"total": COUNT, "offset": COUNT,
             "proposals": list_of(object_of({"item": ref("Card"), "label": TEXT, "probability": _CHANCE}))}
        ),
        "Mark": _mark(),
        "Marked": object_of({"marks": list_of(ref("Mark")), "undo": list_of(ref("Mark")), "tagged": FLAG}),
    }  # fmt: skip


def _analyses() -> Schema:
    """What was derived: groups, duplicates, outliers, the map."""
    return {
        "Clusters": object_of(
            {"method": TEXT, "reason": TEXT, "noise": COUNT, "command": TEXT,
             "clusters": list_of(object_of(
                 {"cluster": COUNT, **_NAME, "tags": list_of(TEXT), "size": COUNT, "cohesion": NUMBER,
                  "medoid": TEXT, "items": list_of(ref("Card"))}
             ))}
        ),
        "Duplicates": object_of(
            {"command": TEXT, "keep": TEXT, "left_out": COUNT, "total": COUNT, "offset": COUNT,
             "tiers": {"type": "object", "additionalProperties": COUNT},
             "groups": list_of(object_of(
                 {"keep": ref("Card"), "kept": FLAG, "why": TEXT,
                  "move": list_of(object_of(
                      {"item": ref("Card"), "tier": TEXT, "reason": TEXT, "not_duplicate": FLAG,
                       "kept": FLAG}
                  ))}
             ))}
        ),
        "Outliers": object_of(
            {"command": TEXT, "k": COUNT, "label": TEXT, "labelled": COUNT,
             "farthest": list_of(object_of({"item": ref("Card"), "distance": NUMBER})),
             "mislabelled": list_of(object_of(
                 {"item": ref("Card"), "label": TEXT, "suggested": TEXT, "share": _CHANCE, "own": _CHANCE}
             ))}
        ),
        "Middle": object_of({"count": COUNT, "vector_int8": TEXT}),
        "Map": object_of({"method": TEXT, "command": TEXT, "count": COUNT, "places": BASE64}),
        "Colors": object_of(
            {"type": {"enum": ["none", "text", "number"]}, "codes": BASE64, "values": list_of(TEXT),
             "min": or_null(NUMBER), "max": or_null(NUMBER)}
        ),
    }  # fmt: skip


def _clip_retrieval() -> Schema:
    """The interface of clip-retrieval."""
    return {
        "KnnRequest": object_of(
            {},
            {
                "text": or_null(_WORDS), "image": or_null(BASE64), "image_url": or_null(_URL),
                "embedding_input": or_null(_VECTOR), "indice_name": or_null(TEXT),
                "modality": {"enum": ["image", "text"]},
                "num_images": {**COUNT, "default": DEFAULT_RESULTS}, "num_result_ids": COUNT,
                "deduplicate": {"type": "boolean"},
            },
        ),
        "Neighbour": object_of(
            {"id": COUNT, "similarity": NUMBER}, {"caption": TEXT, "url": TEXT, "image": BASE64}
        ),
        "MetadataRequest": object_of(
            {"ids": {**list_of(COUNT), "maxItems": MAX_PICTURES}}, {"indice_name": or_null(TEXT)}
        ),
        "Metadata": object_of({"id": COUNT, "metadata": {"type": "object"}}),
    }  # fmt: skip


def _mark() -> Schema:
    """What can be said of pictures; which values a kind takes is said in words."""
    kind = {
        "type": "string", "maxLength": MAX_KIND_LENGTH, "description": f"one of {', '.join(MARK_KINDS)}"
    }  # fmt: skip
    text = {"type": "string", "minLength": 1, "maxLength": MAX_LABEL_LENGTH}
    about = closed({"column": TEXT, "value": TEXT})
    values = [
        FLAG, text, closed({"label": text, "probability": _CHANCE}), closed({"rejected": text}),
        about, {**list_of(about), "minItems": 1}, {"type": "null"},
    ]  # fmt: skip
    ids = {**list_of(TEXT), "maxItems": MAX_IDS, "uniqueItems": True}
    return object_of({"kind": kind, "ids": ids}, {"value": {"anyOf": values}})
