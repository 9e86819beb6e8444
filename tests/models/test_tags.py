"""Tags: what the built-in network says is in a picture, and where it says nothing."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from drawn import drawn_features
from numpy.typing import NDArray

from lookalike.errors import UnknownWordError
from lookalike.models.tags import common_tags, logits, presence, probabilities, tags
from lookalike.models.words import class_vectors, vocabulary

Floats = NDArray[np.float32]
DAISY, FLY, COLLIE = 985, 308, 231


@pytest.fixture(scope="module")
def daisies() -> Floats:
    return drawn_features("daisy", 12)


@cache
def nowhere() -> Floats:
    """A unit vector (1280,) that has a cosine of 0 with each class."""
    random = np.random.default_rng(0).normal(size=1280)
    known = class_vectors().astype(np.float64)
    rest = random - np.linalg.solve(known @ known.T, known @ random) @ known
    return rest / np.linalg.norm(rest)


def seen(cosine: float, number: int = DAISY, length: float = 14.5) -> Floats:
    """Features with this cosine to the vector of a class, (1, 1280); the rest of them points nowhere."""
    known, rest = class_vectors(), nowhere()
    away = known[number] - known.mean(axis=0)
    return ((cosine * away / np.linalg.norm(away) + np.sqrt(1 - cosine**2) * rest) * length)[None].astype(
        np.float32
    )


def names(features: Floats) -> list[list[str]]:
    return [[name for name, _ in row] for row in tags(features)]


def test_logits_are_products_with_the_class_vectors_plus_biases(daisies):
    known = vocabulary()
    by_hand = sum(float(a) * float(b) for a, b in zip(daisies[0], known.vectors[985], strict=True))

    assert logits(daisies).shape == (12, 1000)
    assert logits(daisies)[0, 985] == pytest.approx(by_hand + known.biases[985], abs=1e-4)


def test_probabilities_sum_to_one_however_large_the_features(daisies):
    for features in (daisies, daisies * 1000, daisies * 0):
        np.testing.assert_allclose(probabilities(features).sum(axis=1), np.ones(12), atol=1e-5)


def test_most_drawn_daisies_are_tagged_as_flowers(daisies):
    assert sum("flower" in row for row in names(daisies)) >= 9


@pytest.mark.slow
def test_drawn_flowers_that_the_network_has_no_name_for_are_hardly_tagged():
    for species in ("rose", "tulip", "lavender", "dandelion"):
        assert [name for row in names(drawn_features(species, 6)) for name in row if name != "flower"] == []


def test_a_class_needs_a_picture_that_points_where_the_class_does():
    near, between, far = names(np.concatenate([seen(0.36), seen(0.27), seen(0.1)]))

    assert sorted(near) == ["daisy", "flower"]
    assert between == ["flower"]
    assert far == []


def test_a_large_probability_is_not_enough_for_a_tag():
    far = seen(0.15, length=80)

    assert probabilities(far)[0, DAISY] > 0.9
    assert tags(far) == [[]]


def test_tags_come_the_most_likely_first_and_no_more_than_asked_for(daisies):
    for row in tags(np.concatenate([daisies, seen(0.4), seen(0.4, COLLIE)]), most=2):
        chances = [chance for _, chance in row]
        assert len(row) <= 2
        assert chances == sorted(chances, reverse=True)
        assert all(0.3 <= chance <= 1 for chance in chances)


def test_where_no_breed_is_likely_the_tag_is_dog():
    breeds = sum(seen(1, number) for number in (228, 229, 230, 231, 232, 235))
    between_breeds = breeds / np.linalg.norm(breeds) * 0.5 * 14.5 + seen(0) * 0.86

    (found,) = names(between_breeds.astype(np.float32))

    assert set(found) == {"animal", "dog"}


def test_where_nothing_is_likely_there_are_no_tags():
    assert tags(np.zeros((2, 1280), np.float32)) == [[], []]


def test_a_group_is_named_by_what_its_pictures_have_in_common_the_narrowest_name_first():
    daisy, fly = (seen(0.4, number) / 14.5 for number in (DAISY, FLY))

    assert common_tags(np.concatenate([daisy] * 9 + [fly])) == ["daisy", "flower"]
    assert common_tags(np.concatenate([daisy, fly] * 5)[:, ::-1].copy()) == []
    assert common_tags(seen(0.27) / 14.5) == ["flower"]


def test_a_word_is_present_where_its_classes_are_likely():
    daisy, nothing = seen(0.4) / 14.5, seen(0.02) / 14.5

    assert presence("daisy", np.concatenate([daisy, nothing])) == pytest.approx([1, 0], abs=0.1)
    assert presence("flower", daisy)[0] > 0.9
    assert presence("dog", daisy)[0] < 0.1


@pytest.mark.parametrize(("chance", "cosine"), [(0.5, 0.165), (0.2, 0.2343), (0.05, 0.3122)])
def test_the_more_a_picture_is_like_a_word_the_less_probability_it_needs(monkeypatch, chance, cosine):
    monkeypatch.setattr(
        "lookalike.models.tags.probabilities", lambda features: np.eye(1000)[[DAISY]] * chance
    )
    daisy = class_vectors()[DAISY]
    seen_so = cosine * daisy + np.sqrt(1 - cosine**2) * nowhere()

    assert presence("daisy", seen_so[None].astype(np.float32)) == pytest.approx([0.5], abs=0.001)


def test_of_two_words_both_have_to_be_there():
    daisy, fly = seen(0.4, DAISY), seen(0.4, FLY)
    both = (daisy + fly) / np.linalg.norm(daisy + fly)

    found = presence("a fly on a daisy", np.concatenate([both, daisy / 14.5]))

    assert found[0] > 0.5
    assert found[1] < 0.1


def test_an_unknown_word_is_an_error():
    with pytest.raises(UnknownWordError, match="the model does not know the word 'tulip'"):
        presence("tulip", seen(0.4))


@pytest.mark.parametrize(
    ("class_", "wider"),
    [
        ("web site", "computer"),
        ("menu", "food"),
        ("mask", "clothing"),
        ("balloon", "vehicle"),
        ("balloon", "aircraft"),
    ],
)
def test_a_page_is_no_computer_and_no_food_a_face_no_clothing_and_a_balloon_no_vehicle(class_, wider):
    number = vocabulary().classes.index(class_)

    (found,) = names(seen(0.6, number))

    assert class_ in found
    assert wider not in found
