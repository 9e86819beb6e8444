"""What a user asks with: a sum of pictures, items, words and vectors, made into one query vector.

    Image("rose.jpg") * 2 + Id("img_7") - Image("thorn.jpg")

Every term is a vector of unit length times its weight; the query is the direction of their sum.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.collection import Collection
from lookalike.errors import QueryError, UnknownIdError
from lookalike.images.picture import Box, ImageLike
from lookalike.storage.parts import Part, matrix
from lookalike.storage.stores import each

Floats = NDArray[np.float32]

# Comparing an unknown id with this many takes a fraction of a second.
_COMPARED_IDS = 20_000

# A sum shorter than this part of its terms' weights is what rounding left of nothing.
_CANCELLED = 1e-4

# A smaller weight, or the square of it, would be rounded to 0, and one larger than its inverse to infinity.
_LEAST_WEIGHT = 1e-100


class _Summable:
    """What can stand in a sum: `+`, `-`, and `*` and `/` by a number."""

    def _terms(self) -> tuple[tuple[Term, float], ...]:
        raise NotImplementedError

    def __mul__(self, weight: float) -> Query:
        return Query(tuple((term, own * weight) for term, own in self._terms()))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Query:
        return self * (1 / divisor)

    def __neg__(self) -> Query:
        return self * -1

    def __add__(self, other: _Summable) -> Query:
        return Query((*self._terms(), *other._terms()))

    def __sub__(self, other: _Summable) -> Query:
        return self + -other


class _Term(_Summable):
    def _terms(self) -> tuple[tuple[Term, float], ...]:
        return ((self, 1.0),)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Id(_Term):
    """An item of the collection, by its id."""

    id: str


@dataclass(frozen=True, slots=True, eq=False)
class Image(_Term):
    """A picture: a path, encoded bytes, a Pillow image or a uint8 array (H, W, 3).

    Of `box`, (left, top, right, bottom) in fractions of the upright picture, only that part.
    """

    image: ImageLike
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Text(_Term):
    """Words that the model knows."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Vector(_Term):
    """A vector of the model's space, float (D,), of any length but zero."""

    values: Sequence[float] | NDArray[np.floating]


Term = Id | Image | Text | Vector


@dataclass(frozen=True, slots=True)
class Query(_Summable):
    """A sum: its terms and the weight of each."""

    terms: tuple[tuple[Term, float], ...]

    def _terms(self) -> tuple[tuple[Term, float], ...]:
        return self.terms

    @property
    def ids(self) -> set[str]:
        """The items of the collection that stand in the sum."""
        return {term.id for term, _ in self.terms if isinstance(term, Id)}


# What a search takes; a bare picture stands for Image(picture), a float array (D,) for Vector(array).
Asked = Query | Term | ImageLike | NDArray[np.floating]


def as_query(asked: Asked) -> Query:
    """Any form of a query as a sum."""
    if isinstance(asked, Query):
        return asked
    if isinstance(asked, Id | Image | Text | Vector):
        return Query(((asked, 1.0),))
    if isinstance(asked, np.ndarray) and asked.ndim == 1:
        return Query(((Vector(np.asarray(asked, np.float64)), 1.0),))
    return Query(((Image(asked), 1.0),))  # type: ignore[arg-type]


def parse_query(words: Sequence[str], unlike: Sequence[str] = ()) -> Query:
    """The sum that words of the command line mean, those of `unlike` with a minus.

    `id:…` is an item, `text:…` words, anything else a picture's path; `^2` at the end is a weight.
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
class Direction:
    """Where a query points: a unit `vector` float32 (D,).

    `length` is that of the weighted sum of unit vectors before it was scaled to 1, `weight` the sum of the
    weights, and `of_words` says that all terms are words: what a confidence depends on.
    """

    vector: Floats
    length: float
    weight: float
    of_words: bool


def query_direction(
    collection: Collection, query: Query, stored: Callable[[Collection, set[str]], Mapping[str, Floats]]
) -> Direction:
    """The direction of a sum; `stored` looks up the vectors of the items in it.

    Raises `QueryError` for a sum that contradicts itself or cancels out, an unknown id, words that the
    model does not know or a vector that does not fit, and `ImageError` for what is no picture.
    """
    _check(query)
    vectors = stored(collection, query.ids) if query.ids else {}
    terms = [(_term_vector(collection, term, vectors), weight) for term, weight in query.terms]
    total = np.sum([vector.astype(np.float64) * weight for vector, weight in terms], axis=0)
    length = float(np.linalg.norm(total))
    if length < _CANCELLED * sum(abs(weight) for _, weight in terms):
        raise QueryError("the terms of the query cancel each other out", "change a weight or leave one out")
    return Direction(
        np.asarray(total / length, np.float32),
        length,
        weight=sum(weight for _, weight in query.terms),
        of_words=all(isinstance(term, Text) for term, _ in query.terms),
    )


def _check(query: Query) -> None:
    if not query.terms:
        raise QueryError("the query is empty", "ask with a picture, id:… or text:…")
    signs: dict[Term, float] = {}
    for term, weight in query.terms:
        if not _LEAST_WEIGHT < abs(weight) < 1 / _LEAST_WEIGHT:
            raise QueryError(f"a weight of the query is {weight}", "a weight is a number other than 0")
        if signs.setdefault(term, weight) * weight < 0:
            raise QueryError(f"the query contradicts itself: {term} is wanted and not wanted")


def _term_vector(collection: Collection, term: Term, stored: Mapping[str, Floats]) -> Floats:
    match term:
        case Id():
            return stored[term.id]
        case Image():
            model = collection.model
            return np.asarray(model.embed_pixels(model.pixels(term.image, term.box)[None])[0])
        case Text():
            return collection.model.embed_text(term.text)
        case Vector():
            return _checked_vector(term, collection.manifest.model.dim)


def _checked_vector(term: Vector, dim: int) -> Floats:
    values = np.asarray(term.values, np.float64)
    if values.shape != (dim,):
        raise QueryError(f"a query vector of this collection has the shape ({dim},), not {values.shape}")
    with np.errstate(over="ignore"):
        length = float(np.linalg.norm(values))
    if not math.isfinite(length) or length == 0:
        raise QueryError("the query vector has no direction: it is zero, or has values that are no numbers")
    return np.asarray(values / length, np.float32)


def stored_vectors(collection: Collection, ids: set[str]) -> dict[str, Floats]:
    """The vectors of items, read from the parts; raises `UnknownIdError` for one that is not there."""
    found: dict[str, Floats] = {}
    wanted = pa.array(sorted(ids), pa.string())

    def rows_of(part: Part) -> pa.Table | None:
        if not pc.any(pc.is_in(part.items(["id"])["id"], wanted)).as_py():
            return None  # ids are a hundredth of the bytes
        rows = part.items(["id", "embedding"])  # both at once: a build may have replaced the file meanwhile
        return rows.filter(pc.is_in(rows["id"], wanted))

    for rows in each(collection.parts(), rows_of, collection.path):
        if rows is not None:
            found |= dict(zip(rows["id"].to_pylist(), matrix(rows["embedding"]), strict=True))
        if ids <= found.keys():
            return found
    for id_ in sorted(ids - found.keys()):
        raise unknown_id(collection, id_, collection.items(["id"])["id"].to_pylist())
    return found


def unknown_id(collection: Collection, id_: str, known: Sequence[str]) -> UnknownIdError:
    """The error for an id that is not there, with the nearest of those that are."""
    nearest = get_close_matches(id_, known[:_COMPARED_IDS], n=3, cutoff=0.4)
    return UnknownIdError(f"{collection.name} has no item {id_!r}", nearest)
