"""How recommendations are judged: what is asked, the measures and the baselines, by their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.learning.behaviour.baselines import item_cosines, mean_of_liked, popularity
from lookalike.learning.behaviour.events import Events
from lookalike.learning.behaviour.measuring import judge, later, split


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def four_events() -> Events:
    """Two users: one had 0 and chose 1 and 2 later; the other had 1 and chose 1 again."""
    return Events(
        ["a", "b"],
        np.array([0, 1, 0, 0, 1]),
        np.array([0, 1, 1, 2, 1]),
        np.arange(5),
        np.float32([1, 1, 1, 3, 1]),
        True,
    )


def test_only_new_choices_of_known_users_are_asked_for():
    wanted = later(four_events(), 2, 5, 30)

    assert wanted.asked.tolist() == [0]
    assert wanted.chosen[0].tolist() == [1, 2]
    assert wanted.weights[0].tolist() == [1, 3]
    assert np.flatnonzero(~wanted.cold).tolist() == [0, 1]


def test_the_measures_are_those_of_the_definitions():
    wanted = later(four_events(), 2, 5, 30)
    scores = np.zeros((1, 30))
    scores[0, [0, 5, 2]] = [9, 8, 7]  # 0 was had, so 5 comes first and 2 second; then 1, as the fourth
    scores[0, 1] = -1

    found = judge(wanted, lambda users: scores).measured

    assert (found.recall, found.warm, found.cold) == (0.5, 0, 1)
    assert found.ndcg == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))
    assert found.weighted == 0.75
    assert found.coverage == pytest.approx(20 / 30)


def test_events_of_one_moment_stay_on_one_side():
    events = four_events()
    same = Events(events.users, events.user, events.item, np.array([0, 1, 1, 1, 2]), events.weight, True)
    assert split(same, 0.6) == 1


def test_the_baselines_are_those_of_the_definitions():
    events, vectors = four_events(), unit(np.random.default_rng(0).normal(size=(3, 4)))

    assert popularity(events, 4, 3)(np.array([0]))[0].tolist() == [1, 2, 3]
    liked = unit(vectors[[0, 1]].mean(axis=0))
    assert mean_of_liked(events, 3, vectors)(np.array([0]))[0] == pytest.approx(vectors @ liked, abs=1e-6)
    cosines = item_cosines(np.array([0, 0, 1]), np.array([0, 1, 1]), 2, 3)
    assert cosines == pytest.approx(np.array([[0, 0.5**0.5, 0], [0.5**0.5, 0, 0], [0, 0, 0]]))


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore:Method expects CSR")
def test_item_to_item_filtering_is_that_of_implicit():
    from implicit.nearest_neighbours import CosineRecommender
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(0)
    user, item = np.unique(rng.integers([40, 15], size=(300, 2)), axis=0).T
    liked = csr_matrix((np.ones(len(user)), (user, item)), (40, 15))
    theirs = CosineRecommender(K=15)
    theirs.fit(liked, show_progress=False)
    similar = theirs.similarity.toarray()
    np.fill_diagonal(similar, 0)

    assert item_cosines(user, item, 40, 15) == pytest.approx(similar, abs=1e-5)
