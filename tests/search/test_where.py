"""Conditions: SQL over a row's columns and nothing else; what holds equals a slow loop in Python."""

from __future__ import annotations

import datetime
import decimal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.errors import QueryError
from lookalike.search.where import parse_condition
from lookalike.storage.parts import embedding_column

ROWS = pa.table(
    {
        "id": ["a", "b", "c", "d"],
        "width": pa.array([200, 400, None, 301], pa.int32()),
        "label": ["roses", None, "daisy", "roses"],
        "tags": pa.array([["daisy", "vase"], [], None, ["rose"]], pa.list_(pa.string())),
        "score": [0.5, 1.5, None, -2.0],
        "place": [{"city": "Rome"}, {"city": "Oslo"}, None, {"city": None}],
    }
)


def mask_of(rows: pa.Table, condition: str) -> list[bool]:
    """For which rows of a table a condition holds."""
    return parse_condition(condition, rows.schema).mask(rows).tolist()


def held(condition: str, rows: pa.Table = ROWS) -> list[str]:
    """The ids of the rows for which a condition holds."""
    return rows["id"].filter(pa.array(mask_of(rows, condition))).to_pylist()


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


# CANARY stands for a file that holds `true`; OUT for one that must not come to be.
ATTACKS = [
    "label ~ 'r'",
    "label RLIKE 'r'",
    "1=1; DROP TABLE items",
    "1=1; SELECT 1",
    "1=1); DROP TABLE items; --",
    "1=1); COPY (SELECT 1) TO 'OUT'; SELECT (1=1",
    "true) FROM items; COPY items TO 'OUT'; --",
    "true) UNION ALL SELECT (true",
    "true), (true",
    "true) AS holds, (SELECT true",
    "true) FROM items WHERE (true",
    "true) FROM (SELECT (true",
    "COPY items TO 'OUT'",
    "ATTACH 'OUT'",
    "ATTACH 'CANARY' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "SET enable_external_access = true",
    "EXPORT DATABASE 'OUT'",
    "EXISTS (SELECT 1)",
    "(SELECT true)",
    "true) UNION SELECT (getenv('HOME') = ''",
    "width IN (SELECT 200)",
    "width = ANY (SELECT 200)",
    "EXISTS (FROM read_csv('CANARY'))",
    "EXISTS (FROM 'CANARY')",
    "EXISTS (WITH t AS (SELECT 1) FROM t)",
    "read_csv('CANARY') IS NULL",
    "read_text('CANARY') IS NULL",
    "read_blob('CANARY') IS NULL",
    "read_parquet('CANARY') IS NULL",
    "glob('CANARY') IS NULL",
    "(SELECT content = 'true' FROM read_text('CANARY'))",
    "getenv('HOME') = ''",
    "current_setting('memory_limit') = ''",
    "set_config('threads', '2') = ''",
    "getvariable('x') IS NULL",
    "nextval('s') > 0",
    "write_log('x') IS NULL",
    "sleep_ms(1000) IS NULL",
    "pg_sleep(1) IS NULL",
    "current_query() = ''",
    "current_user = ''",
    "version() = ''",
    "query('SELECT 1') IS NULL",
    "json_execute_serialized_sql('{}') IS NULL",
    "system.main.getenv('HOME') = ''",
    "pg_catalog.current_setting('threads') = ''",
    "GetEnv('HOME') = ''",
    "\"getenv\"('HOME') = ''",
    "abs(length(getenv('HOME'))) > 0",
    "CASE WHEN getenv('HOME') = '' THEN true END",
    "[getenv('HOME')] = []",
    "{'a': getenv('HOME')}.a = ''",
    "CAST(getenv('HOME') AS INTEGER) = 1",
    "'HOME'.getenv() = ''",
    "list_transform(tags, x -> getenv(x)) = []",
    "list_aggregate(tags, 'count') > 0",
    "count(*) > 0",
    "sum(width) OVER () > 0",
    "COLUMNS(*) IS NULL",
    "#1 > 0",
    "width > ?",
    "width > $1",
    "rowid > 0",
    "length(repeat('a', 1000000000)) > 0",
    "length(range(1000000000)) > 0",
    "random() < 0.5",
    "unnest(tags) = 'daisy'",
    "width > (VALUES (1))",
    "width > 1 LIMIT 1",
    "width > 1 GROUP BY width",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_but_a_condition_gets_through(attack, tmp_path, monkeypatch):
    canary, out = tmp_path / "canary.csv", tmp_path / "out"
    canary.write_text("true\n")
    canary.chmod(0o600)
    monkeypatch.chdir(tmp_path)
    before = canary.stat()

    with pytest.raises(QueryError) as error:
        mask_of(ROWS, attack.replace("CANARY", str(canary)).replace("OUT", str(out)))

    assert "\n" not in str(error.value)
    assert sorted(tmp_path.iterdir()) == [canary]
    assert canary.read_text() == "true\n"
    assert canary.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("", "the condition is empty; write one, such as: label = 'roses' AND width > 300"),
        ("  \n", "the condition is empty; write one, such as: label = 'roses' AND width > 300"),
        (
            "widht > 3",
            "the condition names 'widht', which is not a column; did you mean width? "
            "the columns are: id, width, label, tags, score, place (put text in single quotes)",
        ),
        (
            "width + 1",
            "the condition is not a yes/no expression: width + 1 is a whole number; "
            "compare it with something, as in: width > 300",
        ),
        (
            "true) UNION SELECT (true",
            "the condition is not a single SQL condition; write what follows WHERE, such as: width > 300",
        ),
        (
            "getenv('HOME') = ''",
            "the condition has the function getenv, which is not allowed there; "
            "use columns, values, = <> < <= > >=, AND, OR, NOT, IN, BETWEEN, LIKE, ILIKE, IS NULL, "
            "+ - * / // %, CAST, TRY_CAST and the functions abs, contains, day, ends_with, length, "
            "list_contains, lower, month, regexp_matches, starts_with, upper, year",
        ),
    ],
)
def test_an_error_says_in_one_line_what_is_wrong_and_what_to_do(condition, message):
    with pytest.raises(QueryError) as error:
        mask_of(ROWS, condition)

    assert "\n" not in str(error.value)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "condition",
    [
        "width = 'x'",
        "CAST(label AS INTEGER) > 1",
        "list_contains(width, 1)",
        "lower(tags, 1) = 'a'",
        "width >",
    ],
)
def test_a_condition_that_does_not_fit_the_types_is_an_error_of_one_line(condition):
    with pytest.raises(QueryError, match=r"^the condition cannot be applied: .+; .+") as error:
        mask_of(ROWS, condition)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize("condition", ["width >", "label = 'a' AND", "(width > 3", "width > 3)"])
