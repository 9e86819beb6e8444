"""Conditions of every shape over random tables hold for the very rows for which DuckDB says they do."""

from __future__ import annotations

import datetime

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lookalike.search.where import parse_condition

WORDS = ["", "a", "A", "ab", "a%b", "a_b", "aé", "ÄB", "b\nc", "10", "\\", "a'b"]
FLOATS = [0.0, -0.0, 0.1, 1.5, -2.5, 1e300, float("inf"), float("-inf"), float("nan")]
TYPES = {
    "i": (pa.int32(), st.integers(-3, 3)),
    "j": (pa.int64(), st.integers(-3, 3) | st.just(2**53 + 1)),
    "f": (pa.float64(), st.sampled_from(FLOATS)),
    "g": (pa.float32(), st.sampled_from([0.1, 1.5, -2.5, float("nan")])),
    "s": (pa.string(), st.sampled_from(WORDS)),
    "r": (pa.string(), st.sampled_from(WORDS)),
    "b": (pa.bool_(), st.booleans()),
    "d": (pa.date32(), st.dates(datetime.date(2023, 12, 30), datetime.date(2024, 1, 2))),
    "t": (
        pa.timestamp("us"),
        st.datetimes(datetime.datetime(2023, 12, 31), datetime.datetime(2024, 1, 2)).map(
            lambda one: one.replace(minute=0, second=0, microsecond=0)
        ),
    ),
    "l": (pa.list_(pa.string()), st.lists(st.none() | st.sampled_from(WORDS), max_size=3)),
    "m": (pa.list_(pa.int32()), st.lists(st.none() | st.integers(-3, 3), max_size=3)),
}
SIGNS = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@st.composite
def tables(draw) -> pa.Table:
    count = draw(st.integers(1, 12))
    columns = {
        name: pa.array(draw(st.lists(st.none() | values, min_size=count, max_size=count)), type_)
        for name, (type_, values) in TYPES.items()
    }
    return pa.table(columns)


texts = st.sampled_from(["s", "r"]) | st.sampled_from(WORDS).map(text)
texts = texts | st.builds("{}({})".format, st.sampled_from(["lower", "upper"]), texts)
wholes = st.sampled_from(["i", "j"]) | st.integers(-4, 4).map(str)
wholes = wholes | st.sampled_from(
    ["length(s)", "length(l)", "len(m)", "year(d)", "month(t)", "day(t)", "abs(i)"]
)
wholes = wholes | st.builds("({} {} {})".format, wholes, st.sampled_from("+-*"), wholes)
numbers = wholes | st.sampled_from(
    ["f", "i / 2", "j * 0.5", "-f", "1.5", "-2.5e0", "CAST(i AS DOUBLE)", "i::FLOAT"]
)
times = st.sampled_from(
    ["d", "t", "DATE '2024-01-01'", "TIMESTAMP '2024-01-01 10:00:00'", "CAST(t AS DATE)", "d::TIMESTAMP"]
)
dated = st.sampled_from(["'2024-01-01'", "'2023-12-31'"])
patterns = st.lists(st.sampled_from(["%", "_", "a", "b", "A", "é", "!%", "!_", "\\", "."]), max_size=4).map(
    "".join
)
lists_of_texts = st.lists(texts | st.just("NULL"), min_size=1, max_size=4).map(", ".join)
lists_of_wholes = st.lists(st.integers(-3, 3).map(str) | st.just("NULL"), min_size=1, max_size=4).map(
    ", ".join
)
nots = st.sampled_from(["", "NOT "])

leaves = st.one_of(
    st.builds("{} {} {}".format, numbers, SIGNS, numbers),
    st.builds("{} {} {}".format, st.just("g"), SIGNS, st.sampled_from(["0.1", "1.5", "-3", "i", "f"])),
    st.builds("{} {} {}".format, texts, SIGNS, texts),
    st.builds("{} {} {}".format, times, SIGNS, times | dated),
    st.builds("{} {}BETWEEN {} AND {}".format, numbers, nots, numbers, numbers),
    st.builds("{} {}BETWEEN {} AND {}".format, st.sampled_from("dt"), nots, dated, times),
    st.builds("{} {}IN ({})".format, st.sampled_from(["s", "lower(r)"]), nots, lists_of_texts),
    st.builds("{} {}IN ({})".format, st.sampled_from(["i", "j", "f"]), nots, lists_of_wholes),
    st.builds(
        "{} {}{} {} ESCAPE '!'".format, texts, nots, st.sampled_from(["LIKE", "ILIKE"]), patterns.map(text)
    ),
    st.builds("s {}{} {}".format, nots, st.sampled_from(["LIKE", "ILIKE"]), patterns.map(text)),
    st.builds("list_contains(l, {})".format, st.sampled_from([*map(text, WORDS), "NULL"])),
    st.builds("list_contains(m, {})".format, wholes),
    st.builds("{} IS {}NULL".format, st.sampled_from([*TYPES]), nots),
    st.builds("{} IS {}DISTINCT FROM {}".format, wholes, nots, wholes | st.just("NULL")),
    st.builds("b IS {}{}".format, nots, st.sampled_from(["TRUE", "FALSE"])),
    st.builds("regexp_matches(s, {})".format, st.sampled_from(["'^a'", "'b$'", "'a.b'", "'[A-Z]'"])),
    st.builds(
        "{}(s, {})".format,
        st.sampled_from(["starts_with", "ends_with", "contains"]),
        st.sampled_from(WORDS).map(text),
    ),
    st.builds(
        "{} {} {}".format, st.sampled_from(["i // 2", "-7 // i", "i % 2", "j % 3"]), SIGNS, st.integers(-2, 2)
    ),
    st.builds("TRY_CAST(s AS {}) {} 10".format, st.sampled_from(["INTEGER", "DOUBLE"]), SIGNS),
    st.builds(
        "CAST({} AS VARCHAR) = '{}'".format,
        st.sampled_from("ijbdtg"),
        st.sampled_from(["1", "true", "2024-01-01", "1.5", "0.1"]),
    ),
    st.builds("TRY_CAST(g AS INTEGER) = {}".format, st.integers(-3, 3)),
    st.sampled_from(["b", "true", "false", "NULL", "b = true", "f IS NULL"]),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("NOT ({})".format, inner),
        st.builds("({}) = ({})".format, inner, inner),
        st.builds("({}) <> ({})".format, inner, inner),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def database():
    with duckdb.connect() as connection:
        connection.execute("SET error_on_division_by_zero = false")  # NULL it is
        yield connection


@given(table=tables(), condition=conditions)
def test_a_condition_holds_for_the_rows_that_duckdb_finds(database, table, condition):
    database.register("items", table)
    try:
        answer = database.execute(f"SELECT coalesce(({condition}), false) AS holds FROM items").fetchnumpy()
    except duckdb.OutOfRangeException:  # of 32 bits
        assume(False)

    assert (
        parse_condition(condition, table.schema).mask(table).tolist() == np.asarray(answer["holds"]).tolist()
    )
