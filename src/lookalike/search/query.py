"""Queries: a sum of pictures, items, words and vectors, turned into one query vector.

    Image("rose.jpg") * 2 + Id("img_7") - Image("thorn.jpg")

Every term is a vector of unit length times its weight; the query is the direction of their sum.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as PillowImage

from lookalike.errors import ArgumentError, QueryError
from lookalike.images.picture import Box, ImageLike
from lookalike.search.lexicon import Meant
from lookalike.storage.items import Item
from lookalike.storage.snapshot import Snapshot

Floats = NDArray[np.float32]

# A sum shorter than this fraction of its terms' weights is only rounding error.
_CANCELLED = 1e-4

# A smaller weight, or its square, would be rounded to 0, and one larger than its inverse to infinity.
_LEAST_WEIGHT = 1e-100


class _Summable:
    """A part of a sum: supports `+`, `-`, and `*` and `/` by a number."""

    def _terms(self) -> tuple[tuple[Term, float], ...]:
        raise NotImplementedError

    def __mul__(self, weight: float) -> Query:
        if not isinstance(weight, int | float | np.number):
            raise ArgumentError(f"a query is multiplied by a number, not by {_kind(weight)}")
        return Query(tuple((term, own * float(weight)) for term, own in self._terms()))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Query:
        if not isinstance(divisor, int | float | np.number):
            raise ArgumentError(f"a query is divided by a number, not by {_kind(divisor)}")
        return self * (1 / divisor)

    def __neg__(self) -> Query:
        return self * -1

    def __add__(self, other: Asked) -> Query:
        return Query((*self._terms(), *_summand(other)._terms()))

    def __radd__(self, other: Asked) -> Query:
        if isinstance(other, int) and other == 0:  # the start value of `sum`
            return Query(self._terms())
        return Query((*_summand(other)._terms(), *self._terms()))

    def __sub__(self, other: Asked) -> Query:
        return self + -_summand(other)

    def __rsub__(self, other: Asked) -> Query:
        return Query((*_summand(other)._terms(), *(-self)._terms()))

    # Otherwise NumPy would take the sum apart, number by number.
    __array_ufunc__ = None


class _Term(_Summable):
    def _terms(self) -> tuple[tuple[Term, float], ...]:
        return ((self, 1.0),)  # type: ignore[return-value]


_QUERIES = (
    'a query is a picture (a path, bytes, an image, an array), Id("…"), Text("…"), Vector(…) or an item'
)


def _summand(other: Any) -> Query:
    """Convert a summand to a query: a query or a picture; raises `TypeError` that says what is allowed."""
    if isinstance(other, _Summable):
        return Query(other._terms())
    if isinstance(other, str | bytes | Path | PillowImage) or _is_vector(other) or _is_pixels(other):
        return as_query(other)
    raise ArgumentError(f"{_kind(other)} cannot be added to a query; {_QUERIES}")


def _check_text(value: object, what: str) -> None:
    if not isinstance(value, str):
        raise ArgumentError(f"{what} is a str, not {value!r}")


def _kind(value: object) -> str:
    return f"a value of the type {type(value).__name__}"


@dataclass(frozen=True, slots=True)
class Id(_Term):
    """An item of the collection, by its id."""

    id: str

    def __post_init__(self) -> None:
        _check_text(self.id, "an id")


@dataclass(frozen=True, slots=True, eq=False)
class Image(_Term):
    """A picture: a path, encoded bytes, a Pillow image or a uint8 array (H, W, 3).

    If `box`, (left, top, right, bottom) in fractions of the upright picture, is given, only that part.
    """

    image: ImageLike
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Text(_Term):
    """Words that the collection or its model knows."""

    text: str

    def __post_init__(self) -> None:
        _check_text(self.text, "a text")


@dataclass(frozen=True, slots=True, eq=False)
class Vector(_Term):
    """A vector in the model's space, float (D,), of any length but zero."""

    values: Sequence[float] | NDArray[np.floating]


Term = Id | Image | Text | Vector


@dataclass(frozen=True, slots=True)
class Query(_Summable):
    """A weighted sum: its terms and the weight of each."""

    terms: tuple[tuple[Term, float], ...]

    def _terms(self) -> tuple[tuple[Term, float], ...]:
        return self.terms

    @property
    def ids(self) -> set[str]:
        """The ids of the items in the sum."""
        return {term.id for term, _ in self.terms if isinstance(term, Id)}


# What a search accepts; a bare picture means Image(picture), a float array (D,) Vector(array).
Asked = Query | Term | Item | ImageLike | NDArray[np.floating]


