"""Recommendation: items like the average of the liked ones, but not all alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import QueryError
from lookalike.models.users import read_users
from lookalike.search.engine import DEFAULT_K, Engine
from lookalike.search.query import Query, Vector, as_query
from lookalike.search.results import Results

# Rocchio 1971: disliked items say less about a taste than liked ones.
_DISLIKED_WEIGHT = 0.5

# A diverse selection of k is made from this many times k of the best.
_CANDIDATES = 5


def recommend(
    engine: Engine,
    liked: Sequence[Query] = (),
    disliked: Sequence[Query] = (),
    k: int = DEFAULT_K,
    *,
    user: str | None = None,
    where: str | None = None,
    rows: NDArray[np.int64] | None = None,
    diverse: float = 0.0,
) -> Results:
    """The k items most like the average of `liked` and unlike that of `disliked`.

    A `user` that the model knows from events counts like one liked item, and what the user had there is left
    out; raises `QueryError` for another.

    With `diverse` in (0, 1] they are chosen one after another by maximal marginal relevance (Carbonell
    and Goldstein 1998): 1 - `diverse` times the cosine to the query, minus `diverse` times the cosine to the
    most similar item already chosen. The score of a hit is still its cosine to the query.
    """
    if user is not None:
        users = read_users(engine.snapshot.model.path, engine.snapshot.dim)
        liked = [as_query(Vector(users.vector(user))), *liked]
        had = [row for id_ in users.items_of(user) if (row := engine.snapshot.find(id_)) is not None]
        rows = np.setdiff1d(np.arange(len(engine)) if rows is None else rows, had)
    if not liked:
        raise QueryError("nothing is liked", "name at least one item as `liked`, or a `user` of the model")
    if not 0 <= diverse <= 1:
        raise QueryError(f"diverse is {diverse}, it goes from 0 (likeness alone) to 1")
    query = taste(liked, disliked)
    if diverse == 0:
        return engine.search([query], k, where=where, rows=rows)[0]
    (found,) = engine.search([query], k * _CANDIDATES, where=where, rows=rows)
    chosen = marginally_relevant(found.scores, engine.vectors_at(found.rows), k, diverse)
    return found.take(chosen)


def taste(liked: Sequence[Query], disliked: Sequence[Query] = ()) -> Query:
    """The average of what is liked, less half that of what is not."""
    return _mean(liked, 1.0) + _mean(disliked, -_DISLIKED_WEIGHT)


def marginally_relevant(
    scores: NDArray[np.floating], vectors: NDArray[np.float32], k: int, diverse: float
) -> list[int]:
    """Choose rows by maximal marginal relevance: `scores` (n,) to the query, unit `vectors` (n, D)."""
    chosen: list[int] = []
    likest = np.zeros(len(scores))
    remaining = np.ones(len(scores), bool)
    while len(chosen) < min(k, len(scores)):
        gain = (1 - diverse) * scores - diverse * likest
        best = int(np.argmax(np.where(remaining, gain, -np.inf)))
        likeness = vectors @ vectors[best]
        likest = np.maximum(likest, likeness) if chosen else likeness
        remaining[best] = False
        chosen.append(best)
    return chosen


def _mean(queries: Sequence[Query], weight: float) -> Query:
    terms = [term for query in queries for term in query.terms]
    return Query(tuple((term, own * weight / len(queries)) for term, own in terms))
