"""What is read from tables of pairs and triplets, what is left out, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lookalike
from lookalike.errors import LookalikeError
from lookalike.learning.pairs import Told, components, read_pairs, read_triplets

NAMES = ["a", "b", "c", "d", "007", "f"]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "c.lookalike"
    return lookalike.from_vectors(path, np.eye(6, dtype=np.float32), NAMES).snapshot


def said(told: Told, tuples: np.ndarray) -> list[str]:
    """Tuples of places as the ids side by side."""
    return ["".join(NAMES[told.rows[place]] for place in one) for one in tuples.tolist()]


def counts(told: Told) -> tuple[int, int, int, int]:
    return told.lines, told.unknown, told.invalid, told.contradictory


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_two_columns_are_pairs_of_the_same_thing_however_they_are_called(snapshot, tmp_path):
    told = read_pairs(snapshot, written(tmp_path / "p.csv", "left,right\na,b\nc,007\nb,a\n"))

    assert said(told, told.same) == ["ab", "c007"]
    assert counts(told) == (3, 0, 0, 0)


def test_a_third_column_says_the_same_or_different(snapshot, tmp_path):
    told = read_pairs(snapshot, written(tmp_path / "p.csv", "x,y,same\na,b,1\nc,d,0\na,c,False\nc,f,true\n"))

    assert said(told, told.same) == ["ab", "cf"]
    assert said(told, told.apart) == ["ac", "cd"]


def test_the_first_line_of_a_file_without_a_header_is_a_pair(snapshot, tmp_path):
    told = read_pairs(snapshot, written(tmp_path / "p.csv", "a,b\nc,d\n"))

    assert said(told, told.same) == ["ab", "cd"]


def test_parquet_tables_and_rows_are_read_alike(snapshot, tmp_path):
    table = pa.table({"one": ["a", "c"], "two": ["b", "d"], "same": [1, 1]})
    pq.write_table(table, tmp_path / "p.parquet")

    for given in (str(tmp_path / "p.parquet"), table, [("a", "b", 1), ("c", "d", 1)], table.to_pydict()):
        told = read_pairs(snapshot, given)
        assert said(told, told.same) == ["ab", "cd"]


def test_unknown_items_and_missing_values_are_left_out_and_counted(snapshot):
    given = pa.table(
        {
            "one": ["a", "a", None, "c", "c"],
            "two": ["b", "who", "c", "", "d"],
            "same": [1.0, 1.0, 1.0, 1.0, float("nan")],
        }
    )

    told = read_pairs(snapshot, given)

    assert said(told, told.same) == ["ab"]
    assert counts(told) == (5, 1, 3, 0)
    assert str(told) == "5 pairs, of which 1 of unknown items, 3 without a value were left out"


def test_contradictory_pairs_are_left_out_also_by_way_of_others(snapshot):
    told = read_pairs(
        snapshot,
        [
            ("a", "b", 1),
            ("b", "c", 1),
            ("a", "c", 0),
            ("d", "f", 1),
            ("f", "d", 0),
            ("a", "a", 1),
            ("a", "d", 0),
        ],
    )

    assert said(told, told.same) == ["ab", "bc"]
    assert said(told, told.apart) == ["ad"]
    assert told.contradictory == 4


def test_triplets_are_found_by_name_or_taken_in_order(snapshot, tmp_path):
    named = written(tmp_path / "t.csv", "negative,who,anchor,positive\nc,me,a,b\n")

    for given in (named, [("a", "b", "c")]):
        told = read_triplets(snapshot, given)
        assert said(told, told.triplets) == ["abc"]
        assert said(told, told.same) == ["ab"]


def test_triplets_both_ways_round_or_with_an_item_twice_are_left_out(snapshot):
    told = read_triplets(
        snapshot,
        [
            ("a", "b", "c"),
            ("a", "c", "b"),
            ("a", "a", "b"),
            ("a", "b", "b"),
            ("b", "a", "b"),
            ("d", "f", "a"),
        ],
    )

    assert said(told, told.triplets) == ["dfa"]
    assert counts(told) == (6, 0, 0, 5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "p.csv cannot be read: .*Empty CSV file"),
        ("one,two\n", "p.csv has no rows"),
        ("one\na\n", "p.csv has 1 column: one"),
        ("one,two,three,four\na,b,1,2\n", "p.csv has 4 columns: one, two, three, four"),
        ("one,two,same\na,b,maybe\n", "the third column of .*p.csv, same, has neither 1 nor 0"),
        ("one,two\nx,y\n", "none of the 1 pairs in .*p.csv is of items of c"),
        ("one,two,same\na,b,0\n", "p.csv leaves no pair of the same thing: it has 1 pairs"),
        ("one,two\na,a\n", "leaves no pair of the same thing: it has 1 pairs, of which 1 contradictory"),
        ("one,two\n,\n", "leaves no pair of the same thing: it has 1 pairs, of which 1 without a value"),
    ],
)
def test_a_file_that_says_nothing_is_refused(snapshot, tmp_path, text, says):
    with pytest.raises(LookalikeError, match=says):
        read_pairs(snapshot, written(tmp_path / "p.csv", text))


def test_triplets_of_two_columns_are_refused(snapshot):
    with pytest.raises(LookalikeError, match="the table of triplets has 2 columns"):
        read_triplets(snapshot, [("a", "b")])


def test_what_is_no_table_is_refused(snapshot, tmp_path):
    with pytest.raises(LookalikeError, match="pairs are not a table"):
        read_pairs(snapshot, 7)
    with pytest.raises(LookalikeError, match=r"there is no file .*none\.csv"):
        read_pairs(snapshot, tmp_path / "none.csv")
    with pytest.raises(LookalikeError, match=r"p\.parquet cannot be read"):
        read_pairs(snapshot, written(tmp_path / "p.parquet", "a,b"))


def test_what_is_linked_is_a_group():
    links = np.array([[4, 3], [1, 2], [3, 0], [5, 4]])

    assert components(7, links).tolist() == [0, 1, 1, 0, 0, 0, 2]
    assert components(3, np.empty((0, 2), int)).tolist() == [0, 1, 2]


def test_a_long_chain_is_one_group():
    order = np.random.default_rng(0).permutation(1000)

    assert not components(1000, np.stack([order[:-1], order[1:]], axis=1)).any()
