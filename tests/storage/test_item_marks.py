"""What marks say of some items, and how a batch is taken back."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import build, write_picture

import lookalike
from lookalike.errors import UnknownIdError
from lookalike.storage.item_marks import said_of, undoing
from lookalike.storage.marks import Mark, write_marks

SEA, BRICK = "sea/sea-002.png", "brick/brick-000.jpg"


def mark(made: lookalike.Collection, kind: str, ids: list[str], value: object) -> Mark:
    sha256s = made.snapshot.values("sha256", made.snapshot.rows_of(ids))
    return Mark(datetime.now(UTC), kind, tuple(ids), tuple(sha256s), value)


def test_an_item_has_what_is_said_of_it_alone(copied: lookalike.Collection) -> None:
    copied.mark("label", SEA, "ocean")
    copied.mark("favourite", SEA)
    copied.mark("favourite", SEA, None)
    copied.mark("label", BRICK, "wall")
    copied.not_duplicates(SEA, BRICK)

    assert said_of(copied.snapshot, [BRICK, SEA]) == [{"label": "wall"}, {"label": "ocean"}]
    with pytest.raises(UnknownIdError):
        said_of(copied.snapshot, ["nothing"])


def test_of_items_with_the_same_bytes_the_one_that_was_named_is_meant(tmp_path: Path) -> None:
    first = write_picture(tmp_path / "few" / "a.png", 1)
    shutil.copy(first, first.with_name("b.png"))
    made, _ = build(first.parent, tmp_path / "few.lookalike")
    made.mark("label", "b.png", "rose")

    assert said_of(made.snapshot, ["a.png"]) == [{}]
    assert said_of(made.snapshot, ["b.png"]) == [{"label": "rose"}]


@pytest.mark.parametrize("before", [None, "ocean"])
def test_what_undoes_a_batch_restores_what_was_said_before(copied: lookalike.Collection, before) -> None:
    copied.mark("label", SEA, before)
    copied.mark("not_duplicate", [SEA, BRICK])
    batch = [
        mark(copied, "label", [SEA], "lake"),
        mark(copied, "label", [BRICK], "wall"),
        mark(copied, "not_duplicate", [BRICK, SEA], None),
        Mark(datetime.now(UTC), "word:rex", (), (), {"column": "label", "value": "sea"}),
    ]
    back = undoing(copied.snapshot, batch)
    write_marks(copied.path, batch)
    assert said_of(copied.snapshot, [SEA, BRICK]) == [{"label": "lake"}, {"label": "wall"}]

    write_marks(copied.path, back)

    assert said_of(copied.snapshot, [SEA, BRICK]) == [{"label": before} if before else {}, {}]
    assert copied.marks.kinds() == (["label"] if before else []) + ["not_duplicate"]


def test_a_batch_that_changes_nothing_needs_no_undoing(copied: lookalike.Collection) -> None:
    copied.mark("label", SEA, "ocean")
    assert undoing(copied.snapshot, [mark(copied, "label", [SEA], "ocean")]) == []


def test_what_was_said_under_a_former_name_comes_back(copied: lookalike.Collection) -> None:
    (sha256,) = copied.snapshot.values("sha256", copied.snapshot.rows_of([SEA]))
    write_marks(copied.path, [Mark(datetime.now(UTC), "label", ("old.png",), (sha256,), "ocean")])
    batch = [mark(copied, "label", [SEA], "lake")]
    back = undoing(copied.snapshot, batch)
    write_marks(copied.path, [*batch])
    write_marks(copied.path, back)

    assert said_of(copied.snapshot, [SEA]) == [{"label": "ocean"}]
