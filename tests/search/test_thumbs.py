"""Thumbs: marks on hits refine a query, by the way that ranks marks best that were held out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lookalike
from lookalike.errors import QueryError, UnknownIdError
from lookalike.search.spread import Spread
from lookalike.search.thumbs import WAYS, average_precision, refined, support

DIM = 12


def cloud(seed: int, count: int, center: int) -> np.ndarray:
    """Unit vectors around an axis."""
    vectors = np.random.default_rng(seed).normal(0, 0.25, (count, DIM)).astype(np.float32)
    vectors[:, center] += 1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


WANTED, OTHERS = cloud(1, 40, 0), cloud(2, 60, 1)
PILE = Spread(np.arange(100), np.concatenate([WANTED, OTHERS]))
BETWEEN = np.eye(DIM, dtype=np.float32)[0] + np.eye(DIM, dtype=np.float32)[1]


def test_marks_turn_a_query_to_what_is_wanted():
    query = BETWEEN / np.linalg.norm(BETWEEN)
    found = refined(query, WANTED[:5], OTHERS[:5], PILE)

    def precision(vector: np.ndarray) -> float:
        return average_precision(WANTED[5:] @ vector, OTHERS[5:] @ vector)

    assert precision(found.vector) > 0.99 > precision(query) + 0.2
    assert np.linalg.norm(found.vector) == pytest.approx(1, abs=1e-6)


def test_a_query_that_marks_cannot_improve_stays_as_it_is():
    query, other = np.eye(DIM, dtype=np.float32)[:2]
    liked, unliked = np.stack([other, other]), np.stack([query, query])

    contradictory = refined(query, np.concatenate([liked, unliked]), np.concatenate([liked, unliked]), PILE)

    assert contradictory.way in WAYS
    assert np.isfinite(contradictory.vector).all()


@given(
    st.integers(0, 2**31),
    st.integers(0, 8),
    st.integers(0, 8),
)
def test_on_the_marks_it_is_never_worse_than_the_query(seed, likes, unlikes):
    vectors = cloud(seed, likes + unlikes + 1, 2)
    query, liked, unliked = vectors[0], vectors[1 : likes + 1], vectors[likes + 1 :]

    found = refined(query, liked, unliked, PILE)

    if likes and unlikes:
        before = average_precision(liked @ query, unliked @ query)
        assert average_precision(liked @ found.vector, unliked @ found.vector) >= before


def test_average_precision_is_that_of_a_slow_loop():
    rng = np.random.default_rng(5)
    shown, others = np.float32(rng.normal(1, 1, 7)), np.float32(rng.normal(0, 1, 30))

    right = [one for _, one in sorted([(-s, 1) for s in shown] + [(-s, 0) for s in others])]
    precisions = [sum(right[: at + 1]) / (at + 1) for at, one in enumerate(right) if one]

    assert average_precision(shown, others) == pytest.approx(np.mean(precisions))


def test_the_plane_is_that_of_scikit_learn():
    svm = pytest.importorskip("sklearn.svm")
    vectors, sides = np.concatenate([WANTED[:6], OTHERS[:9]]), np.repeat([1.0, -1.0], [6, 9])
    slow = svm.LinearSVC(C=1.0, class_weight="balanced", tol=1e-8, max_iter=100_000).fit(vectors, sides)

    normal = support(vectors, sides) @ vectors

    cosine = normal @ slow.coef_[0] / np.linalg.norm(normal) / np.linalg.norm(slow.coef_[0])
    assert cosine > 0.999


# In a collection.


def test_a_search_is_refined_by_ids(collection):
    sea, brick = ([id_ for id_ in collection.ids if id_.startswith(kind)] for kind in ("sea", "brick"))
    query = lookalike.Id(sea[0]) + lookalike.Id(brick[0])

    found = collection.refine(query, like=sea[1:4], unlike=brick[1:4], k=10)

    assert found.labels == ["sea"] * 10
    assert found.refined in ("rocchio", "lda", "svm")
    assert not {*found.ids} & {*sea[:4], *brick[:4]}
    assert found.confidences[0] > 0.3


@pytest.mark.parametrize(
    ("like", "unlike", "error", "message"),
    [
        ([], [], QueryError, "refined by 1 to 200 items, not 0"),
        (["sea/sea-002.png"], ["sea/sea-002.png"], QueryError, "is both like and unlike"),
        (["nothing"], [], UnknownIdError, "has no item 'nothing'"),
    ],
)
def test_marks_that_cannot_be_say_why(collection, like, unlike, error, message):
    with pytest.raises(error) as caught:
        collection.refine(lookalike.Id("sea/sea-005.png"), like, unlike)

    assert message in str(caught.value)
