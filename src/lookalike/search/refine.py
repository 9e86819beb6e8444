"""Refining a search by marks on its hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import QueryError
from lookalike.search.engine import DEFAULT_K, Engine, check_numbers
from lookalike.search.query import Direction, Id, Query
from lookalike.search.results import Results
from lookalike.search.spread import Spread
from lookalike.search.thumbs import refined

# Each refinement takes time in proportion to their square.
MOST_MARKS = 200


def refine(
    engine: Engine,
    query: Query,
    like: Sequence[str],
    unlike: Sequence[str],
    k: int = DEFAULT_K,
    *,
    where: str | None = None,
    rows: NDArray[np.int64] | None = None,
    include_query: bool = False,
    min_confidence: float = 0.0,
) -> Results:
    """The k items most like a query that is refined by items that are `like` what is wanted, and `unlike` it.

    Raises as `Engine.search`, and `QueryError` for no marks, too many or contradictory ones.
    """
    k = check_numbers(k, min_confidence)
    direction = refined_direction(engine, query, like, unlike)
    asked = [] if include_query else sorted({*query.ids, *like, *unlike})
    (found,) = engine.find(
        [direction],
        k,
        mask=engine.allowed(where, rows),
        hidden=[engine.snapshot.rows_of(asked).tolist()],
        min_confidence=min_confidence,
    )
    return found


def refined_direction(engine: Engine, query: Query, like: Sequence[str], unlike: Sequence[str]) -> Direction:
    """The direction of a query refined by marks; its confidences count the marks as parts of a sum."""
    likes, unlikes = list(dict.fromkeys(like)), list(dict.fromkeys(unlike))
    marks = [*likes, *unlikes]
    if not marks or len(marks) > MOST_MARKS:
        raise QueryError(
            f"a query is refined by 1 to {MOST_MARKS} items, not {len(marks)}",
            "name items as `like` and `unlike`",
        )
    both = sorted(set(likes) & set(unlikes))
    if both:
        raise QueryError(f"{both[0]!r} is both like and unlike what is wanted", "leave it out of one of them")
    alone = engine.direction(query)
    terms = [(Id(id_), 1 / len(likes)) for id_ in likes] + [(Id(id_), -0.5 / len(unlikes)) for id_ in unlikes]
    total = engine.direction(query + Query(tuple(terms)))
    vectors = engine.vectors_of(marks)
    liked, unliked = (
        np.stack([vectors[id_] for id_ in ids]) if ids else np.empty((0, engine.snapshot.dim), np.float32)
        for ids in (likes, unlikes)
    )
    spread: Spread = engine.kept("spread", "", lambda: Spread.of(len(engine), engine.vectors_at))
    found = refined(alone.vector, liked, unliked, spread)
    return replace(total, vector=found.vector, refined=found.way)
