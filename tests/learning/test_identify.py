"""Identification: a label where it is sure, unknown where it is not, and labels that people confirm."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import command
from hypothesis import given
from hypothesis import strategies as st

import lookalike
from lookalike.errors import ImageError, LookalikeError, QueryError, UnknownIdError
from lookalike.learning.class_scores import fit, probabilities, surprise
from lookalike.learning.identifier import least_probability, nearness
from lookalike.learning.identify import proposals
from lookalike.learning.saving import save_head
from lookalike.models.head_model import Branch, Layer, apply

KINDS = ("ash", "birch", "cherry")


def leaves(count: int, seed: int = 0, spread: float = 0.5) -> tuple[np.ndarray, list[str]]:
    """Unit vectors (count, 16) around three directions, in turn, and their kinds."""
    centres = np.random.default_rng(7).normal(size=(3, 16)) * 3
    vectors = centres[np.arange(count) % 3] + np.random.default_rng(seed).normal(0, spread, (count, 16))
    return unit(vectors), [KINDS[number % 3] for number in range(count)]


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def stored(path, vectors: np.ndarray, **columns) -> lookalike.Collection:
    ids = [f"{number:03d}" for number in range(len(vectors))]
    return lookalike.from_vectors(path / "c.lookalike", vectors, ids, columns=columns or None)


@pytest.fixture
def trees(tmp_path):
    """90 leaves; every tenth has no label."""
    vectors, kinds = leaves(90)
    return stored(tmp_path, vectors, label=[None if n % 10 == 4 else kind for n, kind in enumerate(kinds)])


def test_a_picture_like_those_of_a_label_has_that_label(trees):
    vectors, kinds = leaves(30, seed=1)

    found = trees.identify(vectors)

    answered = [one for one in found if one.label]
    assert [one.label for one in answered] == [
        kind for kind, one in zip(kinds, found, strict=True) if one.label
    ]
    assert len(answered) >= 20
    assert all(one.probability > 0.9 and one.reason == "" for one in answered)


def test_a_picture_unlike_all_that_is_labelled_is_strange(trees):
    found = trees.identify(unit(np.random.default_rng(3).normal(size=(20, 16))))

    assert [(one.label, one.reason) for one in found] == [(None, "strange")] * 20


def test_a_head_that_finds_a_known_label_in_everything_does_not_keep_it_from_being_strange(trees, tmp_path):
    centres = unit(np.stack([leaves(90)[0][number::3].mean(axis=0) for number in range(3)]))
    scores = Layer(20 * centres.T, np.zeros(3, np.float32))
    head = [Branch((scores,), end="softmax"), Branch((), weight=0.3)]
    save_head(tmp_path / "m", "m", trees.snapshot.manifest.model, head)
    sharp = lookalike.build(trees.path, tmp_path / "sharp.lookalike", model=f"{tmp_path}/m/")
    strangers = apply(head, unit(np.random.default_rng(3).normal(size=(20, 16))))
    known = apply(head, leaves(30, seed=1)[0])

    assert {one.reason for one in sharp.identify(strangers)} == {"strange"}
    assert [one.label for one in sharp.identify(known)] == [
        one.label for one in trees.identify(leaves(30, seed=1)[0])
    ]


def test_an_odd_picture_is_known_again_if_it_is_labelled(tmp_path):
    vectors, kinds = leaves(90)
    odd = unit(vectors[0] + 0.9 * np.eye(16)[3] * 2)
    without = stored(tmp_path / "a", vectors, label=kinds).identify(lookalike.Vector(odd))
    collection = stored(tmp_path / "b", np.concatenate([vectors, odd[None]]), label=[*kinds, "ash"])

    assert without.reason == "strange"
    assert collection.identify(lookalike.Vector(odd)).label == "ash"


def test_between_two_labels_it_is_not_sure(tmp_path):
    rng = np.random.default_rng(0)
    labels = ["left", "right"] * 60
    flat = rng.normal(0, 0.6, (120, 8)) + np.eye(8)[0] * 5
    flat[:, 1] += np.where(np.arange(120) % 2, 1.0, -1.0)

    (found,) = stored(tmp_path, unit(flat), label=labels).identify([unit(np.eye(8)[0])])

    assert (found.label, found.reason) == (None, "unsure")
    assert {name for name, _ in found.likely} == {"left", "right"}


def test_the_neighbours_are_the_nearest_with_the_label_and_not_the_item_itself(trees):
    found = trees.identify(lookalike.Id("003"))
    assert found.label == "ash"
    assert {hit.label for hit in found.neighbours} == {"ash"}
    scores = {row["id"]: vector @ trees.embeddings(["003"])[0]
              for row, vector in zip(trees.items().to_pylist(), trees.embeddings(), strict=True)
              if row["label"] == "ash" and row["id"] != "003"}  # fmt: skip
    assert found.neighbours.ids == sorted(scores, key=lambda id_: -scores[id_])[:5]


def test_a_labelled_copy_is_named_and_is_no_witness(trees):
    # A cosine of 0.9998, as in 8 bits.
    nearly = unit(trees.embeddings(["003"])[0] + 0.02 * np.eye(16, dtype=np.float32)[0])
    found, other = trees.identify([nearly, leaves(1, seed=1)[0][0]])
    assert (found.same, other.same, len(found.neighbours)) == ("003", None, 5)
    assert "003" not in found.neighbours.ids


def test_a_share_of_right_answers_can_be_asked_for(tmp_path):
    vectors, kinds = leaves(150, spread=3.0)
    collection = stored(tmp_path, vectors, label=kinds)
    others, _ = leaves(60, seed=1, spread=3.0)

    often, seldom = (
        sum(one.label is not None for one in collection.identify(others, right=right))
        for right in (0.6, 0.97)
    )
    assert often > seldom


def test_another_column_is_asked_by_its_name(tmp_path):
    vectors, kinds = leaves(60)
    collection = stored(tmp_path, vectors, species=kinds)

    assert collection.identify(lookalike.Vector(vectors[0]), label="species").label == "ash"
    with pytest.raises(LookalikeError, match="has no column 'genus'"):
        collection.identify(lookalike.Vector(vectors[0]), label="genus")


def test_a_single_label_is_answered_or_unknown(tmp_path):
    vectors, kinds = leaves(90)
    mine = [number for number, kind in enumerate(kinds) if kind == "ash"]
    collection = stored(tmp_path, vectors[mine], label=["ash"] * 30)

    found = [one.label for one in collection.identify(vectors[:3])]
    assert found == ["ash", None, None]


def test_only_what_a_view_shows_is_learned_from(trees):
    vectors, _ = leaves(3, seed=2)
    view = trees.where("label <> 'birch'")

    assert "birch" not in {name for one in view.identify(vectors) for name, _ in one.likely}


def test_labels_on_a_tenth_are_enough_where_kinds_are_distinct(tmp_path):
    vectors, kinds = leaves(400, spread=0.2)
    labels = [kind if number < 40 else None for number, kind in enumerate(kinds)]

    made = stored(tmp_path, vectors, label=labels).identify_missing()

    assert made.asked == 360
    assert len(made.proposed) > 250
    assert all(one.label == kinds[int(one.id)] for one in made.proposed)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([None] * 90, "no item of .* has a value in the column label; name another column"),
        ([f"one of a kind {n}" for n in range(90)], "only 0 pictures share a label with another"),
        (["ash"] * 4 + [None] * 86, "only 4 pictures share a label with another"),
    ],
)
def test_too_few_labels_are_a_clear_error(tmp_path, labels, said):
    vectors, _ = leaves(90)
    with pytest.raises(LookalikeError, match=said):
        stored(tmp_path, vectors, label=labels).identify(vectors[:1])


def test_words_cannot_be_identified(collection):
    with pytest.raises(QueryError):
        collection.identify(lookalike.Text("sea"))


def test_an_unreadable_picture_is_an_error_and_costs_no_other(collection, tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(ImageError):
        collection.identify(str(tmp_path / "a.jpg"))

    shown = command("identify", collection.path, tmp_path / "a.jpg", "id:sea/sea-002.png")

    assert shown.returncode == 1
    assert "id:sea/sea-002.png" in shown.stdout
    assert "not a readable image" in shown.stderr


# Proposals.


def test_proposals_wait_as_marks_until_they_are_confirmed(trees):
    made = trees.identify_missing(write=True)

    assert made.asked == 9
    assert {one.id: one.label for one in made.proposed}["004"] == "birch"
    assert trees.marks.kinds() == ["label_proposed"]
    assert trees.confirm("004") == 1
    assert [(mark.ids, mark.value) for mark in trees.marks.of("label")] == [(("004",), "birch")]
    assert len(trees.marks.of("label_proposed")) == len(made.proposed) - 1
    assert trees.confirm() == len(made.proposed) - 1
    assert trees.marks.of("label_proposed") == []


def test_a_confirmed_label_is_learned_from_and_no_longer_missing(trees):
    made = trees.identify_missing(write=True)
    trees.confirm()

    assert trees.identify_missing().asked == made.asked - len(made.proposed)


def test_a_label_that_somebody_gives_replaces_the_stored_one(trees):
    trees.give_label(["000", "003", "006"], "rowan")

    vector = trees.embeddings(["000"])
    assert "rowan" in {name for one in trees.identify(vector) for name, _ in one.likely}


def test_proposing_says_how_many_items_are_done(trees):
    said = []
    made = trees.identify_missing(on_progress=lambda done, total: said.append((done, total)))
    assert said == [(made.asked, made.asked)]


@pytest.mark.parametrize(("ids", "error"), [(["000"], LookalikeError), (["nobody"], UnknownIdError)])
def test_only_proposals_can_be_confirmed_all_or_none(trees, ids, error):
    trees.identify_missing(write=True)
    with pytest.raises(error):
        trees.confirm(["004", *ids])
    assert trees.marks.of("label") == []


def test_a_rejected_label_waits_no_more_and_is_not_proposed_again(trees):
    made = trees.identify_missing(write=True)
    trees.reject("004")

    assert len(proposals(trees.snapshot)) == len(made.proposed) - 1
    again = trees.identify_missing(write=True)
    assert {one.id for one in made.proposed} - {one.id for one in again.proposed} == {"004"}
    with pytest.raises(LookalikeError, match="no label is proposed for 004"):
        trees.reject("004")


def test_nothing_is_kept_unless_it_is_asked_for(trees):
    trees.identify_missing()
    assert trees.marks.kinds() == []


def test_an_empty_text_is_no_label(trees):
    with pytest.raises(LookalikeError, match="an empty text cannot be a label"):
        trees.give_label("004", " ")


def test_a_picture_that_is_not_there_is_said_before_anything_is_learned(tmp_path):
    made = stored(tmp_path / "c", unit(np.eye(16)[:3]), label=[None] * 3)

    with pytest.raises(UnknownIdError, match="has no item 'nope'"):
        made.identify(lookalike.Id("nope"))


# The command.


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("--proposed", "no label is proposed"),
        ("--confirm", "no label is proposed"),
        ("--fill", "all items have a label"),
    ],
)
def test_the_command_says_that_there_is_nothing_to_do(run, collection, asked, says):
    code, stdout, stderr = run("identify", collection.path, asked)

    assert (code, stdout) == (1, "")
    assert stderr.startswith(says)


def test_the_command_fills_lists_and_confirms(trees):
    filled = command("identify", trees.path, "--fill")
    assert (filled.returncode, "99%" in filled.stdout, "100%" in filled.stdout) == (0, True, False)
    assert "of 9 items without a label can be identified" in filled.stderr
    assert filled.stderr.endswith(f"if they are right: lookalike identify {trees.path} --confirm\n")
    listed = command("identify", trees.path, "--proposed", "--json")
    assert {one["id"] for one in json.loads(listed.stdout)} == {
        line.split()[-1] for line in filled.stdout.splitlines()
    }
    assert "1 item has a label now" in command("identify", trees.path, "id:004", "--confirm").stderr
    assert "1 proposal is withdrawn" in command("identify", trees.path, "id:024", "--reject").stderr
    assert command("identify", trees.path, "id:014", "--as", "cherry").returncode == 0
    assert {mark.ids: mark.value for mark in trees.marks.of("label")} == {
        ("004",): "birch",
        ("014",): "cherry",
    }


def test_the_command_prints_the_answer_as_json(trees):
    (found,) = json.loads(command("identify", trees.path, "id:003", "--json").stdout)

    assert (found["picture"], found["label"], found["reason"]) == ("id:003", "ash", "")
    assert len(found["neighbours"]) == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no picture is given"),
        (["--as", "oak"], "no item is given"),
        (["nope.jpg"], "there is no file nope.jpg\n  give a file, or id:… for an item\n"),
        (["ash"], "there is no file ash\n  give a file, or id:… for an item\n"),
        (["0003"], "there is no file 0003\n  did you mean id:003?\n"),
        (["text:ash"], "text:ash is no picture\n  give a file, or id:… for an item\n"),
        ([__file__, "--as", "ash"], "test_identify.py is not in "),
    ],
)
def test_the_command_says_what_to_give(trees, words, said):
    shown = command("identify", trees.path, *words)
    assert shown.returncode == 1
    assert said in shown.stderr


def test_pictures_may_stand_before_and_after_flags(trees):
    shown = command("identify", trees.path, "id:000", "--label", "label", "id:003", "--json")
    assert [one["picture"] for one in json.loads(shown.stdout)] == ["id:000", "id:003"]


# The parts.


def test_a_discriminant_is_that_of_scikit_learn():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    vectors, kinds = leaves(60, spread=1.5)
    _, classes = np.unique(kinds, return_inverse=True)

    (ours,) = fit(vectors, classes, 3, [0.0])

    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=[1 / 3] * 3).fit(vectors, classes)
    # Theirs divides by N, ours by N - C.
    scores = probabilities(ours.scores(vectors), 57 / 60)
    assert scores == pytest.approx(theirs.predict_proba(vectors), abs=1e-3)


def test_with_fewer_vectors_than_dimensions_it_is_the_same():
    vectors, kinds = leaves(30, spread=1.5)
    _, classes = np.unique(kinds, return_inverse=True)
    wide = np.pad(vectors, ((0, 0), (0, 30)))

    (plain,) = fit(wide[:, :16], classes, 3, [0.5])
    # Of 46 dimensions the same spread is the mean of 46, so the sphere is smaller by 16/46.
    shrinkage = 0.5 / (0.5 + 0.5 * 16 / 46)
    (other,) = fit(wide, classes, 3, [shrinkage])

    ratio = (1 - shrinkage) / 0.5
    expected = probabilities(plain.scores(vectors), 1.0)
    assert probabilities(other.scores(wide), 1 / ratio) == pytest.approx(expected, abs=1e-4)


def test_the_surprise_is_the_mean_of_minus_log_of_the_true_probability():
    scores = np.float32([[0, 0], [2, 0]])
    expected = (np.log(2) + np.log(1 + np.e**2)) / 2
    assert surprise(scores, np.array([0, 1]), 1.0) == pytest.approx(expected)


def test_nearness_is_the_mean_cosine_with_the_nearest_five_of_the_class():
    known = unit(np.random.default_rng(0).normal(size=(12, 4)))
    classes = np.array([0] * 8 + [1] * 3 + [2])
    asked = unit(np.random.default_rng(1).normal(size=(3, 4)))

    cosines = asked @ known.T
    found = nearness(cosines, classes, np.array([0, 1, 2]))
    assert found[0] == pytest.approx(np.sort(cosines[0, :8])[-5:].mean(), abs=1e-6)
    assert found[1] == pytest.approx(cosines[1, 8:11].mean(), abs=1e-6)
    assert found[2] == pytest.approx(cosines[2, 11], abs=1e-6)


def test_the_least_probability_is_where_enough_answers_are_right_beyond_chance():
    chances = np.linspace(1, 0.1, 100)
    correct = np.arange(100) < 60
    # 60 right of n are 0.9 and its standard error, at most: n = 64, 0.9375 - 0.0375; of 65, 0.9231 - 0.0372.
    assert least_probability(chances, correct, 0.9) == pytest.approx(chances[63])


def test_nothing_is_an_answer_if_too_few_are_right():
    assert least_probability(np.linspace(1, 0, 8), np.ones(8, bool), 0.9) == 2.0


@given(
    st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.7, 0.9]), st.booleans()), max_size=40),
    st.floats(0.5, 0.99),
)
def test_of_those_that_are_as_likely_enough_are_right(pairs, right):
    chances, correct = (np.array([pair[at] for pair in pairs], kind) for at, kind in ((0, float), (1, bool)))
    least = least_probability(chances, correct, right)
    answered = chances >= least
    assert not answered.any() or correct[answered].mean() > right
