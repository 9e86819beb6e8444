"""Refining a search by marks on its hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import QueryError
from lookalike.search.engine import DEFAULT_K, Engine, check_numbers
from lookalike.search.query import Direction, Id, Query, Vector, as_query
from lookalike.search.recommend import taste
from lookalike.search.results import Results
from lookalike.search.spread import Spread
from lookalike.search.thumbs import refined

# Each refinement takes time in proportion to their square.
MOST_MARKS = 200


def refine(
    engine: Engine,
    query: Query,
    like: Sequence[Query],
    unlike: Sequence[Query],
    k: int = DEFAULT_K,
    *,
    where: str | None = None,
    rows: NDArray[np.int64] | None = None,
    include_query: bool = False,
    min_confidence: float = 0.0,
) -> Results:
    """The k items most like a query that is refined by what is `like` what is wanted, and `unlike` it.

    Raises as `Engine.search`, and `QueryError` for no marks, too many or contradictory ones.
    """
    k = check_numbers(k, min_confidence)
    direction = refined_direction(engine, query, like, unlike)
    asked = [] if include_query else sorted(set().union(*(one.ids for one in (query, *like, *unlike))))
    (found,) = engine.find(
        [direction],
        k,
        mask=engine.allowed(where, rows),
        hidden=[engine.snapshot.rows_of(asked).tolist()],
        min_confidence=min_confidence,
    )
    return found


def refined_direction(
    engine: Engine, query: Query, like: Sequence[Query], unlike: Sequence[Query]
) -> Direction:
    """The direction of a query refined by marks; its confidences count the marks as parts of a sum."""
    likes, unlikes = list(dict.fromkeys(like)), list(dict.fromkeys(unlike))
    marks = [*likes, *unlikes]
    if not marks or len(marks) > MOST_MARKS:
        raise QueryError(
            f"a query is refined by 1 to {MOST_MARKS} items, not {len(marks)}",
            "name items as `like` and `unlike`",
        )
    both = sorted(id_ for one in set(likes) & set(unlikes) for id_ in one.ids)
    if both:
        raise QueryError(f"{both[0]!r} is both like and unlike what is wanted", "leave it out of one of them")
    alone = engine.direction(query)
    likes, unlikes = ([_embedded(engine, one) for one in some] for some in (likes, unlikes))
    total = engine.direction(query + taste(likes, unlikes))
    liked, unliked = (_vectors(engine, some) for some in (likes, unlikes))
    spread: Spread = engine.kept("spread", "", lambda: Spread.of(len(engine), engine.vectors_at))
    found = refined(alone.vector, liked, unliked, spread)
    return replace(total, vector=found.vector, refined=found.way)


def _embedded(engine: Engine, mark: Query) -> Query:
    """A mark on an item as it is, and one on a picture as its vector: it is read once."""
    return mark if mark.ids and len(mark.terms) == 1 else as_query(Vector(engine.direction(mark).vector))


def _vectors(engine: Engine, marks: Sequence[Query]) -> NDArray[np.float32]:
    """The vectors (n, D) of marks, those of items read together."""
    found = np.empty((len(marks), engine.snapshot.dim), np.float32)
    terms = [one.terms[0][0] for one in marks]
    stored = engine.vectors_of(one.id for one in terms if isinstance(one, Id))
    for row, one in enumerate(terms):
        if isinstance(one, Id):
            found[row] = stored[one.id]
        elif isinstance(one, Vector):
            found[row] = one.values
    return found