def as_query(asked: Asked) -> Query:
    """Convert any form of a query to a sum."""
    if isinstance(asked, Query):
        return asked
    if isinstance(asked, Id | Image | Text | Vector):
        return Query(((asked, 1.0),))
    if isinstance(asked, Item):
        return Query(((Id(asked.id), 1.0),))
    if _is_vector(asked):
        return Query(((Vector(np.asarray(asked)), 1.0),))
    if isinstance(asked, str | bytes | Path | PillowImage | np.ndarray):
        return Query(((Image(asked), 1.0),))  # type: ignore[arg-type]
    raise ArgumentError(f"{_kind(asked)} is not a query; {_QUERIES}")


def as_queries(asked: Any) -> list[Query] | None:
    """The queries of a batch: a list or tuple of queries, or vectors (Q, D); None for a single query.

    A list of numbers is one vector, and a uint8 array is one picture.
    """
    if isinstance(asked, np.ndarray) and asked.ndim == 2 and asked.dtype.kind == "f":
        return [as_query(vector) for vector in asked]
    if not isinstance(asked, list | tuple) or _is_vector(asked):
        return None
    return [as_query(one) for one in asked]


def as_item(asked: Asked) -> Query:
    """Like `as_query`, but a string is the id of an item."""
    return as_query(Id(asked) if isinstance(asked, str) else asked)


def _is_vector(value: Any) -> bool:
    """Whether a value is one vector: an array (D,), or a list of numbers."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], int | float | np.number)


def _is_pixels(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.uint8


def parse_query(words: Sequence[str], unlike: Sequence[str] = ()) -> Query:
    """Parse words of the command line into a sum; those of `unlike` get a minus.

    `id:…` is an item, `text:…` is words, anything else is a picture's path; `^2` at the end is a weight.
    """
    terms = [_parse_term(word) for word in words]
    return Query((*terms, *((term, -weight) for term, weight in map(_parse_term, unlike))))


def _parse_term(word: str) -> tuple[Term, float]:
    weighted = re.fullmatch(r"(.+)\^(\d+(?:\.\d+)?)", word, re.S)
    if weighted and not Path(word).exists():
        return _parse_term(weighted[1])[0], float(weighted[2])
    kind, colon, rest = word.partition(":")
    if colon and kind == "id":
        return Id(rest), 1.0
    if colon and kind == "text":
        return Text(rest), 1.0
    return Image(word), 1.0


@dataclass(frozen=True, slots=True)
class Side:
    """What a query wants, or one thing that it does not want: pictures and words; confidences depend on it.

    `likeness` is the unit vector float32 (D,) of the weighted sum of the terms that are not words, or None if
    there are none; `length` is that of the sum before it was scaled to 1, `weight` the sum of the weights.
    `texts` are words of the model, each with its weight; `meant` are texts with other words in them.
    """

    likeness: Floats | None = None
    length: float = 1.0
    weight: float = 1.0
    texts: tuple[tuple[str, float], ...] = ()
    meant: tuple[tuple[Meant, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Direction:
    """Where a query points: a unit `vector` float32 (D,); what it wants, if anything, and what it doesn't.

    `meant` is what each of its texts means, and `refined` how marks changed the vector, empty without marks.
    `colors` are wanted too; if nothing else is, the vector is zeros.
    """

    vector: Floats
    wanted: Side | None = None
    unwanted: tuple[Side, ...] = ()
    meant: tuple[Meant, ...] = ()
    refined: str = ""
    colors: tuple[str, ...] = ()

    @property
    def is_likeness(self) -> bool:
        """Whether it is asked for what is like something, and for nothing else."""
        wanted = self.wanted
        has_words = wanted is not None and bool(wanted.texts or wanted.meant)
        return (
            not self.refined
            and not self.unwanted
            and wanted is not None
            and wanted.likeness is not None
            and not has_words
        )

    @property
    def is_words(self) -> bool:
        """Whether it is asked for what words name, and for no likeness."""
        return not self.refined and self.wanted is not None and self.wanted.likeness is None


def query_direction(
    snapshot: Snapshot,
    query: Query,
    stored: Callable[[Sequence[str]], Mapping[str, Floats]],
    words: Callable[[str], Meant],
) -> Direction:
    """Compute the direction of a sum; `stored` looks up the vectors of its items, `words` what texts mean.

    Raises `QueryError` for a sum that contradicts itself or cancels out, an unknown id, words that the
    model does not know or a vector that does not fit, and `ImageError` for an unreadable picture.
    """
    _check(query)
    vectors = stored(sorted(query.ids)) if query.ids else {}
    texts = {term.text: words(term.text) for term, _ in query.terms if isinstance(term, Text)}
    terms = [(term, _term_vector(snapshot, term, vectors, texts), weight) for term, weight in query.terms]
    total, length = _sum(terms)
    colors = _colors(query, texts)
    if colors and not any(vector.any() for _, vector, _ in terms):
        return Direction(np.zeros(snapshot.dim, np.float32), meant=tuple(texts.values()), colors=colors)
    terms = [one for one in terms if one[1].any()]
    if length < _CANCELLED * sum(abs(weight) for _, _, weight in terms):
        raise QueryError("the terms of the query cancel each other out", "change a weight or leave one out")
    wanted = [one for one in terms if one[2] > 0]
    return Direction(
        np.asarray(total / length, np.float32),
        _side(wanted, texts) if wanted else None,
        tuple(_side([(term, vector, -weight)], texts) for term, vector, weight in terms if weight < 0),
        tuple(texts.values()),
        colors=colors,
    )


def _colors(query: Query, texts: Mapping[str, Meant]) -> tuple[str, ...]:
    """The colours of all texts; raises `QueryError` for one that is not wanted."""
    meant = [(texts[term.text], weight) for term, weight in query.terms if isinstance(term, Text)]
    for one, weight in meant:
        if one.colors and weight < 0:
            raise QueryError(f"a colour cannot be unwanted: {one.colors[0]}", "leave it out")
    return tuple(dict.fromkeys(color for one, _ in meant for color in one.colors))


def _sum(terms: Sequence[tuple[Term, Floats, float]]) -> tuple[NDArray[np.float64], float]:
    """The weighted sum of the terms' vectors, and its length."""
    total = np.sum([vector.astype(np.float64) * weight for _, vector, weight in terms], axis=0)
    return total, float(np.linalg.norm(total))


