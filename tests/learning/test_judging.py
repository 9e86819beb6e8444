"""Average precision, held against a slow loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.learning.choice import Held, difference, gains, is_better, loses_top
from lookalike.learning.judging import retrieval


def slowly(vectors: np.ndarray, classes: np.ndarray, query: int, gallery: list[int]) -> tuple[float, ...]:
    others = [row for row in gallery if row != query]
    alike = {row: classes[row] == classes[query] for row in others}
    ranked = sorted(others, key=lambda row: (-round(float(vectors[row] @ vectors[query]), 3), alike[row]))
    places = [place for place, row in enumerate(ranked, 1) if alike[row]]
    if not places:
        return np.nan, np.nan, np.nan
    precision = float(np.mean([n / place for n, place in enumerate(places, 1)]))
    return precision, float(places[0] == 1), sum(place <= 5 for place in places) / min(len(places), 5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 20), st.integers(1, 4))
def test_it_is_that_of_a_slow_loop(seed, count, kinds):
    random = np.random.default_rng(seed)
    # Exact numbers, so that equal cosines are equal.
    vectors = np.eye(4, dtype=np.float32)[random.integers(0, 4, count)]
    classes = random.integers(0, kinds, count)
    queries = np.sort(random.choice(count, 2, replace=False))
    gallery = np.sort(random.choice(count, max(2, count - 1), replace=False))

    found = retrieval(vectors, classes, queries, gallery)
    for query, figures in zip(queries.tolist(), found.tolist(), strict=True):
        np.testing.assert_allclose(figures, slowly(vectors, classes, query, gallery.tolist()))


def test_a_difference_comes_with_its_standard_error_and_queries_without_an_answer_do_not_count():
    before, after = np.array([0.1, 0.2, np.nan, 0.6]), np.array([0.3, 0.2, np.nan, 0.7])

    np.testing.assert_allclose(difference(before, after), (0.1, 0.1 / np.sqrt(3)))
    assert difference(before[:1], after[:1]) == (0.0, 0.0)


@pytest.mark.parametrize("place", [1, 2])
def test_a_gain_is_more_than_its_error_and_a_loss_at_the_top_more_than_its_own(place):
    before = np.array([[0.5, 1, 1], [0.5, 1, 1], [0.5, 0, 0], [0.5, 1, 1]])
    mixed = before + np.array([[0.3, 0, 0], [-0.3, 0, 0], [0.1, 0, 0], [0, 0, 0]])
    fall = np.eye(3)[place]

    assert gains(before, before + np.array([0.1, 0, 0]))
    assert not gains(before, before)
    assert not gains(before, mixed)
    # One of four falls from 1 to 0: a mean of -0.25 with an error of 0.25. Two: -0.5, with one of 0.29.
    assert not loses_top(before, before - np.outer([1, 0, 0, 0], fall))
    assert loses_top(before, before - np.outer([1, 1, 0, 0], fall))
    assert not loses_top(before, before - np.outer([1, 1, 0, 0], fall), 2)


def test_a_model_is_better_by_three_errors_of_its_gain_unless_its_top_falls_by_more_than_two():
    before = np.tile([0.5, 1, 1], (10, 1))
    rises = np.array([0.1, 0.3] * 5)  # 0.2 with an error of 0.033
    after = before + np.outer(rises, [1, 0, 0])
    falls = np.array([0.9] * 5 + [0] * 5)  # 0.45 with an error of 0.15

    assert is_better(before, after)
    assert not is_better(before, before + np.outer(rises - 0.101, [1, 0, 0]))  # 2.97 errors
    assert not is_better(before, after - np.outer(falls, [0, 0, 1]))
    assert is_better(before, after - np.outer([0.9, 0.9] + [0] * 8, [0, 1, 0]))  # 1.5 errors


@pytest.mark.parametrize(("question", "expected"), [("same", (1 / 3 + 1) / 2), ("new", 1.0)])
def test_a_recipe_is_weighed_among_all_others_and_among_those_held_out(question, expected):
    vectors = np.array([[1, 0], [0.6, 0.8], [0.8, 0.6], [0.96, 0.28], [-1, 0]], np.float32)
    # The query's only other is the last of three among all, and alone among those held out.
    classes, folds = np.array([0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 3])
    found = Held(vectors, classes, folds, {}, question, seed=0).weigh(vectors, 0)

    assert found[0, 0] == pytest.approx(expected)