def test_the_brackets_around_a_condition_are_not_spoken_of(condition):
    with pytest.raises(QueryError, match=r"something is missing at its end|not a single SQL condition"):
        mask_of(ROWS, condition)


def test_a_value_that_cannot_be_converted_hints_at_try_cast():
    with pytest.raises(QueryError, match="TRY_CAST gives NULL"):
        mask_of(ROWS, "CAST(label AS INTEGER) > 1")


@pytest.mark.parametrize(
    "condition", ["NULL::BOOLEAN", "width > NULL", "width % 0 = 0", "width // 0 = 0", "NULL AND true"]
)
def test_null_counts_as_false(condition):
    assert held(condition) == []


def test_the_embedding_is_no_column():
    rows = pa.table({"id": ["a"], "embedding": embedding_column(np.ones((1, 2), np.float32), "float32")})

    with pytest.raises(QueryError, match=r"'embedding', which is not a column; the columns are: id \("):
        mask_of(rows, "embedding IS NULL")


@pytest.mark.parametrize(
    "name", ["two words", 'a "quote"', "semi;colon", "select", "é", "100%", "a.b", "items"]
)
def test_a_column_with_an_odd_name_is_named_in_double_quotes(name):
    rows = pa.table({"id": ["a", "b"], name: [1, 2]})
    quoted = '"' + name.replace('"', '""') + '"'

    assert held(f"{quoted} = 2", rows) == ["b"]


def test_columns_that_differ_in_case_only_are_told_apart_by_their_exact_names():
    rows = pa.table({"id": ["a", "b"], "Size": [1, 2], "size": [2, 1]})

    assert held("Size = 2", rows) == ["b"]
    assert held("size = 2", rows) == ["a"]
    assert held("Size = size", rows) == []
    assert held("Size <> size", rows) == ["a", "b"]


@pytest.mark.parametrize("depth", [9, 2_000])
def test_a_condition_that_is_nested_too_deeply_is_an_error(depth):
    with pytest.raises(QueryError):
        mask_of(ROWS, "abs(" * depth + "width" + ")" * depth + " > 1")


NESTED = {
    "CAST": lambda count: "CAST(" * count + "width" + " AS INTEGER)" * count + " > 1",
    "::": lambda count: "width" + "::INTEGER" * count + " > 1",
    "TRY_CAST": lambda count: "TRY_CAST(" * count + "width" + " AS INTEGER)" * count + " > 1",
    "NOT": lambda count: "NOT " * count + "width > 1",
    "-": lambda count: "- " * count + "width < 1",
    "IS NULL": lambda count: "width" + " IS NULL" * count,
}


@pytest.mark.parametrize("what", NESTED)
def test_calls_casts_and_signs_inside_each_other_are_at_most_eight(what):
    parse_condition(NESTED[what](8), ROWS.schema)

    with pytest.raises(QueryError, match="it nests more than 8 calls, casts, NOTs and the like"):
        parse_condition(NESTED[what](9), ROWS.schema)


def test_brackets_inside_each_other_are_at_most_16():
    assert held("(" * 16 + "width > 300" + ")" * 16) == ["b", "d"]

    with pytest.raises(QueryError, match="nested more than 16 deep at character 17; use fewer brackets"):
        held("(" * 17 + "width > 300" + ")" * 17)