def _side(terms: Sequence[tuple[Term, Floats, float]], words: Mapping[str, Meant]) -> Side:
    """Terms with weights above 0 as one side of a query."""
    meant = [(words[term.text], weight) for term, _, weight in terms if isinstance(term, Text)]
    texts = tuple((one.text, weight) for one, weight in meant if one.is_plain)
    others = tuple((one, weight) for one, weight in meant if not one.is_plain)
    likenesses = [one for one in terms if not isinstance(one[0], Text)]
    weight = sum(one[2] for one in likenesses)
    if not likenesses:
        return Side(texts=texts, meant=others)
    total, length = _sum(likenesses)
    if length < _CANCELLED * weight:  # opposite pictures: nothing is like both
        return Side(likenesses[0][1], texts=texts, meant=others)
    return Side(np.asarray(total / length, np.float32), length, weight, texts, others)


def _check(query: Query) -> None:
    if not query.terms:
        raise QueryError("the query is empty", "ask with a picture, `Id(...)` or `Text(...)`")
    signs: dict[Term, float] = {}
    for term, weight in query.terms:
        if not _LEAST_WEIGHT < abs(weight) < 1 / _LEAST_WEIGHT:
            raise QueryError(f"a weight of the query is {weight}", "a weight is a number other than 0")
        if signs.setdefault(term, weight) * weight < 0:
            raise QueryError(
                f"the query contradicts itself: {_named(term)} is wanted and not wanted",
                "leave it out of one of them",
            )


def _named(term: Term) -> str:
    match term:
        case Id(what) | Text(what) | Image(str() as what):
            return repr(what)
        case Image(Path() as path):
            return repr(str(path))
    return "a picture" if isinstance(term, Image) else "a vector"


def _term_vector(
    snapshot: Snapshot, term: Term, stored: Mapping[str, Floats], texts: Mapping[str, Meant]
) -> Floats:
    match term:
        case Id():
            return stored[term.id]
        case Image():
            model = snapshot.model
            return np.asarray(model.embed_pixels(model.pixels(term.image, term.box)[None])[0])
        case Text():
            return texts[term.text].vector
        case Vector():
            return _checked_vector(term, snapshot.dim)


def _checked_vector(term: Vector, dim: int) -> Floats:
    try:
        values = np.asarray(term.values, np.float64)
    except (TypeError, ValueError) as error:
        raise QueryError(f"the query vector has values that are not numbers: {error}") from None
    if values.shape != (dim,):
        raise QueryError(f"a query vector of this collection has the shape ({dim},), not {values.shape}")
    with np.errstate(over="ignore"):
        length = float(np.linalg.norm(values))
    if not math.isfinite(length) or length == 0:
        raise QueryError("the query vector has no direction: it is zero, or has values that are not numbers")
    return np.asarray(values / length, np.float32)
