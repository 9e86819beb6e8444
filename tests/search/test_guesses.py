"""A word that only the dictionary knows is guessed by its relatives, and said to be a guess."""

from __future__ import annotations

import numpy as np
import pytest

import lookalike
from lookalike.errors import UnknownWordError
from lookalike.models.registry import load_model
from lookalike.models.words import text_vector
from lookalike.search.lexicon import Lexicon, Meant
from lookalike.search.own_words import OwnWord, OwnWords

NETWORK = Lexicon(OwnWords(()), load_model(), 1280)


@pytest.fixture
def fruit(tmp_path):
    """60 vectors made elsewhere, labelled apple, pear or shirt."""
    around = np.eye(8, dtype=np.float32)[np.arange(60) % 3]
    vectors = around + np.random.default_rng(0).normal(0, 0.1, (60, 8)).astype(np.float32)
    names = [["apple", "pear", "shirt"][row % 3] for row in range(60)]
    ids = [f"{row}.jpg" for row in range(60)]
    return lookalike.from_vectors(tmp_path / "fruit.lookalike", vectors, ids, columns={"label": names})


def test_the_network_guesses_by_its_own_kinds_of_the_nearest_thing_above():
    meant = NETWORK.meant("sunflower")

    assert meant.lines == ["sunflower: a guess, by daisy and yellow lady's slipper, other kinds of flower"]
    np.testing.assert_array_equal(meant.vector, text_vector("flower"))
    assert meant.most == 0.3


def test_a_word_with_several_meanings_is_guessed_by_the_relatives_of_each():
    (line,) = NETWORK.meant("shorts").lines

    assert line == "shorts: a guess, by jean, another trouser; or by brassiere, another undergarment"


def test_what_cannot_be_seen_is_unknown():
    with pytest.raises(UnknownWordError, match="'democracy'"):
        NETWORK.meant("democracy")


def test_without_a_model_that_knows_words_the_collections_own_are_the_relatives(fruit):
    found = fruit.search(lookalike.Text("nectarine"), k=40)

    assert found.meant[0].lines == ["nectarine: a guess, by apple and pear, other kinds of edible fruit"]
    assert {*found.labels} == {"apple", "pear"}
    assert max(found.confidences) == pytest.approx(0.3)


def test_a_wider_word_is_guessed_by_the_kinds_of_it(fruit):
    assert fruit.meaning("fruit").lines == ["fruit: a guess, by apple and pear, kinds of it"]


def test_unknown_words_beside_a_guess_are_left_out_and_said(fruit):
    assert fruit.meaning("democracy fruit").lines == [
        "fruit: a guess, by apple and pear, kinds of it",
        "unknown, and left out: democracy",
    ]


def test_a_word_without_relatives_here_is_unknown(fruit):
    with pytest.raises(UnknownWordError, match="nothing in the collection is called that"):
        Lexicon(OwnWords(fruit.words()), None, 8).meant("poodle")


def test_a_guess_is_as_likely_as_its_likeliest_relative_up_to_its_highest():
    one, other = (OwnWord(name, "label", "", 9, np.eye(2)[at], 4.0, -3.0) for at, name in enumerate("ab"))
    guess = Meant("x", np.ones(2, np.float32), (), own=(one, other), most=0.3)
    vectors = np.array([[1, 0], [0.5, 0]], np.float32)

    odds = guess.odds(vectors, lambda cosines: cosines, lambda text, some: some)

    np.testing.assert_allclose(odds, [np.log(0.3 / 0.7), -1])
