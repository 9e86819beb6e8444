"""Marks as a snapshot has them: of items by row, seen without reading the rows again."""

from __future__ import annotations

import pytest

import lookalike
from lookalike.errors import UnknownIdError
from lookalike.storage import snapshot as module


def test_a_mark_is_a_value_of_its_item_and_none_elsewhere(copied: lookalike.Collection) -> None:
    copied.mark("label", "sea/sea-002.png", "ocean")

    found = copied.snapshot.marked("label")

    assert [(copied.ids[row], value) for row, value in enumerate(found) if value is not None] == [
        ("sea/sea-002.png", "ocean")
    ]


def test_a_mark_of_two_pictures_is_one_of_a_pair_of_rows(copied: lookalike.Collection) -> None:
    copied.mark("not_duplicate", ["sea/sea-005.png", "brick/brick-000.jpg"])

    rows = sorted(copied.ids.index(id_) for id_ in ("brick/brick-000.jpg", "sea/sea-005.png"))
    assert copied.snapshot.marked_pairs("not_duplicate") == {(rows[0], rows[1]): True}


def test_none_takes_a_mark_back(copied: lookalike.Collection) -> None:
    copied.mark("favourite", "sea/sea-002.png")
    assert len(copied.marks) == 1

    copied.mark("favourite", "sea/sea-002.png", None)

    assert len(copied.marks) == 0


def test_a_snapshot_sees_a_new_mark_and_is_the_same_snapshot(copied: lookalike.Collection) -> None:
    before = copied.snapshot
    assert before.marked("favourite") == [None] * 42

    copied.mark("favourite", "sea/sea-002.png")

    assert before.marked("favourite").count(True) == 1
    assert copied.snapshot is before


def test_marks_are_not_read_again_until_one_comes(
    copied: lookalike.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied.mark("favourite", "sea/sea-002.png")
    snapshot = copied.snapshot
    assert snapshot.marked("favourite").count(True) == 1
    monkeypatch.setattr(module, "read_marks", None)

    assert snapshot.marked("favourite").count(True) == 1


def test_a_mark_of_an_unknown_item_is_refused(copied: lookalike.Collection) -> None:
    with pytest.raises(UnknownIdError, match=r"has no item 'sea/sea-02\.png'; did you mean"):
        copied.mark("favourite", "sea/sea-02.png")
    assert not (copied.path / "marks").exists()
