"""The names that ids mention are those of a slow loop over every id."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import PurePosixPath

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import lookalike
from lookalike.models.spelling import STOP_WORDS, spelling
from lookalike.search.mentions import mentions

PIECES = ("dog", "Cat_", "12", "7", "-", "of", "tree.", "x9", "IMG", "ö")
names = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join)
ids = st.lists(
    st.lists(names, min_size=1, max_size=3).map("/".join).filter(lambda one: one.strip("./")),
    min_size=2,
    max_size=12,
    unique=True,
)


def slowly(of: list[str]) -> dict[str, list[int]]:
    """The rows of each word of file names that three rows have, and not more than half of all."""
    found = defaultdict(list)
    for row, one in enumerate(of):
        stem = PurePosixPath(one.rsplit("/", 1)[-1]).stem.lower()
        words = re.findall(r"(?<![^\W_])[^\W\d_]{3,}(?![^\W_])", stem)
        for word in sorted(set(words) - STOP_WORDS):
            found[word].append(row)
    return {word: rows for word, rows in found.items() if 3 <= len(rows) <= len(of) / 2}


@given(ids)
@settings(max_examples=20, database=None)
def test_the_words_of_file_names_are_those_of_a_slow_loop(tmp_path_factory, of):
    path = tmp_path_factory.mktemp("named") / "c.lookalike"
    collection = lookalike.from_vectors(path, np.eye(len(of), dtype=np.float32), of)

    named = mentions(collection.snapshot)
    folders = {spelling(one.name) for one in named if one.origin == "folder"}

    found = {one.name: one.rows.tolist() for one in named if one.origin == "file name"}
    assert found == {word: rows for word, rows in slowly(of).items() if word not in folders}


def test_a_word_that_a_number_touches_is_none_whatever_the_number(tmp_path):
    of = [*(f"dog{number}.jpg" for number in range(8)), *(f"cat_{number}.jpg" for number in range(8))]
    collection = lookalike.from_vectors(tmp_path / "c.lookalike", np.eye(16, dtype=np.float32), of)

    (cat,) = mentions(collection.snapshot)

    assert (cat.name, cat.origin, cat.rows.tolist()) == ("cat", "file name", [8, 9, 10, 11, 12, 13, 14, 15])


def of_parts(collection):
    return {
        one.name: (one.rows.tolist(), one.column)
        for one in mentions(collection.snapshot)
        if one.origin == "part"
    }


def drinks(path, column, model="elsewhere"):
    """Eight items, two of each value, and two without one; juice is four of ten, apple two."""
    values = ["Bravo-Apple-Juice", "Rio Orange Juice", "Tea, mild", "Tea, 2x"]
    columns = {column: [one for one in values for _ in range(2)] + [None, None]}
    vectors = np.eye(10, 1280, dtype=np.float32)
    return lookalike.from_vectors(
        path / "c.lookalike", vectors, list("abcdefghij"), columns=columns, model=model
    )


def test_the_words_of_labels_are_words_of_all_that_have_them_and_the_unlabelled_may_show_them(tmp_path):
    made = drinks(tmp_path, "label")

    assert of_parts(made) == {"juice": ([0, 1, 2, 3], "label"), "tea": ([4, 5, 6, 7], "label")}
    (juice,) = (one for one in mentions(made.snapshot) if one.name == "juice")
    assert juice.known.tolist() == [True] * 8 + [False] * 2
    assert [str(one) for one in made.words() if one.origin == "part"] == [
        "juice: in your labels, 4 pictures",
        "tea: in your labels, 4 pictures",
    ]


def test_the_words_of_a_columns_values_are_said_to_be_of_that_column(tmp_path):
    said = [str(one) for one in drinks(tmp_path, "kind").words() if one.origin == "part"]

    assert said[0] == "juice: in your column kind, 4 pictures"


def test_a_part_of_a_label_that_the_built_in_network_knows_is_the_networks(tmp_path):
    labels = [f"{brand} {kind}" for kind in ("apple", "gadget") for brand in ("Rio", "Tip", "Bio", "Zap")]
    vectors = np.eye(8, 1280, dtype=np.float32)
    made = lookalike.from_vectors(
        tmp_path / "c", vectors, list("abcdefgh"), columns={"label": labels}, model="efficientnet-lite0"
    )

    assert set(of_parts(made)) == {"gadget"}
