"""Conditions: SQL over a row's columns and nothing else; what holds equals a slow loop in Python."""

from __future__ import annotations

import datetime
import decimal
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from conditions import ROWS, held, mask_of
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.errors import QueryError
from lookalike.search.where import parse_condition


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("label = 'roses' AND width > 300", "d"),
        ("label = 'roses' OR width > 300", "abd"),
        ("list_contains(tags, 'daisy')", "a"),
        ("'rose' IN tags", "d"),
        ("len(tags) = 0", "b"),
        ("label LIKE 'ro%'", "ad"),
        ("label ILIKE 'RO%'", "ad"),
        ("label NOT LIKE 'ro%'", "c"),
        ("regexp_matches(label, '^d.*y$')", "c"),
        ("id IN ('a', 'c')", "ac"),
        ("id NOT IN ('a', 'c')", "bd"),
        ("width BETWEEN 200 AND 301", "ad"),
        ("width IS NULL", "c"),
        ("label IS NOT NULL AND NOT (label = 'daisy')", "ad"),
        ("TRY_CAST(id AS INTEGER) IS NULL", "abcd"),
        ("width::DOUBLE / 2 > 150", "bd"),
        ("width % 2 = 1 AND -width < 0 AND width * 2 + 1 = 603", "d"),
        ("abs(score) >= 1.5", "bd"),
        ("place.city = 'Rome'", "a"),
        ("items.width = 400", "b"),
        ("WIDTH = 400", "b"),
        ('"width" = 400', "b"),
        ("width IS DISTINCT FROM 400", "acd"),
        ("width = CAST(399.6 AS INTEGER)", "b"),
        ("true -- and no more", "abcd"),
        ("width > 300 /* large */", "bd"),
        ("id = 'a; DROP TABLE items'", ""),
        ("false", ""),
    ],
)
def test_a_condition_holds_for_these_rows(condition, expected):
    assert "".join(held(condition)) == expected


COMPARISONS = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@settings(deadline=None, max_examples=25)
@given(
    values=st.lists(st.none() | st.integers(-3, 3), min_size=1, max_size=20),
    operator=st.sampled_from(sorted(COMPARISONS)),
    limit=st.integers(-3, 3),
)
def test_any_comparison_equals_a_slow_loop(values, operator, limit):
    rows = pa.table({"n": pa.array(values, pa.int64())})
    expected = [value is not None and COMPARISONS[operator](value, limit) for value in values]

    assert mask_of(rows, f"n {operator} {limit}") == expected


@settings(deadline=None, max_examples=25)
@given(values=st.lists(st.none() | st.text(max_size=5), max_size=9), wanted=st.text(max_size=5))
def test_any_text_equals_itself_alone(values, wanted):
    values, wanted = (
        [None if one is None else one.replace("\0", "") for one in values],
        wanted.replace("\0", ""),
    )
    rows = pa.table({"t": pa.array([*values, wanted], pa.string())})
    literal = "'" + wanted.replace("'", "''") + "'"

    assert mask_of(rows, f"t = {literal}") == [one == wanted for one in [*values, wanted]]


NOON = datetime.datetime(2024, 2, 29, 12)
TYPED = pa.table(
    {
        "id": ["a", "b", "c"],
        "code": pa.array(["x", None, "y"]).dictionary_encode(),
        "long": pa.array(["x", None, "y"], pa.large_string()),
        "half": pa.array([0.5, None, 2], pa.float16()),
        "single": pa.array([0.1, None, float("nan")], pa.float32()),
        "big": pa.array([2**63, None, 3], pa.uint64()),
        "price": pa.array([decimal.Decimal("9.99"), None, decimal.Decimal("20.00")]),
        "flag": [True, None, False],
        "day": pa.array([NOON.date(), None, datetime.date(1969, 1, 1)]),
        "local": pa.array([NOON, None, datetime.datetime(1969, 1, 1)], pa.timestamp("ns")),
        "zoned": pa.array([NOON, None, NOON], pa.timestamp("ms", "Asia/Tokyo")),
        "raw": [b"x", None, b"y"],
        "codes": pa.array([["x"], None, []], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        "nothing": pa.nulls(3),
        "nest": [{"deep": {"value": 1}}, None, {"deep": None}],
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("code = 'x' AND code LIKE 'x%' AND code IN ('x')", "a"),
        ("upper(long) <> 'X'", "c"),
        ("half > 1", "c"),
        ("single = 0.1", "a"),
        ("single > 1e30", "c"),
        ("single = single", "ac"),
        ("big = 9223372036854775808", "a"),
        ("big IN (3, 4) OR big / 2 > 1e15", "ac"),
        ("price = 9.99 OR price > 15", "ac"),
        ("flag", "a"),
        ("flag IS NOT TRUE", "bc"),
        ("NOT flag", "c"),
        ("day = '2024-02-29' AND month(day) = 2", "a"),
        ("local > '2024-02-29 11:59:59.5'", "a"),
        ("local < DATE '1970-01-01'", "c"),
        ("day IN (DATE '1969-01-01', TIMESTAMP '2024-02-29 12:00:00')", "c"),
        ("local IN ('2024-02-29 12:00:00', NULL)", "a"),
        ("zoned IN ('2024-02-29 21:00:00.000001', '2024-02-29 21:00:00')", "ac"),
        ("zoned IN ('2024-02-29 21:00:00.000001')", ""),
        ("zoned = '2024-02-29T12:00:00Z'", "ac"),
        ("zoned = '2024-02-29 21:00:00'", "ac"),
        ("zoned = TIMESTAMPTZ '2024-02-29 14:00:00+02:00'", "ac"),
        ("day(zoned) = 29 AND year(zoned) = 2024", "ac"),
        ("raw IS NULL", "b"),
        ("list_contains(codes, 'x')", "a"),
        ("length(codes) = 0", "c"),
        ("nothing IS NULL", "abc"),
        ("nothing = 3 OR nothing LIKE 'x' OR nothing IN (1)", ""),
        ("nest.deep.value = 1", "a"),
        ("items.nest.deep IS NULL", "bc"),
        ("CAST(local AS VARCHAR) = '2024-02-29 12:00:00'", "a"),
    ],
)
def test_a_column_of_any_type_can_be_asked_for(condition, expected):
    assert "".join(held(condition, TYPED)) == expected


@pytest.mark.parametrize(
    "condition", ["raw = 'x'", "nest = 1", "zoned > local", "codes = 'x'", "nest.deep.other = 1"]
)
def test_columns_that_cannot_be_compared_are_refused_by_name(condition):
    with pytest.raises(QueryError, match=condition.split()[0].split(".")[0]):
        held(condition, TYPED)


def test_a_condition_that_is_too_long_is_an_error():
    with pytest.raises(QueryError, match="the limit is 100,000"):
        mask_of(ROWS, "width > 1 OR " * 10_000 + "true")


def test_a_condition_may_list_thousands_of_ids():
    ids = ", ".join(f"'id-{number}'" for number in range(5_000))

    assert held(f"id IN ({ids}, 'c')") == ["c"]


def test_a_condition_may_be_used_from_several_threads():
    condition = parse_condition("width > 300", ROWS.schema)
    with ThreadPoolExecutor(4) as pool:
        masks = list(pool.map(lambda count: condition.mask(ROWS.slice(0, count)).tolist(), [1, 2, 3, 4] * 10))

    assert masks == [[False], [False, True], [False, True, False], [False, True, False, True]] * 10
