"""Whoever computes a condition can end it, between its steps and within a pattern."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lookalike.errors import QueryError
from lookalike.search.stopping import checked_by, go_on
from lookalike.search.where import parse_condition

SCHEMA = pa.schema({"caption": pa.string(), "width": pa.int64()})


def rows(count: int) -> pa.Table:
    return pa.table({"caption": ["a"] * count, "width": [1] * count}, SCHEMA)


class Ended(Exception):
    pass


def calls(condition: str, count: int, most: int = 1_000_000) -> int:
    """How often a condition over so many rows asks whether to go on; the answer is no after `most`."""
    made = 0

    def check() -> None:
        nonlocal made
        made += 1
        if made > most:
            raise Ended

    parsed = parse_condition(condition, SCHEMA)
    with checked_by(check):
        assert parsed.mask(rows(count)).all()
    return made


def test_each_step_of_each_batch_asks_whether_to_go_on():
    # A comparison is three steps: the column, and the sign with its number, and AND.
    once = calls("width = 1 AND width < 2", 10)
    assert once == 5
    assert calls("width = 1 AND width < 2", 3 * 65_536) == 3 * once


def test_a_pattern_asks_more_often_the_longer_it_takes():
    assert calls("caption LIKE '%a'", 65_536) == 2
    assert 10 < calls("regexp_matches(caption, '^a$')", 65_536) < 30


@pytest.mark.parametrize("count", [10, 200_000])
def test_what_the_check_raises_ends_the_condition_in_every_thread(count):
    with pytest.raises(Ended):
        calls("width = 1 AND width < 2", count, most=3)


def test_after_the_block_nothing_is_checked():
    with pytest.raises(Ended):
        calls("width = 1", 10, most=0)
    go_on()


def test_a_pattern_gives_each_row_its_own_answer_however_many_there_are():
    texts = pa.table({"caption": [None if n % 7 == 0 else str(n) for n in range(5000)]})
    found = parse_condition("regexp_matches(caption, '^[0-9]*5$')", SCHEMA).mask(texts)
    assert found.nonzero()[0].tolist() == [n for n in range(5000) if n % 10 == 5 and n % 7]


@pytest.mark.parametrize(
    ("pattern", "total"), [("(a{50}){51}", 101), ("a{1,99}b{2,}", 101), ("(((.?){10}){10}){81}", 101)]
)
def test_counts_in_braces_are_limited(pattern, total):
    said = f"the counts in braces of a pattern add up to {total}, the limit is 100"
    with pytest.raises(QueryError, match=said):
        parse_condition(f"regexp_matches(caption, '{pattern}')", SCHEMA)


@pytest.mark.parametrize("pattern", ["(a{50}){50}", "a{1,99}b{1}", r"\{500\}", r"\p{Lu}{100}", "a{0}"])
def test_counts_that_add_up_to_100_are_taken(pattern):
    try:
        parse_condition(f"regexp_matches(caption, '{pattern}')", SCHEMA)
    except QueryError as error:
        assert "regular expression of RE2" in str(error)
