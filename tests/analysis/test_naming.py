"""Names of groups: what people said comes first, what the network sees last, and nothing else counts."""

from __future__ import annotations

import numpy as np
import pytest

import lookalike
from lookalike.analysis.naming import group_names, unique_names
from lookalike.demo.flowers import write_flowers
from lookalike.search.mentions import kind_columns
from lookalike.storage.selection import Selection


def named(tmp_path, ids, groups, labels=None, seen=lambda group: [], **columns) -> list[str]:
    """The names of groups of items with these ids, labels and other columns."""
    vectors = np.random.default_rng(0).normal(size=(len(ids), 4)).astype(np.float32)
    if labels is not None:
        columns["label"] = labels
    collection = lookalike.from_vectors(tmp_path / "c.lookalike", vectors, ids, columns=columns)
    names = tuple(dict.fromkeys(("id", "tags", "label", *columns)))
    found = np.array(groups, np.int32)
    kinds = kind_columns(collection.snapshot)
    return group_names(Selection.of(collection.snapshot, names), found, max(groups) + 1, seen, kinds)


def numbered(count: int) -> list[str]:
    return [f"{number:04}.jpg" for number in range(count)]


def test_a_group_is_named_by_the_label_that_most_of_it_has(tmp_path):
    labels = ["rose"] * 8 + ["tulip"] * 2 + ["tulip"] * 9 + ["rose"]

    assert named(tmp_path, numbered(20), [0] * 10 + [1] * 10, labels) == ["rose", "tulip"]


def test_a_group_of_many_labels_has_its_two_commonest(tmp_path):
    labels = ["rose"] * 4 + ["tulip"] * 3 + ["lily"] * 3 + ["daisy"] * 10

    assert named(tmp_path, numbered(20), [0] * 10 + [1] * 10, labels) == ["rose, tulip", "daisy"]


def test_a_label_that_few_of_a_group_have_does_not_name_it(tmp_path):
    labels = ["rose"] + [None] * 9 + ["tulip"] * 3 + [None] * 7

    assert named(tmp_path, numbered(20), [0] * 10 + [1] * 10, labels) == ["unnamed", "tulip"]


def test_without_labels_the_values_of_a_column_name_groups_before_folders(tmp_path):
    ids = [f"{folder}/{number:03}.jpg" for folder in ("first", "second") for number in range(10)]
    kinds = ["rose"] * 8 + ["tulip"] * 12

    assert named(tmp_path, ids, [0] * 10 + [1] * 10, kind=kinds) == ["rose", "tulip"]


def test_a_column_with_a_value_for_each_picture_names_nothing(tmp_path):
    assert named(tmp_path, numbered(4), [0, 0, 1, 1], sku=["x1", "x2", "y1", "y2"]) == [
        "unnamed",
        "unnamed (2)",
    ]


def test_without_labels_folders_name_groups(tmp_path):
    ids = [f"{folder}/{number:03}.jpg" for folder in ("roses", "tulips") for number in range(10)]

    assert named(tmp_path, ids, [0] * 10 + [1] * 10) == ["roses", "tulips"]


def test_one_folder_for_all_names_nothing(tmp_path):
    ids = [f"photos/{number:03}.jpg" for number in range(20)]

    assert named(tmp_path, ids, [0] * 10 + [1] * 10) == ["unnamed", "unnamed (2)"]


def test_the_words_of_file_names_name_groups_but_those_that_all_have(tmp_path):
    ids = [f"image_{kind}_{number}.jpg" for kind in ("rose", "tulip") for number in range(10)]

    assert named(tmp_path, ids, [0] * 10 + [1] * 10) == ["rose", "tulip"]


def test_letters_between_digits_are_no_word_of_a_file_name(tmp_path):
    ids = [f"{number:x}9bead{number}c7.jpg" for number in range(10)]
    ids += [f"rose{number}.jpg" for number in range(10)]

    assert named(tmp_path, ids, [0] * 10 + [1] * 10) == ["unnamed", "rose"]


def test_the_words_of_captions_name_groups(tmp_path):
    captions = ["Ein roter Kahn im Hafen"] * 10 + ["Ein altes Haus"] * 10

    found = named(tmp_path, numbered(20), [0] * 10 + [1] * 10, caption=captions)

    assert set(found[0].split()) <= {"roter", "kahn", "hafen"}
    assert set(found[1].split()) <= {"altes", "haus"}


def test_what_the_network_sees_names_only_what_nothing_else_does(tmp_path):
    labels = ["rose"] * 10 + [None] * 10

    found = named(tmp_path, numbered(20), [0] * 10 + [1] * 10, labels, lambda group: ["hook", "tool"])

    assert found == ["rose", "hook"]


def test_groups_that_nothing_names_are_unnamed_and_told_apart():
    assert unique_names(["unnamed", "dog", "unnamed", "dog"]) == ["unnamed", "dog", "unnamed (2)", "dog (2)"]


@pytest.mark.slow
def test_drawn_flowers_without_names_are_flowers_or_unnamed(tmp_path):
    write_flowers(tmp_path / "all", count=60)
    (tmp_path / "flat").mkdir()
    for number, path in enumerate(sorted((tmp_path / "all").rglob("*.jpg"))):
        path.rename(tmp_path / "flat" / f"{number}.jpg")
    collection = lookalike.build(tmp_path / "flat", tmp_path / "c.lookalike")

    names = {one.name.split(" (")[0] for one in collection.cluster(6).clusters}

    assert names <= {"flower", "daisy", "unnamed"}
    assert "unnamed" in names
