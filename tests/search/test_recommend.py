"""Recommendation is search by an average; diverse results are not all alike."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.errors import QueryError
from lookalike.search.query import Id
from lookalike.search.recommend import marginally_relevant


def ids(results):
    return [hit.id for hit in results]


def test_the_average_of_what_is_liked_is_the_query(collection):
    liked = [Id("sea/sea-002.png"), Id("sea/sea-005.png")]

    results = collection.recommend(liked, k=5)

    assert ids(results) == ids(collection.search(liked[0] * 0.5 + liked[1] * 0.5, k=5))
    assert {hit.label for hit in results} == {"sea"}


def test_what_is_liked_or_disliked_is_not_recommended(collection):
    results = collection.recommend([Id("sea/sea-002.png")], [Id("sea/sea-005.png")], k=40)
    assert len(results) == 40
    assert not {"sea/sea-002.png", "sea/sea-005.png"} & set(ids(results))


def test_what_is_like_the_disliked_comes_later(collection):
    liked, disliked = [Id("sea/sea-002.png")], [Id("brick/brick-000.jpg")]
    without = ids(collection.recommend(liked, k=41))
    results = ids(collection.recommend(liked, disliked, k=40))

    def mean_rank(order):
        others = [id_ for id_ in order if id_ != "brick/brick-000.jpg"]
        places = [place for place, id_ in enumerate(others) if id_.startswith("brick/")]
        return sum(places) / len(places)

    assert mean_rank(results) > mean_rank(without)


def test_diverse_results_are_less_like_each_other(collection):
    def likeness(results):
        rows = collection.items(["id"])["id"].to_pylist()
        vectors = collection.embeddings()[[rows.index(id_) for id_ in ids(results)]]
        return float((vectors @ vectors.T).mean())

    alike, diverse = (collection.recommend([Id("sea/sea-002.png")], k=8, diverse=d) for d in (0, 0.7))
    assert len(diverse) == 8
    assert likeness(diverse) < likeness(alike)


def test_a_diverse_choice_takes_the_best_first_and_then_what_is_new():
    east, near_east, north = [1.0, 0.0], [0.99, 0.14106736], [0.0, 1.0]
    vectors = np.array([east, near_east, north], np.float32)
    scores = np.array([0.9, 0.89, 0.5])

    assert marginally_relevant(scores, vectors, 3, diverse=0.5) == [0, 2, 1]
    assert marginally_relevant(scores, vectors, 3, diverse=0.0) == [0, 1, 2]
    assert marginally_relevant(scores, vectors, 2, diverse=0.5) == [0, 2]


def test_nothing_liked_is_an_error(collection):
    with pytest.raises(QueryError, match="nothing is liked"):
        collection.recommend([])


@pytest.mark.parametrize("diverse", [-0.1, 1.1, float("nan")])
def test_diversity_goes_from_0_to_1(collection, diverse):
    with pytest.raises(QueryError, match="it goes from 0"):
        collection.recommend([Id("sea/sea-002.png")], diverse=diverse)


def test_the_same_item_liked_and_disliked_is_an_error(collection):
    with pytest.raises(QueryError, match="contradicts itself"):
        collection.recommend([Id("sea/sea-002.png")], [Id("sea/sea-002.png")])
