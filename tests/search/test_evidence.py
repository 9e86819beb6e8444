"""What speaks for a hit: likeness, words and the labels around it; what is unwanted speaks against it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lookalike
from lookalike.demo.flowers import draw_flower
from lookalike.errors import UnknownWordError
from lookalike.search.confidence import Background, Distribution
from lookalike.search.evidence import NEIGHBOURS, by_confidence, confidence_of, sharpened
from lookalike.search.query import Direction, Side

BACKGROUND = Background(400, Distribution.of(np.linspace(0, 1, 1001, dtype=np.float32)), by_cosine=True)
AXES = np.eye(4, dtype=np.float32)


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    """Drawn daisies, roses and tulips, 12 of each, with their kinds as labels."""
    folder = tmp_path_factory.mktemp("flowers")
    for kind, seed in product(("daisy", "rose", "tulip"), range(1, 13)):
        (folder / "all" / kind).mkdir(parents=True, exist_ok=True)
        draw_flower(kind, seed).save(folder / "all" / kind / f"{kind}-{seed:03d}.jpg", quality=90)
    return lookalike.build(folder / "all", folder / "c.lookalike", label="folder")


def confidence(wanted, unwanted, hits) -> np.ndarray:
    direction = Direction(AXES[0], wanted, tuple(unwanted))
    return confidence_of(BACKGROUND, direction, hits @ AXES[0], lambda: None, lambda: hits)


def between(*weights: float) -> np.ndarray:
    """A unit vector (1, 4) with these cosines to the first axes."""
    rest = max(0.0, 1 - sum(one**2 for one in weights)) ** 0.5
    return np.array([[*weights, *[0.0] * (3 - len(weights)), rest]], np.float32)


def test_what_is_like_the_unwanted_is_doubted_and_what_is_not_is_believed():
    liked, disliked = Side(AXES[0]), Side(AXES[1])
    hits = np.concatenate([between(0.8, 0.1), between(0.8, 0.6), between(0.1, 0.8)])

    alone, (good, mixed, bad) = confidence(liked, [], hits), confidence(liked, [disliked], hits)

    assert good == pytest.approx(alone[0], abs=0.01)
    assert good > mixed + 0.05 > bad + 0.5


def test_what_is_only_unwanted_leaves_the_rest_likely():
    found = confidence(None, [Side(AXES[1])], np.concatenate([between(0.1, 0.1), between(0.1, 0.9)]))

    assert found[0] > 0.9
    assert found[1] < 0.1


def test_of_several_unwanted_the_likest_counts():
    hit = between(0.7, 0.6)

    one = confidence(Side(AXES[0]), [Side(AXES[1])], hit)
    two = confidence(Side(AXES[0]), [Side(AXES[2]), Side(AXES[1])], hit)

    assert two == pytest.approx(one)


def test_the_neighbours_vote_with_their_labels():
    found = sharpened(
        np.array([0.9, 0.9, 0.9]), ["rose", "tulip", None], np.float32([0.9] * 4), ["rose"] * 3 + ["tulip"]
    )

    assert found == pytest.approx([0.81, 0.20, 0.9], abs=0.02)


def test_a_nearer_neighbour_counts_more():
    near, far = np.float32([0.9, 0.6, 0.6]), np.float32([0.9, 0.9, 0.9])
    labels = ["rose", "tulip", "tulip"]

    assert sharpened(np.array([0.9]), ["rose"], near, labels)[0] > 0.95
    assert sharpened(np.array([0.9]), ["rose"], far, labels)[0] < 0.35


def test_labels_do_not_make_a_stranger_known():
    found = sharpened(np.array([0.03]), ["rose"], np.float32([0.2] * 10), ["rose"] * 10)

    assert found[0] < 0.15


def test_without_any_label_confidences_stay():
    assert sharpened(np.array([0.4]), [None], np.float32([0.5]), [None]).tolist() == [0.4]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["a", "b", None])), min_size=1, max_size=5),
    st.lists(st.tuples(st.floats(-1, 1, width=32), st.sampled_from(["a", "b", None])), max_size=NEIGHBOURS),
)
def test_sharpened_confidences_are_from_0_to_1(hits, near):
    found = sharpened(
        np.array([one for one, _ in hits]),
        [label for _, label in hits],
        np.float32([score for score, _ in near]),
        [label for _, label in near],
    )

    assert ((found >= 0) & (found <= 1)).all()


def test_a_condition_does_not_change_a_confidence(flowers):
    every = {hit.id: hit.confidence for hit in flowers.search(lookalike.Id("rose/rose-001.jpg"), k=36)}

    for hit in flowers.search(lookalike.Id("rose/rose-001.jpg"), k=36, where="label = 'tulip'"):
        assert hit.confidence == pytest.approx(every[hit.id], abs=1e-6)


def test_the_number_of_hits_does_not_change_a_confidence(flowers):
    ten = flowers.search(lookalike.Id("rose/rose-001.jpg"), k=10)
    one = flowers.search(lookalike.Id("rose/rose-001.jpg"), k=1)

    assert one[0].confidence == ten[0].confidence


def test_words_of_which_there_is_a_picture_are_found_with_confidence(flowers):
    assert flowers.search(lookalike.Text("daisy"), k=1)[0].confidence > 0.5


def test_hits_of_words_are_in_the_order_of_their_confidence(flowers):
    found = flowers.search(lookalike.Text("flower"), k=36)

    assert found.confidences.tolist() == sorted(found.confidences.tolist(), reverse=True)
    assert found.scores.tolist() != sorted(found.scores.tolist(), reverse=True)
    assert flowers.search(lookalike.Text("flower"), k=5).ids == found.ids[:5]


def test_words_with_a_picture_are_in_the_order_of_their_scores(flowers):
    found = flowers.search(lookalike.Text("flower") + lookalike.Id("rose/rose-001.jpg"), k=35)

    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)


def test_only_the_first_hundred_hits_are_ordered_among_themselves():
    confidences = np.linspace(0, 1, 250)

    expected = [*range(99, -1, -1), *range(199, 99, -1), *range(249, 199, -1)]
    assert by_confidence(confidences).tolist() == expected


def test_hits_that_are_equally_likely_stay_in_their_order():
    assert by_confidence(np.array([0.5, 0.9, 0.5, 0.9])).tolist() == [1, 3, 0, 2]


def test_words_of_which_there_is_none_are_not(flowers):
    asked = [
        "dog",
        "cat",
        "Persian cat",
        "streetcar",
        "piano",
        "shoe",
        "elephant",
        "castle",
        "airplane",
        "guitar",
    ]

    found = [flowers.search(lookalike.Text(word), k=1)[0].confidence for word in asked]

    assert max(found) < 0.5


def test_a_dislike_leaves_hits_that_are_believed(flowers):
    liked = [lookalike.Id(f"daisy/daisy-00{number}.jpg") for number in (1, 2)]

    found = flowers.recommend(liked, [lookalike.Id("tulip/tulip-001.jpg")], k=5)

    assert found.confidences.min() > 0.3
    assert found.labels == ["daisy"] * 5


def test_a_word_that_is_meant_is_offered_where_there_is_a_picture_of_it(flowers):
    with pytest.raises(UnknownWordError, match="does not know the word 'flowwer'") as caught:
        flowers.search(lookalike.Text("flowwer"))

    assert (caught.value.nearest, caught.value.hint) == (["flower"], "did you mean flower?")


@pytest.mark.parametrize("word", ["wombt", "brocoli"])
def test_a_word_of_which_there_is_no_picture_is_not_offered(flowers, word):
    with pytest.raises(UnknownWordError) as caught:
        flowers.search(lookalike.Text(word))

    assert (caught.value.nearest, caught.value.hint) == ([], "try another word or a picture")
