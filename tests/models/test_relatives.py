"""The relatives of a word: kinds of it first, then other kinds of the nearest known thing above it."""

from __future__ import annotations

import pytest

from lookalike.models.relatives import relatives_among, said_of_kind, said_of_kinds

FRUIT = ["apple", "pear", "banana", "plum", "rose", "shirt"]


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ("ratite", "ostrich, another ratite"),
        ("citrus", "lemon and orange, other kinds of citrus"),
        ("shoe", "sandal, Loafer and running shoe, other kinds of shoe"),
        ("house", "monastery, cinema and 2 others, other kinds of house"),
        ("sandal", "sandal, of which it is a kind"),
        ("tank", "tank, of which it is a kind"),  # the tank of an army is a class
    ],
)
def test_the_kinds_of_a_term_are_named_the_best_known_first(term, said):
    assert said_of_kind(term) == said


@pytest.mark.slow
def test_every_term_above_a_related_word_has_what_is_said_of_it():
    said = said_of_kinds()

    assert said["ratite"] == "ostrich, another ratite"
    assert len(said) == 817


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("fruit", "apple, pear and 2 others, kinds of it"),
        ("garment", "shirt, a kind of it"),
        ("nectarine", "apple, pear and 2 others, other kinds of edible fruit"),
        ("lemon", "apple, pear and 2 others, other kinds of edible fruit"),
        ("tulip", "rose, another vascular plant"),
        ("tulips", "rose, another vascular plant"),
    ],
)
def test_kinds_of_a_word_go_before_other_kinds_of_what_is_above_it(word, said):
    assert str(relatives_among(word, FRUIT)) == said


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("democracy", FRUIT),  # cannot be seen
        ("broccoli", ["rose", "shirt"]),  # no relative is here
        ("animal", ["poodle", "rose"]),  # with 398 classes it says too little
        ("tulip", []),
        ("tulip", ["img 0001", "holiday"]),
    ],
)
def test_a_word_without_relatives_near_enough_has_none(word, names):
    assert relatives_among(word, names) is None


def test_dogs_are_the_widest_kind_that_says_something():
    assert str(relatives_among("puppy", ["poodle", "beagle"])) == "poodle and beagle, other kinds of dog"
