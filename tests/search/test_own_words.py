"""Own words: what a collection names itself can be searched for, and what people teach goes before it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import build, write_pictures
from hypothesis import given
from hypothesis import strategies as st

import lookalike
from lookalike.errors import QueryError, UnknownIdError, UnknownWordError
from lookalike.search.engine import Engine
from lookalike.search.mentions import mentions
from lookalike.search.own_words import calibrated, learnt, own_words
from lookalike.search.spread import Spread

BRICKS = ["brick/brick-000.jpg", "brick/brick-003.jpg", "brick/brick-006.jpg"]


@pytest.fixture
def named(tmp_path):
    """42 pictures of bricks, meadows and seas in folders of these names, without labels."""
    return build(write_pictures(tmp_path / "photos", 42), tmp_path / "photos.lookalike")[0]


def test_labels_are_words_of_a_model_that_knows_none(collection):
    found = collection.search(lookalike.Text("meadow"), k=14)

    assert found.labels == ["meadow"] * 14
    assert [one.lines for one in found.meant] == [["meadow: your label, 14 pictures"]]
    assert found.confidences[0] > 0.9


def test_words_are_shown_by_what_is_said_of_them(collection):
    assert repr(collection.words()[0]) == "OwnWord(brick: your label, 14 pictures)"
    assert (
        repr(collection.meaning("a sea house"))
        == "Meant('a sea house': sea: your label, 14 pictures; unknown, and left out: house)"
    )


def test_folders_are_words(named):
    found = named.search(lookalike.Text("meadow"), k=14)

    assert {id_.split("/")[0] for id_ in found.ids} == {"meadow"}
    assert found.meant[0].lines == ["meadow: your folder, 14 pictures"]


@pytest.mark.parametrize("text", ["meadow", "meadows", "Meadow's", "a photo of the MEADOW"])
def test_case_and_number_make_no_difference(collection, text):
    assert collection.search(lookalike.Text(text), k=3).labels == ["meadow"] * 3


def test_the_known_words_of_a_text_are_searched_and_the_others_are_said(collection):
    found = collection.search(lookalike.Text("a cottage on the meadow"), k=3)

    assert found.labels == ["meadow"] * 3
    assert found.meant[0].unknown == ("cottage",)
    assert found.meant[0].lines[1] == "unknown, and left out: cottage"


def test_a_text_without_a_known_word_is_an_error_with_the_word_that_may_be_meant(collection):
    with pytest.raises(UnknownWordError, match="the word 'meadwo' is unknown") as caught:
        collection.search(lookalike.Text("meadwo"))

    assert caught.value.nearest == ["meadow"]


def test_several_words_are_all_wanted(collection):
    both = collection.search(lookalike.Text("meadow and sea"), k=1)

    assert [one.name for one in both.meant[0].own] == ["meadow", "sea"]
    assert both.confidences[0] < 0.5


def test_pictures_of_other_things_are_not_believed(collection):
    found = collection.search(lookalike.Text("meadow"), k=28, where="label <> 'meadow'")

    assert found.confidences.max() < 0.5


def test_words_are_learnt_once_for_a_state(copied):
    collection = copied
    collection.search(lookalike.Text("sea"), k=1)
    path = collection.path / "derived" / "own_words.npz"
    before = path.stat().st_mtime_ns

    with np.load(path) as stored:
        heading = json.loads(stored["heading"].tobytes())
    lookalike.open(collection.path).search(lookalike.Text("sea"), k=1)

    assert (heading["format"], len(heading["words"])) == ("lookalike-own-words", 3)
    assert path.stat().st_mtime_ns == before


def test_that_a_collection_names_nothing_is_found_out_once(tmp_path, monkeypatch):
    vectors = np.eye(4, dtype=np.float32)
    collection = lookalike.from_vectors(tmp_path / "c.lookalike", vectors, ["1", "2", "3", "4"])
    assert not own_words(collection.snapshot, lambda rows: vectors[rows]).words

    monkeypatch.setattr("lookalike.search.own_words.mentions", None)
    assert not own_words(collection.snapshot, lambda rows: vectors[rows]).words


def test_vectors_are_read_once_for_all_words(collection):
    read = []
    engine = Engine(collection.snapshot)

    learnt(
        mentions(collection.snapshot),
        len(collection),
        lambda rows: read.append(rows) or engine.vectors_at(rows),
    )

    assert [rows.tolist() for rows in read] == [list(range(42))]


def test_a_damaged_file_of_words_is_made_again(copied):
    collection = copied
    collection.search(lookalike.Text("sea"), k=1)
    (collection.path / "derived" / "own_words.npz").write_bytes(b"PK\x03\x04 damaged")

    assert lookalike.open(collection.path).search(lookalike.Text("sea"), k=2).labels == ["sea", "sea"]


# Teaching.


def test_a_taught_word_is_searched_for_and_is_a_tag(named):
    named.teach("wall", like=BRICKS, unlike="sea/sea-002.png")

    found = named.search(lookalike.Text("wall"), k=5)
    tagged = named.where("list_contains(taught, 'wall')").ids

    assert {id_.split("/")[0] for id_ in found.ids} == {"brick"}
    assert found.meant[0].lines == ["wall: taught by 3 pictures"]
    assert set(BRICKS) <= set(tagged)
    assert {id_.split("/")[0] for id_ in tagged} == {"brick"}


def test_examples_are_added_and_the_last_word_about_a_picture_wins(named):
    named.teach("Wall", like=BRICKS)
    named.teach("wall", like="sea/sea-002.png", unlike=BRICKS[0])

    (word,) = named.teach()

    assert (word.name, word.count) == ("Wall", 3)
    assert "taught" in named.to_arrow().column_names
    assert "Wall" not in (named.to_arrow().to_pylist()[named.ids.index(BRICKS[0])]["taught"] or [])


def test_a_word_of_one_picture_is_that_picture(named):
    named.teach("wall", like=BRICKS[0])

    found = named.search(lookalike.Text("wall"), k=2)

    assert found.ids[0] == BRICKS[0]
    assert found.scores[0] == pytest.approx(1, abs=1e-5)


def test_what_is_taught_goes_before_a_folder_of_that_name(named):
    named.teach("sea", like=BRICKS)

    assert named.search(lookalike.Text("sea"), k=1).ids[0].startswith("brick/")

    named.forget("sea")
    assert named.search(lookalike.Text("sea"), k=1).ids[0].startswith("sea/")


def test_every_folder_can_be_taught_and_a_build_brings_more_examples(named, tmp_path):
    assert [one.name for one in named.teach_from("folder")] == ["brick", "meadow", "sea"]

    write_pictures(tmp_path / "photos", 45)
    again = build(tmp_path / "photos", tmp_path / "photos.lookalike")[0]

    assert [one.count for one in again.teach()] == [15, 15, 15]
    assert again.to_arrow()["taught"].to_pylist().count(["sea"]) == 15


def test_taught_words_survive_a_rename(named, tmp_path):
    named.teach("wall", like=BRICKS)
    (tmp_path / "photos" / "brick").rename(tmp_path / "photos" / "b")

    again = build(tmp_path / "photos", tmp_path / "photos.lookalike")[0]

    assert [(one.name, one.count) for one in again.words() if one.origin == "taught"] == [("wall", 3)]


def test_a_word_of_removed_pictures_is_no_word(named):
    named.teach("wall", like=BRICKS)
    named.remove(BRICKS)

    assert {one.name for one in named.words()} == {"brick", "meadow", "sea"}
    with pytest.raises(QueryError, match=r"the pictures that taught 'wall' are no longer in "):
        named.search(lookalike.Text("wall"))


def test_the_first_word_of_vectors_made_elsewhere_can_be_taught(tmp_path):
    made = lookalike.from_vectors(tmp_path / "c", np.eye(12), [f"{row:02}" for row in range(12)])

    assert [str(one) for one in made.teach("one", like=["03", "05"])] == ["one: taught by 2 pictures"]


def test_taught_words_name_clusters(named):
    named.teach("wall", like=[id_ for id_ in named.ids if id_.startswith("brick/")][:12])

    assert "wall" in [one.name for one in named.cluster(3).clusters]


@pytest.mark.parametrize(
    ("word", "like", "unlike", "message"),
    [
        ("wall", [], ["sea/sea-002.png"], "nothing shows what 'wall' is; name at least one item"),
        ("wall", BRICKS, BRICKS[1:2], "'brick/brick-003.jpg' is both like and unlike 'wall'"),
        ("of the", BRICKS, [], "'of the' cannot be a word"),
        ("", BRICKS, [], "'' cannot be a word"),
        ("w" * 101, BRICKS, [], "at most 100 characters"),
        ("a\x00b", BRICKS, [], "cannot be a word"),
    ],
)
def test_a_word_that_cannot_be_taught_says_why_and_leaves_no_mark(named, word, like, unlike, message):
    with pytest.raises(QueryError, match=r"cannot be|nothing shows|both like") as caught:
        named.teach(word, like, unlike)

    assert message in str(caught.value)
    assert len(named.marks) == 0


def test_an_unknown_item_teaches_nothing(named):
    with pytest.raises(UnknownIdError, match=r"no item 'brick-000.jpg'"):
        named.teach("wall", like=["brick-000.jpg", *BRICKS])

    assert len(named.marks) == 0


def test_a_word_is_taught_by_values_of_several_columns(named):
    named.give_label(["brick/brick-000.jpg", "meadow/meadow-001.jpg"], "sea")
    named.teach_from("folder")
    named.teach_from("label")
    named.teach_from("label")

    assert {one.name: one.count for one in named.teach()} == {"brick": 14, "meadow": 14, "sea": 16}
    (mark,) = named.marks.of("word:sea")
    assert mark.value == [{"column": "folder", "value": "sea"}, {"column": "label", "value": "sea"}]


def test_only_a_taught_word_is_forgotten(named):
    named.teach("wall", like=BRICKS)

    with pytest.raises(QueryError, match="nobody taught the word 'sea'; taught are: wall"):
        named.forget("sea")


def test_a_column_that_has_no_text_teaches_nothing(named):
    with pytest.raises(QueryError, match=r"there is no column of words 'width'"):
        named.teach_from("width")


# The arithmetic.


def test_scores_far_apart_are_told_apart_but_few_examples_are_not_trusted_blindly():
    others = np.random.default_rng(1).normal(0, 0.05, 400).astype(np.float32)

    def chance(examples: int, score: float) -> float:
        slope, intercept = calibrated(np.full(examples, 0.5, np.float32), others, 0.05)
        return float(1 / (1 + np.exp(-(slope * score + intercept))))

    assert chance(40, 0.5) > 0.95 > chance(2, 0.5) > 0.5
    assert chance(40, 0.0) < 0.01


def test_a_word_that_vectors_do_not_show_has_its_share_everywhere():
    others = np.random.default_rng(1).normal(0.1, 0.05, 400).astype(np.float32)

    slope, intercept = calibrated(np.full(20, -0.2, np.float32), others, 0.25)

    assert (slope, intercept) == (0, pytest.approx(np.log(1 / 3)))


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20),
    st.lists(st.floats(-1, 1, width=32), min_size=0, max_size=20),
    st.floats(0.001, 0.5),
)
def test_any_scores_give_a_line_that_never_falls(shown, others, share):
    slope, intercept = calibrated(np.float32(shown), np.float32(others), share)

    assert slope >= 0
    assert np.isfinite(intercept)


@pytest.mark.parametrize("count", [6, 40])
def test_a_ridge_divides_by_the_covariance_whether_rows_or_dimensions_are_fewer(count):
    vectors = np.random.default_rng(2).normal(size=(count, 12)).astype(np.float32)
    difference = np.random.default_rng(3).normal(size=(1, 12)).astype(np.float32)
    centred = vectors - vectors.mean(axis=0)
    scatter = centred.T @ centred

    found = Spread(np.arange(count), vectors).apart(difference, 10.0)

    wanted = np.linalg.solve(scatter + 10 * np.trace(scatter) / 12 * np.eye(12), difference[0])
    np.testing.assert_allclose(found[0], wanted / np.linalg.norm(wanted), atol=1e-4)


def test_a_word_of_one_picture_is_a_tag_only_of_what_is_nearly_the_same(tmp_path):
    cosines = np.array([1, 0.85, 0.7, 0.6, 0.1, 0, 0, 0, 0, 0])
    vectors = np.zeros((10, 1280), np.float32)
    vectors[:, 0] = cosines
    vectors[np.arange(10), np.arange(10) + 1] = np.sqrt(1 - cosines**2)
    made = lookalike.from_vectors(tmp_path / "c", vectors, list("abcdefghij"), model="efficientnet-lite0")

    made.teach("rex", like=["a"])

    tags = dict(zip(made.ids, made.to_arrow()["taught"].to_pylist(), strict=True))
    assert [id_ for id_, words in tags.items() if words] == ["a", "b"]
