"""Search by groups against a slow loop: of each group of items the best stands for all."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_files import made, put, renew

import lookalike
from lookalike.errors import QueryError, UnknownIdError
from lookalike.search.engine import Engine
from lookalike.search.grouping import search_groups
from lookalike.search.query import Id, as_query
from lookalike.storage.snapshot import Snapshot


def unit(count: int, seed: int, dim: int = 6) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def slow_product(one: np.ndarray, other: np.ndarray) -> float:
    return sum(float(a) * float(b) for a, b in zip(one, other, strict=True))


def slow_groups(
    vectors: np.ndarray, values: list, queries: np.ndarray, allowed: list[bool]
) -> list[tuple[float, list[int], int]]:
    """Each group's score, its rows and the row that is likest to all queries: one product at a time."""
    groups: dict = {}
    for row, value in enumerate(values):
        if allowed[row]:
            groups.setdefault(("row", row) if value is None else value, []).append(row)
    found = []
    for rows in groups.values():
        cosines = {row: [slow_product(vectors[row], query) for query in queries] for row in rows}
        score = sum(max(cosines[row][at] for row in rows) for at in range(len(queries))) / len(queries)
        best = max(rows, key=lambda row: sum(cosines[row]))
        found.append((score, rows, best))
    return sorted(found, key=lambda one: -one[0])


@settings(max_examples=25, deadline=None, database=None)
@given(data=st.data(), seed=st.integers(0, 1000), count=st.integers(2, 25), asked=st.integers(1, 4))
def test_groups_are_those_of_a_slow_loop(data, seed, count, asked):
    kinds = data.draw(st.sampled_from([["a", "b", "é", ""], [1, 2, -1], [True, False], [0.5, 2.5, -1e300]]))
    values = data.draw(st.lists(st.none() | st.sampled_from(kinds), min_size=count, max_size=count))
    allowed = data.draw(st.none() | st.lists(st.booleans(), min_size=count, max_size=count))
    k = data.draw(st.integers(1, 30))
    vectors, queries = unit(count, seed), unit(asked, seed + 5000)
    column = pa.array(values, pa.array(kinds).type)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "groups.lookalike"
        ids = [f"{row}" for row in range(count)]
        lookalike.from_vectors(root, vectors, ids, columns={"kind": column}, normalize=False)
        rows = None if allowed is None else np.flatnonzero(allowed)
        engine = Engine(Snapshot.open(root))
        found = search_groups(engine, [as_query(one) for one in queries], "kind", k, rows=rows)

    expected = slow_groups(vectors, values, queries, allowed or [True] * count)
    assert len(found) == min(k, len(expected))
    assert found.scores.tolist() == pytest.approx([one[0] for one in expected[:k]], abs=1e-5)
    by_best = {best: score for score, _, best in expected}
    assert [by_best[row] for row in found.rows.tolist()] == pytest.approx(found.scores.tolist(), abs=1e-5)
    assert len(set(found.rows.tolist())) == len(found)


# Three plants of several pictures each, one picture without a plant, in two dimensions.
ANGLES = {"rose-1": 0, "rose-2": 90, "tulip-1": 20, "tulip-2": 30, "none-1": 5, "none-2": 6, "daisy": 180}
PLANTS = ["rose", "rose", "tulip", "tulip", None, None, "daisy"]


def pointing(degrees: float) -> np.ndarray:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


@pytest.fixture
def plants(tmp_path: Path) -> lookalike.Collection:
    return lookalike.from_vectors(
        tmp_path / "plants.lookalike",
        np.stack([pointing(angle) for angle in ANGLES.values()]),
        list(ANGLES),
        columns={"plant": PLANTS, "words": [["x"]] * 7},
    )


def test_the_best_of_each_group_stands_for_it(plants):
    found = plants.search(pointing(0), k=10, group_by="plant")
    assert found.ids == ["rose-1", "none-1", "none-2", "tulip-1", "daisy"]
    assert found.scores.tolist() == pytest.approx(np.cos(np.radians([0, 5, 6, 20, 180])), abs=1e-6)


def test_a_list_is_one_item_of_several_pictures(plants):
    """The mean of the likest for each: for the tulips of cos 20° and cos 60°, by different pictures."""
    found = plants.search([pointing(0), pointing(90)], k=2, group_by="plant")
    assert found.scores.tolist() == pytest.approx([1, 0.71985], abs=1e-4)
    assert found.ids[0] in ("rose-1", "rose-2")
    assert found.ids[1] == "tulip-2"


