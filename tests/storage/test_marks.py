"""Marks: the last word wins, under any name of the picture, whoever writes at the same time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from marking import START, A, B, C, mark

from lookalike.errors import LookalikeError
from lookalike.storage import marks as module
from lookalike.storage.marks import Mark, compact_marks, marks_problems, read_marks, write_marks

# What a mark is.


def test_a_mark_is_read_back_as_it_was_written(tmp_path):
    said = mark(0, "note", {"a.jpg": A, "b.jpg": ""}, {"text": "größer", "n": [1, 2.5, True, None]})

    write_marks(tmp_path, [said])

    assert read_marks(tmp_path).last == (said,)
    assert read_marks(tmp_path).of("note") == [said]


def test_a_time_is_kept_in_utc():
    said = Mark(datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2))), "note", (), (), 1)

    assert (said.at.hour, said.at.tzinfo) == (12, UTC)


def test_a_mark_does_not_change_with_the_value_it_was_given():
    value = ["beach"]
    said = mark(0, "note", {}, value)
    value.append("sea")

    assert said.value == ["beach"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"at": datetime(2026, 3, 1)}, "the time 2026-03-01 00:00:00 has no time zone"),
        ({"kind": ""}, "the kind is '', it has to be non-empty text"),
        ({"ids": ("",)}, "each has to be non-empty text"),
        ({"ids": ("\ud800",)}, "each has to be non-empty text"),
        ({"sha256s": ("A" * 64,)}, "each has to be 64 digits 0-9a-f, or empty"),
        ({"sha256s": ("a" * 63,)}, "each has to be 64 digits 0-9a-f, or empty"),
        ({"sha256s": ()}, "it has 1 ids and 0 sha256s"),
        ({"ids": ("a", "a"), "sha256s": (A, B)}, "an id occurs twice"),
        ({"value": float("nan")}, "JSON cannot hold the value"),
        ({"value": object()}, "JSON cannot hold the value"),
        ({"value": "\ud800"}, "JSON cannot hold the value"),
    ],
)
def test_what_is_no_mark_is_refused(changes, message):
    fields = {"at": START, "kind": "label", "ids": ("a",), "sha256s": (A,), "value": 1, **changes}
    with pytest.raises(LookalikeError, match=re.escape(message)):
        Mark(**fields)


# The last word.


def test_the_last_word_wins_in_whatever_order_they_are_written(tmp_path):
    write_marks(tmp_path, [mark(2, "label", {"a": A}, "cat")])
    write_marks(tmp_path, [mark(1, "label", {"a": A}, "dog")])

    assert [one.value for one in read_marks(tmp_path).of("label")] == ["cat"]


def test_a_taken_back_mark_is_gone(tmp_path):
    write_marks(tmp_path, [mark(1, "favourite", {"a": A}, True), mark(1, "favourite", {"b": B}, True)])
    write_marks(tmp_path, [mark(2, "favourite", {"a": A}, None)])
    found = read_marks(tmp_path)

    assert [one.ids for one in found.of("favourite")] == [("b",)]
    assert (len(found), found.kinds()) == (1, ["favourite"])


def test_a_mark_can_be_made_again_after_it_was_taken_back(tmp_path):
    write_marks(
        tmp_path, [mark(second, "label", {"a": A}, value) for second, value in enumerate([1, None, 2])]
    )

    assert read_marks(tmp_path).column("label", ["a"], [A]) == [2]


def test_the_order_of_the_pictures_does_not_matter(tmp_path):
    write_marks(tmp_path, [mark(1, "same", {"a": A, "b": B}, 1), mark(2, "same", {"b": B, "a": A}, None)])

    assert len(read_marks(tmp_path)) == 0


def test_a_mark_of_the_content_of_before_is_not_overwritten(tmp_path):
    write_marks(tmp_path, [mark(1, "label", {"a": A}, "cat"), mark(2, "label", {"a": B}, "dog")])

    assert read_marks(tmp_path).column("label", ["a"], [A]) == ["cat"]
    assert read_marks(tmp_path).column("label", ["a"], [B]) == ["dog"]


def test_kinds_are_apart(tmp_path):
    write_marks(tmp_path, [mark(1, "label", {"a": A}, "cat"), mark(2, "note", {"a": A}, None)])

    assert read_marks(tmp_path).kinds() == ["label"]
    assert read_marks(tmp_path).of("note") == []


def test_marks_come_in_the_order_of_time(tmp_path):
    write_marks(tmp_path, [mark(second, "label", {str(second): A}, second) for second in (3, 1, 10, 2)])

    assert [one.value for one in read_marks(tmp_path).of("label")] == [1, 2, 3, 10]


def test_of_one_batch_the_latest_counts_wherever_it_stands(tmp_path):
    write_marks(tmp_path, [mark(2, "label", {"a": A}, "cat"), mark(1, "label", {"a": A}, "dog")])

    assert read_marks(tmp_path).column("label", ["a"], [A]) == ["cat"]


@pytest.mark.parametrize(("values", "last"), [((1, 2), 2), ((2, 1), 1), ((1, None), None), ((None, 1), 1)])
def test_of_one_batch_and_one_time_the_last_counts(tmp_path, values, last):
    write_marks(tmp_path, [mark(1, "label", {"a": A}, value) for value in values])

    assert read_marks(tmp_path).column("label", ["a"], [A]) == [last]


@pytest.mark.parametrize(("values", "last"), [(("y", "z"), "z"), (("z", "y"), "z"), ((None, "z"), None)])
def test_of_two_batches_at_one_time_the_greater_value_counts_and_taking_back_most(tmp_path, values, last):
    for value in values:
        write_marks(tmp_path, [mark(1, "label", {"a": A}, value)])

    assert read_marks(tmp_path).column("label", ["a"], [A]) == [last]


def test_the_order_of_files_does_not_show_in_what_is_read(tmp_path):
    batches = [[mark(1, "same", {"a": A, "b": B}, 1)], [mark(1, "same", {"b": B, "a": A}, 1)]]
    for root, ordered in ((tmp_path / "one", batches), (tmp_path / "two", batches[::-1])):
        for batch in ordered:
            write_marks(root, batch)

    assert read_marks(tmp_path / "one") == read_marks(tmp_path / "two")


def test_no_marks_are_no_file_and_no_folder(tmp_path):
    write_marks(tmp_path, [])

    assert list(tmp_path.iterdir()) == []
    assert read_marks(tmp_path).last == ()
    assert list(marks_problems(tmp_path)) == []
    compact_marks(tmp_path)


# Which items a mark is about.


def marks_of(tmp_path: Path, *said: Mark) -> module.Marks:
    write_marks(tmp_path, said)
    return read_marks(tmp_path)


def test_a_renamed_picture_keeps_its_mark(tmp_path):
    found = marks_of(tmp_path, mark(1, "label", {"old": A}, "cat"))

    assert found.column("label", ["x", "new"], [B, A]) == [None, "cat"]


def test_a_picture_whose_content_changed_has_no_mark(tmp_path):
    found = marks_of(tmp_path, mark(1, "label", {"a": A}, "cat"))

    assert found.column("label", ["a"], [B]) == [None]


def test_a_mark_is_taken_back_under_a_new_name(tmp_path):
    found = marks_of(tmp_path, mark(1, "label", {"old": A}, "cat"), mark(2, "label", {"new": A}, None))

    assert found.column("label", ["new"], [A]) == [None]


def test_of_two_copies_the_one_with_the_id_is_meant(tmp_path):
    found = marks_of(tmp_path, mark(1, "label", {"a": A}, "cat"))

    assert found.column("label", ["b", "a"], [A, A]) == [None, "cat"]


def test_of_two_copies_each_is_meant_where_none_has_the_id(tmp_path):
    found = marks_of(tmp_path, mark(1, "label", {"old": A}, "cat"))

    assert found.column("label", ["b", "c", "d"], [A, A, B]) == ["cat", "cat", None]


def test_without_a_sha256_the_id_counts(tmp_path):
    found = marks_of(tmp_path, mark(1, "label", {"a": ""}, "cat"))

    assert found.column("label", ["b", "a"], ["", ""]) == [None, "cat"]
    assert found.column("label", ["b", "a"], ["", A]) == [None, None]


def test_a_column_takes_marks_of_one_picture_and_pairs_those_of_two(tmp_path):
    found = marks_of(
        tmp_path,
        mark(1, "same", {"a": A}, 1),
        mark(2, "same", {"c": C, "a": A}, 2),
        mark(3, "same", {"a": A, "b": B, "c": C}, 3),
        mark(4, "same", {}, 0),
    )
    items = ["a", "b", "c"], [A, B, C]

    assert found.column("same", *items) == [1, None, None]
    assert found.pairs("same", *items) == {(0, 2): 2}


def test_a_pair_is_taken_back_whatever_its_pictures_are_called_now(tmp_path):
    said = mark(1, "same", {"a": A, "b": B}, True)
    found = marks_of(
        tmp_path, said, mark(2, "same", {"c": B, "a": A}, None), mark(1, "same", {"x": C, "a": A}, 1)
    )

    assert found.pairs("same", ["a", "c", "x"], [A, B, C]) == {(0, 2): 1}


def test_two_copies_are_a_pair_after_one_is_renamed(tmp_path):
    found = marks_of(tmp_path, mark(1, "not_duplicate", {"a": A, "b": A}, True))

    assert found.pairs("not_duplicate", ["c", "b"], [A, A]) == {(0, 1): True}
    assert found.pairs("not_duplicate", ["b"], [A]) == {}