@pytest.mark.parametrize(
    "sign", ["(", "[", "{", "NOT ", "- ", "~", "CASE WHEN ", "abs(", "width IN (", "x -> ", "width::"]
)
def test_a_condition_that_nests_a_thousand_deep_is_refused_at_once(sign):
    started = time.monotonic()

    for end in ("", "width" + ")" * 1000):
        with pytest.raises(QueryError):
            mask_of(ROWS, sign * 1000 + end)

    assert time.monotonic() - started < 2


def test_a_row_of_comparisons_or_sums_may_be_long():
    assert held(" OR ".join(f"width = {number}" for number in range(400, 1100))) == ["b"]
    assert held("width = 0" + " + 1" * 400) == ["b"]


def test_more_operations_than_three_thousand_are_refused():
    with pytest.raises(QueryError, match="the condition has more than 3,000 operations; use IN with a list"):
        held("width" + "+1" * 3_100 + " > 0")


def test_a_megabyte_is_refused_unread():
    with pytest.raises(QueryError, match="the condition has 1,000,000 characters, the limit is 100,000"):
        held("x" * 1_000_000)


def test_a_pattern_is_at_most_a_thousand_characters():
    with pytest.raises(QueryError, match="a pattern has 1,001 characters, the limit is 1,000"):
        held(f"regexp_matches(label, '{'a' * 1001}')")


@pytest.mark.parametrize(
    ("condition", "named"),
    [
        ("levenshtein(id, label) > 3", "the function levenshtein"),
        ("md5(id) = ''", "the function md5"),
        ("coalesce(width, 0) = 0", "the function coalesce"),
        ("max(width) > 1", "the function max"),
        ("current_date > '2024-01-01'", "the function current_date"),
        ("id || 'x' = 'ax'", "||"),
        ("tags[1] = 'x'", "a subscript"),
        ("CASE WHEN width > 1 THEN true END", "CASE"),
        ("label SIMILAR TO 'd.*'", "SIMILAR TO"),
        ("width ** 2 > 4", "**"),
        ("CAST(label AS DECIMAL(3, 1)) = 1", "a cast to DECIMAL(3, 1)"),
        ("width IN (SELECT 1)", "a query inside it"),
        ("id = 'a' COLLATE nocase", "COLLATE"),
        ("width > ?", "a placeholder"),
        ("width BETWEEN SYMMETRIC 3 AND 1", "BETWEEN with symmetric"),
    ],
)
def test_what_is_not_known_is_refused_by_name(condition, named):
    with pytest.raises(QueryError) as error:
        held(condition)

    assert error.value.message == f"the condition has {named}, which is not allowed there"
    assert error.value.hint.endswith("regexp_matches, starts_with, upper, year")


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("label = 3", "label is text and 3 is a whole number, which cannot be compared"),
        ("width = 'x'", "width is a whole number, and 'x' is not"),
        ("width BETWEEN 1 AND 'x'", "width is a whole number, and 'x' is not"),
        ("width IN (1, 'x')", "width is a whole number, and 'x' is not"),
        ("tags = 'daisy'", "tags is a list and 'daisy' is text, which cannot be compared"),
        ("tags = NULL", "tags is a list and NULL is NULL, which cannot be compared"),
        ("place = 'Rome'", "place is a record and 'Rome' is text, which cannot be compared"),
        ("list_contains(width, 1)", "list_contains needs a list, but width is a whole number"),
        ("lower(width) = 'a'", "lower needs text, but width is a whole number"),
        ("year(label) = 2024", "year needs a date or a time stamp, but label is text"),
        ("label + 1 > 2", "+ needs numbers, but label is text"),
        ("score % 2 = 1", "% needs whole numbers, but score is a number"),
        ("NOT width", "NOT needs a yes/no expression, but width is a whole number"),
        ("width AND true", "AND needs yes/no expressions, but width is a whole number"),
        ("1 < width < 5", "1 < width is true or false and 5 is a whole number, which cannot be compared"),
        ("label LIKE id", "LIKE needs text in single quotes, not id"),
        ("label LIKE 'a!' ESCAPE '!'", "the pattern 'a!' ends with its escape '!'"),
        (
            "regexp_matches(label, '(')",
            "Invalid regular expression: missing ): ( is not a regular expression of RE2",
        ),
        ("width = 1 = 'x", "it has an unclosed quote or comment"),
        ("width > 300 400", "it makes no sense at '400' (character 13)"),
        ("width > 1\n  400", "it makes no sense at '400' (line 2, character 3)"),
        ("width >", "something is missing at its end, or a bracket is not closed"),
        ("DATE '2024-02-30' > '2024-01-01'", "'2024-02-30' is not a valid DATE"),
        (
            "width * 9223372036854775807 > 1",
            "width * 9223372036854775807: a number gets too large (overflow)",
        ),
    ],
)
def test_an_error_names_the_column_or_the_place(condition, message):
    with pytest.raises(QueryError) as error:
        held(condition)

    assert error.value.message == f"the condition cannot be applied: {message}"


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