@pytest.mark.parametrize(("largest", "scores"), [(2, [0.96985, 0.75]), (1, [0.67101, 0.67101])])
def test_all_rows_of_a_group_are_compared_up_to_a_size(plants, monkeypatch, largest, scores):
    """The nearest to 20° and to 90° are of two groups, of two rows each: tulip-1 and rose-2."""
    monkeypatch.setattr("lookalike.search.grouping._LEAST_NEAREST", 1)
    monkeypatch.setattr("lookalike.search.grouping._NEAREST_A_GROUP", 0)
    monkeypatch.setattr("lookalike.search.grouping._SMALL_GROUP", largest)
    found = plants.search([pointing(20), pointing(90)], k=2, group_by="plant")
    assert found.scores.tolist() == pytest.approx(scores, abs=1e-4)


def test_rows_without_a_value_are_groups_of_their_own(plants):
    found = plants.search(pointing(5), k=2, group_by="plant")
    assert found.ids == ["none-1", "none-2"]


def test_an_item_that_is_asked_with_is_left_out_and_its_group_is_not(plants):
    assert plants.search(Id("rose-1"), k=3, group_by="plant").ids == ["none-1", "none-2", "tulip-1"]
    assert plants.search(Id("rose-1"), k=9, group_by="plant").ids[3] == "rose-2"
    assert plants.search(Id("rose-1"), k=1, group_by="plant", include_query=True).ids == ["rose-1"]
    with pytest.raises(UnknownIdError):
        plants.search(Id("rose-9"), k=1, group_by="plant")


def test_only_rows_of_a_view_and_of_a_condition_count(plants):
    view = plants.where("id != 'rose-1'")
    assert view.search(pointing(0), k=4, group_by="plant").ids == ["none-1", "none-2", "tulip-1", "rose-2"]
    found = view.search(pointing(0), k=9, where="plant IS NOT NULL", group_by="plant")
    assert found.ids == ["tulip-1", "rose-2", "daisy"]


def test_where_nothing_matches_there_are_no_groups(plants):
    assert len(plants.search(pointing(0), where="id = 'nothing'", group_by="plant")) == 0
    assert len(plants.where("id = 'nothing'").search([pointing(0)] * 2, group_by="plant")) == 0


def test_hits_below_the_least_confidence_are_left_out(plants):
    every = plants.search(pointing(0), k=9, group_by="plant")
    limit = float(every.confidences[1])
    kept = int((every.confidences >= limit).sum())
    found = plants.search(pointing(0), k=9, group_by="plant", min_confidence=limit)
    assert 0 < kept < 5
    assert found.ids == every.ids[:kept]


def test_a_column_that_is_not_there_is_refused_with_those_that_are(plants):
    with pytest.raises(QueryError, match="plants has no column 'colour' to group by") as caught:
        plants.search(pointing(0), group_by="colour")
    assert "plant" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group_by": "words"}, "cannot group by a column of lists"),
        ({"group_by": "plant", "k": 0}, "k is the number of results"),
        ({"group_by": "plant", "min_confidence": 2}, "the minimum confidence is 2"),
    ],
)
def test_what_cannot_be_grouped_is_refused(plants, options, message):
    with pytest.raises(QueryError, match=message):
        plants.search(pointing(0), **options)


def test_no_picture_is_refused(plants):
    with pytest.raises(QueryError, match="the query is empty"):
        plants.search([], group_by="plant")


def test_items_can_be_grouped_by_what_was_derived(copied):
    copied.cluster(3, write=True)
    found = copied.search(Id(copied.ids[0]), k=10, group_by="cluster_name")
    assert len(found) == 3


def test_dictionaries_that_differ_from_part_to_part_are_one_column(tmp_path):
    root = made(tmp_path / "parts.lookalike")
    put(root, 0, ["a", "b"], kind=pa.array(["x", "y"]).dictionary_encode())
    put(root, 1, ["c", "d"], kind=pa.array(["y", "z"]).dictionary_encode())
    renew(root)
    found = lookalike.open(root).search(np.ones(4, np.float32), group_by="kind")
    assert len(found) == 3
    assert sorted(Snapshot.open(root).values("kind", found.rows)) == ["x", "y", "z"]
