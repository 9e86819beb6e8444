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
