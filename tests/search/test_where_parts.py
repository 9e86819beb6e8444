"""Conditions over the rows of a collection, whose parts need not have the same columns."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from building import rows_of

import lookalike
from lookalike.errors import QueryError
from lookalike.search import where
from lookalike.search.where import condition_for, parse_condition
from lookalike.storage.parts import Part, list_parts
from lookalike.storage.snapshot import Snapshot


def matching_rows(collection: lookalike.Collection, condition: str) -> np.ndarray:
    """For which rows of a collection a condition holds."""
    snapshot = collection.snapshot
    return where.matching_rows(snapshot, condition_for(snapshot, condition))


def write_part(root: Path, number: int, ids: list[str], **columns: pa.Array) -> None:
    """A part of rows that have these columns besides the usual ones."""
    Part(root, number).write(rows_of(ids, **columns), [b"x"] * len(ids))


@pytest.fixture
def uneven(copied: lookalike.Collection) -> lookalike.Collection:
    """Part 0 has `caption` and a small `stars`; part 2 a large `stars`; part 1 neither."""
    for name in ("items", "thumbnails"):
        shutil.rmtree(copied.path / name)
    write_part(copied.path, 0, ["a", "b"], caption=pa.array(["x", None]), stars=pa.array([7, 8], pa.int8()))
    write_part(copied.path, 1, ["c"])
    write_part(copied.path, 2, ["d"], stars=pa.array([7_000_000_000]))
    return copied


@pytest.mark.parametrize(
    ("condition", "slow"),
    [
        ("label = 'sea'", lambda row: row["label"] == "sea"),
        (
            "label <> 'sea' AND size_bytes > 900",
            lambda row: row["label"] != "sea" and row["size_bytes"] > 900,
        ),
        ("id LIKE '%.jpg' OR width = 64", lambda row: row["id"].endswith(".jpg") or row["width"] == 64),
        ("id LIKE '%-01_.%'", lambda row: re.search(r"-01.\.", row["id"]) is not None),
        ("length(id) + width > 84", lambda row: len(row["id"]) + row["width"] > 84),
        ("regexp_matches(id, '[0-4][13579]\\.')", lambda row: re.search(r"[0-4][13579]\.", row["id"])),
        ("NOT starts_with(sha256, 'a')", lambda row: not row["sha256"].startswith("a")),
    ],
)
def test_the_rows_of_a_collection_equal_a_slow_loop(collection, condition, slow):
    expected = [bool(slow(row)) for row in collection.items().to_pylist()]

    mask = matching_rows(collection, condition)

    assert mask.dtype == np.bool_
    assert mask.tolist() == expected


def test_a_column_that_some_parts_lack_is_null_there(uneven):
    assert matching_rows(uneven, "caption = 'x'").tolist() == [True, False, False, False]
    assert matching_rows(uneven, "caption IS NULL").tolist() == [False, True, True, True]


def test_a_column_has_one_type_in_all_parts(uneven):
    assert uneven.snapshot.schema.field("stars").type == pa.int64()
    assert matching_rows(uneven, "stars * 1000 >= 7000").tolist() == [True, True, False, True]


def test_a_condition_checked_once_serves_the_table_of_each_part(uneven):
    condition = parse_condition("stars = 7 AND id <> 'z'", uneven.snapshot.schema)

    assert condition.columns == ["stars", "id"]
    assert [condition.mask(part.items()).tolist() for part in list_parts(uneven.path)] == [
        [True, False],
        [False],
        [False],
    ]


def test_a_condition_without_columns_is_about_every_row(uneven):
    assert matching_rows(uneven, "true").tolist() == [True] * 4
    assert matching_rows(uneven, "1 > 2").tolist() == [False] * 4


def test_an_empty_collection_has_no_rows_but_its_columns_are_known(copied):
    shutil.rmtree(copied.path / "items")

    assert matching_rows(copied, "width > 1").tolist() == []
    with pytest.raises(QueryError, match="did you mean width"):
        matching_rows(copied, "widht > 1")


def test_only_the_named_columns_are_looked_at(collection):
    snapshot = Snapshot.open(collection.path)

    where.matching_rows(snapshot, condition_for(snapshot, "label = 'sea' AND height > 1"))

    assert set(snapshot._columns) == {"height", "label"}


def test_a_column_that_was_derived_can_be_named_too(copied):
    copied.cluster(3, write=True)

    name = copied.items(["id"])["id"][0].as_py()
    group = copied[name]["cluster_name"]

    assert name in copied.where(f"cluster_name = '{group}'").ids
    with pytest.raises(QueryError, match="did you mean cluster_name"):
        copied.where("cluster_nam = 'x'")
