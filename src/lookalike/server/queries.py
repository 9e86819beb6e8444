"""Parses requests from JSON to sums of terms; every field is checked, and problems name the field."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lookalike.images.picture import Box
from lookalike.search.engine import DEFAULT_K
from lookalike.search.query import Id, Image, Text, Vector
from lookalike.search.refine import MOST_MARKS
from lookalike.server.problems import Problem

MAX_K = 10_000
MAX_QUERIES, MAX_TERMS, MAX_HITS = 100, 32, 100_000
MAX_CONDITION_LENGTH, MAX_TEXT_LENGTH, MAX_URL_LENGTH = 10_000, 1_000, 4_000
# For conditions in an address: a server reads 64 KiB of it, and a character may take twelve bytes.
MAX_ADDRESS_CONDITION_LENGTH = 4_000


@dataclass(frozen=True, slots=True)
class Region:
    """A part of an item's picture, `box` as in `query.Image`."""

    id: str
    box: Box


@dataclass(frozen=True, slots=True)
class Url:
    """A picture to be fetched; `field` is the request's field that names it."""

    url: str
    box: Box | None
    field: str


Term = Id | Image | Text | Vector | Region | Url
Sum = tuple[tuple[Term, float], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A search: one sum of weighted terms, or several with `batch`."""

    queries: tuple[Sum, ...]
    k: int = DEFAULT_K
    where: str | None = None
    include_query: bool = False
    min_confidence: float = 0.0
    batch: bool = False
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()


def parse_json(body: bytes) -> dict[str, Any]:
    """Parse the JSON object in a body; raises the `Problem` bad-json."""
    fields = parse_any_json(body)
    if not isinstance(fields, dict):
        raise Problem("bad-json", "expected an object")
    return fields


def parse_any_json(body: bytes) -> Any:
    """Parse the JSON in a body; raises the `Problem` bad-json."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem("bad-json", f"the body cannot be parsed: {error}") from None
    if b"\\u" in body and not _is_text(found):
        raise Problem("bad-json", "a text has half of a character in it (a surrogate)")
    return found


def _is_text(fields: Any) -> bool:
    """Whether all texts of a value can be written as UTF-8."""
    try:
        json.dumps(fields, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def parse_search(fields: Mapping[str, Any]) -> Request:
    """Parse a search from its JSON; raises a `Problem` that names the field."""
    _known(fields, "id query queries k where include_query min_confidence like unlike", "the search")
    kinds = [name for name in ("id", "query", "queries") if name in fields]
    if len(kinds) != 1:
        raise Problem(
            "bad-json", 'expected one of "query", "queries" and "id", as in {"query": [{"id": "a.jpg"}]}'
        )
    (kind,) = kinds
    queries: tuple[Sum, ...]
    if kind == "id":
        queries = (parse_sum([{"id": fields["id"]}], "id"),)
    elif kind == "query":
        queries = (parse_sum(fields["query"], "query"),)
    else:
        wanted = _list(fields["queries"], "queries", MAX_QUERIES)
        queries = tuple(parse_sum(one, f"queries[{place}]") for place, one in enumerate(wanted))
    k = whole(fields.get("k", DEFAULT_K), "k", 1, MAX_K)
    if k * len(queries) > MAX_HITS:
        raise _bad("k", f"k times the number of queries is at most {MAX_HITS:,}, not {k * len(queries):,}")
    include = fields.get("include_query", False)
    if not isinstance(include, bool):
        raise _bad("include_query", f"include_query has to be true or false, not {include!r}")
    least = number(fields.get("min_confidence", 0), "min_confidence", 0, 1)
    like, unlike = (_ids(fields.get(name, []), name) for name in ("like", "unlike"))
    if (like or unlike) and kind == "queries":
        raise _bad("like", "marks refine a single query, not several")
    where = condition(fields.get("where"))
    return Request(queries, k, where, include, least, kind == "queries", like, unlike)


def _ids(value: Any, name: str) -> tuple[str, ...]:
    """Check the ids of marks."""
    if not isinstance(value, list) or len(value) > MOST_MARKS:
        raise _bad(name, f"{name} has to be a list of at most {MOST_MARKS} ids, not {_short(value)}")
    return tuple(_text(one, f"{name}[{place}]", None) for place, one in enumerate(value))


def parse_sum(terms: Any, name: str) -> Sum:
    """Parse the weighted terms of one query."""
    wanted = _list(terms, name, MAX_TERMS)
    return tuple(parse_term(term, f"{name}[{place}]") for place, term in enumerate(wanted))


def parse_term(fields: Any, name: str) -> tuple[Term, float]:
    """Parse a term and its weight from an object such as `{"id": "a.jpg", "weight": -0.5}`."""
    if not isinstance(fields, dict):
        raise _bad(name, f'{name} has to be an object like {{"id": "a.jpg"}}, not {_short(fields)}')
    _known(fields, " ".join(_TERMS) + " box weight", name)
    kinds = [kind for kind in _TERMS if kind in fields]
    if len(kinds) != 1:
        raise _bad(name, f"{name} needs exactly one of {', '.join(_TERMS)}, not {', '.join(kinds) or 'none'}")
    weight = number(fields.get("weight", 1), f"{name}.weight", -1e6, 1e6)
    if weight == 0:
        raise _bad(f"{name}.weight", "a weight has to be a number other than 0")
    box = _box(fields.get("box"), f"{name}.box")
    (kind,) = kinds
    if box and kind not in ("id", "image", "url"):
        raise _bad(f"{name}.box", f"a box is a part of a picture, and {kind} is not a picture")
    return _TERMS[kind](fields[kind], box, f"{name}.{kind}"), weight


def condition(value: Any, most: int = MAX_CONDITION_LENGTH) -> str | None:
    """Check an SQL condition of at most `most` characters; None if it is missing or empty."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _bad("where", f"where has to be an SQL condition as text, not {_short(value)}")
    if len(value) > most:
        raise _bad("where", f"the condition has {len(value):,} characters, the limit is {most:,}")
    return value


def whole(value: Any, name: str, low: int, high: int | None) -> int:
    """Check an integer from a query string or JSON; raises a `Problem` if it is not one or out of range."""
    limits = f"from {low:,}" + (f" to {high:,}" if high is not None else "")
    found = value
    if isinstance(value, str) and value.isascii() and len(value) < 18:
        found = int(value) if value.removeprefix("-").isdigit() else value
    if isinstance(found, float) and found.is_integer():  # JSON has only one kind of number
        found = int(found)
    if type(found) is not int or found < low or (high is not None and found > high):
        raise _bad(name, f"{name} has to be a whole number {limits}, not {_short(value)}")
    return found


def number(value: Any, name: str, low: float, high: float) -> float:
    """Check a number from JSON against limits."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise _bad(name, f"{name} has to be a number from {low:g} to {high:g}, not {_short(value)}")
    return float(value)


def picture_bytes(value: Any, name: str) -> bytes:
    """Decode a picture from base64 or a data URL."""
    text = _text(value, name, None)
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _bad(name, f"{name} is not valid base64") from None


def int8_text(vector: Any) -> str:
    """A vector as base64url of int8 (D,): its direction to a hundredth, in 1.7 kB for 1,280 dimensions."""
    scaled = np.rint(np.asarray(vector, np.float32) * (127 / float(np.abs(vector).max()))).astype(np.int8)
    return base64.urlsafe_b64encode(scaled.tobytes()).decode().rstrip("=")


def _int8_vector(value: Any, name: str) -> Vector:
    text = _text(value, name, 100_000)
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _bad(name, f"{name} is not valid base64url") from None
    return Vector(np.frombuffer(data, np.int8).astype(np.float32))


def _float_vector(value: Any, name: str) -> Vector:
    numbers = _list(value, name, 100_000)
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in numbers):
        raise _bad(name, f"{name} has to be a list of numbers")
    try:
        return Vector(np.array(numbers, np.float64))
    except OverflowError:
        raise _bad(name, f"{name} contains a number that is too large") from None


# field name -> a function that makes the term from the value, the box and the name used in problems.
_TERMS: Mapping[str, Callable[[Any, Box | None, str], Term]] = {
    "id": lambda value, box, name: (
        Region(_text(value, name, None), box) if box else Id(_text(value, name, None))
    ),
    "text": lambda value, box, name: Text(_text(value, name, MAX_TEXT_LENGTH)),
    "image": lambda value, box, name: Image(picture_bytes(value, name), box),
    "url": lambda value, box, name: Url(_text(value, name, MAX_URL_LENGTH), box, name),
    "vector": lambda value, box, name: _float_vector(value, name),
    "vector_int8": lambda value, box, name: _int8_vector(value, name),
}


def _box(value: Any, name: str) -> Box | None:
    if value is None:
        return None
    numbers = _list(value, name, 4)
    if len(numbers) != 4:
        raise _bad(name, f"{name} has to be [left, top, right, bottom]")
    left, top, right, bottom = (number(one, name, 0, 1) for one in numbers)
    if not (left < right and top < bottom):
        raise _bad(name, f"{name} is empty: it has to be [left, top, right, bottom]")
    return left, top, right, bottom


def _list(value: Any, name: str, most: int) -> Sequence[Any]:
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise _bad(name, f"{name} has to be a list of 1 to {most:,}, not {_short(value)}")
    return value


def _text(value: Any, name: str, most: int | None) -> str:
    if not isinstance(value, str) or (most is not None and len(value) > most):
        limit = f" of at most {most:,} characters" if most is not None else ""
        raise _bad(name, f"{name} has to be text{limit}, not {_short(value)}")
    return value


def _known(fields: Mapping[str, Any], names: str, what: str) -> None:
    unknown = sorted(fields.keys() - set(names.split()))
    if unknown:
        raise _bad(unknown[0], f"{what} has a wrong field {unknown[0]!r}; known: {names.replace(' ', ', ')}")


def _bad(field: str, detail: str) -> Problem:
    kind = "bad-condition" if field == "where" else "bad-parameter"
    return Problem(kind, detail, field=field)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:100] + "…"
