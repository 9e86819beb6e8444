"""What to label next: pictures that say most about the others."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import command

import lookalike
from lookalike.errors import LookalikeError
from lookalike.learning.choosing import doubts, most_telling


def piles(sizes: list[int]) -> np.ndarray:
    """Unit vectors around the axes, so many around each."""
    rng = np.random.default_rng(0)
    vectors = np.repeat(np.eye(8)[: len(sizes)], sizes, axis=0) + rng.normal(0, 0.05, (sum(sizes), 8))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def stored(path, labels: list[str | None], sizes: list[int]) -> lookalike.Collection:
    ids = [f"{number:02d}" for number in range(sum(sizes))]
    return lookalike.from_vectors(path / "c.lookalike", piles(sizes), ids, columns={"label": labels})


def test_without_labels_it_asks_for_one_of_each_pile_the_largest_first(tmp_path):
    collection = stored(tmp_path, [None] * 30, [15, 10, 5])

    first, second, third = (int(item.id) for item in collection.to_label(3))

    assert (first < 15, 15 <= second < 25, third >= 25) == (True, True, True)


def test_it_asks_for_what_is_unlike_the_labelled(tmp_path):
    collection = stored(tmp_path, ["a"] + [None] * 14 + ["b"] + [None] * 14, [15, 10, 5])

    (item,) = collection.to_label(1)

    assert int(item.id) >= 25


def test_each_is_asked_for_once_and_no_labelled_one(tmp_path):
    collection = stored(tmp_path, ["a"] * 10 + [None] * 20, [15, 10, 5])

    asked = [item.id for item in collection.to_label(50)]

    assert sorted(asked) == [f"{number:02d}" for number in range(10, 30)]
    said = command("identify", collection.path, "--ask", 2)
    assert said.stdout.split() == asked[:2]
    assert said.stderr == f"label them: lookalike identify {collection.path} id:… --as LABEL\n"


def test_the_gain_is_that_of_the_facility_location_function():
    vectors, weights = piles([4, 3]), np.float32([1, 1, 1, 1, 5, 5, 5])
    explained = np.zeros(7, np.float32)

    def value(chosen):
        best = np.maximum(vectors @ vectors[chosen].T, 0).max(axis=1) ** 3
        return float(weights @ best)

    (found,) = most_telling(vectors, weights, explained, 1)
    assert found == max(range(7), key=lambda place: value([place]))


def test_a_picture_between_two_labels_is_the_most_doubtful():
    known = piles([5, 5])
    asked = np.float32([[1, 0], [0, 1], [0.7071, 0.7071]]) @ np.eye(8, dtype=np.float32)[:2]

    found = doubts(asked, known, np.repeat([0, 1], 5), 2)

    assert found.argmax() == 2
    assert (found >= 0).all()
    assert (found <= 1).all()


def test_without_two_labels_all_are_doubtful():
    assert doubts(piles([3]), piles([2]), np.zeros(2, int), 1).tolist() == [1, 1, 1]


def test_a_count_below_one_is_an_error(tmp_path):
    with pytest.raises(LookalikeError, match="the number of pictures to label is 0"):
        stored(tmp_path, [None] * 30, [15, 10, 5]).to_label(0)
