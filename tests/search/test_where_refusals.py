"""What is no condition is refused, and the error says what and where."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest
from conditions import ROWS, held, mask_of

from lookalike.errors import QueryError
from lookalike.search.where import parse_condition
from lookalike.storage.parts import embedding_column

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


def test_the_name_of_an_unknown_column_is_told_in_a_few_words():
    with pytest.raises(QueryError) as error:
        held("x" * 50_000)

    assert len(error.value.message) < 100


@pytest.mark.parametrize("condition", ["", " ", "-- nothing", "/* nothing */"])
def test_comments_alone_are_an_empty_condition(condition):
    with pytest.raises(QueryError, match="the condition is empty"):
        held(condition)


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
        ("width = CAST(300 AS TINYINT)", "300 is not a valid TINYINT"),
        (
            "width = -CAST('-9223372036854775808' AS BIGINT)",
            "-CAST('-9223372036854775808' AS BIGINT): a number becomes too large",
        ),
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
