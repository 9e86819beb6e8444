"""Which rows a condition holds for: the SQL after WHERE, over the columns of items and nothing else.

DuckDB's parser reads the condition, and only a tree of known nodes, functions and columns goes on. It then
runs on a database in memory that can open no file: pyarrow reads the parts, and only the columns named.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.errors import ExtraError, QueryError, UnknownColumnError
from lookalike.storage.parts import with_schema
from lookalike.storage.snapshot import Snapshot

if TYPE_CHECKING:
    import duckdb

MAX_CONDITION_LENGTH = 100_000  # characters: some thousand ids in a list

# Calls and casts inside each other: some double what they are given, and this bounds the doubling.
_MAX_CALLS = 8

# Where in a file a thumbnail lies says nothing to a person who looks for the name of a column.
_PLACES = ("thumb_offset", "thumb_size")

# Rows that go to DuckDB at once: a query costs a millisecond, a part has too few rows to be worth one.
_BATCH_ROWS = 65_536

# Nodes of the tree, by DuckDB's names; all others (SUBQUERY, STAR, WINDOW, LAMBDA, …) are refused.
_NODES = frozenset(
    "BETWEEN CASE CAST COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION OPERATOR TYPE".split()
)
_OPERATORS = frozenset(
    "OPERATOR_NOT OPERATOR_IS_NULL OPERATOR_IS_NOT_NULL OPERATOR_COALESCE OPERATOR_NULLIF OPERATOR_TRY "
    "COMPARE_IN COMPARE_NOT_IN ARRAY_EXTRACT ARRAY_SLICE ARRAY_CONSTRUCTOR STRUCT_EXTRACT".split()
)
# Functions of a row's values alone: no files, settings, clocks, chance or state, and no result that may be
# many times as long as the arguments (so no `repeat`, `range`, `lpad`, `replace` or `concat_ws`).
_FUNCTIONS = frozenset(
    """
    + - * / // % ** ^ & | || ~ << >> ! @ ^@ ~~ !~~ ~~* !~~* ~~~ <@ @> &&
    like_escape ilike_escape not_like_escape not_ilike_escape
    abs ceil ceiling floor round trunc sign sqrt cbrt exp ln log log2 log10 pow power mod divide add subtract
    multiply greatest least isnan isinf isfinite xor even sin cos tan asin acos atan atan2 radians degrees pi
    lower upper lcase ucase trim ltrim rtrim length len strlen char_length character_length
    substr substring left right reverse concat
    contains starts_with ends_with prefix suffix strpos instr position split_part string_split split str_split
    regexp_matches regexp_full_match regexp_extract
    strip_accents translate ascii unicode chr md5 sha256 hash
    levenshtein hamming jaccard jaro_similarity jaro_winkler_similarity
    parse_filename parse_dirname parse_dirpath parse_path url_decode
    nullif ifnull if constant_or_null
    list_contains list_has list_has_any list_has_all list_position list_indexof list_extract list_element
    list_slice list_distinct list_unique list_sort list_value list_pack list_concat list_cat list_reverse
    list_sum list_avg list_min list_max list_count list_first list_last list_any_value list_intersect
    array_contains array_has array_has_any array_has_all array_position array_indexof array_extract
    array_length array_slice array_distinct array_value flatten cardinality
    struct_extract struct_pack row map_extract map_contains map_keys map_values element_at array_concat
    date_part datepart date_trunc datetrunc date_diff datediff date_sub datesub date_add
    year month day hour minute second quarter week weekday dayofweek dayofmonth dayofyear isodow isoyear
    yearweek epoch epoch_ms epoch_us epoch_ns make_date make_timestamp to_timestamp last_day dayname monthname
    strptime try_strptime
    to_years to_months to_weeks to_days to_hours to_minutes to_seconds to_milliseconds to_microseconds
    """.split()
)


@dataclass(frozen=True)
class Condition:
    """A condition that has been checked: `columns` are those that it names, of the types in `schema`.

    It may be used from several threads, and for any table of items: a column that a table lacks is null.
    """

    text: str
    schema: pa.Schema
    connection: duckdb.DuckDBPyConnection

    @property
    def columns(self) -> list[str]:
        """The columns of items that a caller has to read for `mask`."""
        return list(self.schema.names)

    def mask(self, rows: pa.Table) -> NDArray[np.bool_]:
        """Whether the condition holds, bool (n,), for each row of a table; where it is NULL it does not.

        Raises `QueryError` where a value makes it fail: text that is no number, say.
        """
        if not rows.num_rows:
            return np.zeros(0, np.bool_)
        table = _named(rows, self.schema)
        return np.asarray(
            self._run(f"SELECT coalesce({_wrapped(self.text)}, false) AS holds FROM items", table)
        )

    def check_boolean(self) -> None:
        """Raise `QueryError` where the condition does not fit the types, or its value is no truth."""
        import duckdb

        empty = _named(self.schema.empty_table(), self.schema)
        try:
            with self.connection.cursor() as cursor:
                cursor.register("items", empty)
                cursor.execute(_statement(self.text))
                type_ = str(cursor.description[0][1] if cursor.description else None)
        except duckdb.Error as error:
            raise _failed(error) from None
        if type_ != "BOOLEAN":
            hint = "compare it with something, as in: width > 300"
            raise QueryError(f"the condition is not a yes/no expression, its value is {type_}", hint)

    def _run(self, statement: str, rows: pa.Table) -> NDArray[np.bool_]:
        import duckdb

        try:
            with self.connection.cursor() as cursor:  # its own view `items`, so that threads do not meet
                cursor.register("items", rows)
                holds: NDArray[np.bool_] = cursor.execute(statement).fetchnumpy()["holds"]
        except duckdb.Error as error:
            raise _failed(error) from None
        return holds


def matching_rows(snapshot: Snapshot, condition: Condition) -> NDArray[np.bool_]:
    """For which rows a condition holds: bool (N,); reads only the columns that it names."""
    if not condition.columns:
        return condition.mask(pa.table({"": pa.nulls(len(snapshot), pa.bool_())}))
    rows = snapshot.table(condition.columns)
    masks = [condition.mask(rows.slice(at, _BATCH_ROWS)) for at in range(0, len(rows), _BATCH_ROWS)]
    return np.concatenate([np.zeros(0, np.bool_), *masks])


def condition_for(snapshot: Snapshot, text: str) -> Condition:
    """A condition over the columns of a snapshot, those that were derived among them; raises `QueryError`."""
    try:
        return parse_condition(text, snapshot.schema)
    except UnknownColumnError:
        return parse_condition(text, snapshot.all_columns)


def parse_condition(condition: str, schema: pa.Schema) -> Condition:
    """Check a condition over columns of these names and types; nothing that it says has run before.

    Raises `QueryError` where it is not one SQL condition, names an unknown column (the nearest is offered),
    or has anything but comparisons, arithmetic and functions of a row's values.
    """
    if not isinstance(condition, str):
        raise QueryError(f"a condition is a text, not {condition!r}", "such as: label = 'roses'")
    if not condition.strip():
        raise QueryError("the condition is empty", "give one, such as: label = 'roses' AND width > 300")
    if len(condition) > MAX_CONDITION_LENGTH:
        raise QueryError(
            f"the condition has {len(condition):,} characters, the limit is {MAX_CONDITION_LENGTH:,}",
            "ask with shorter ones, one after the other",
        )
    connection = _sealed_database()
    try:
        tree = _parsed(connection, condition)
        named = list(dict.fromkeys(_named_columns(tree, schema, _MAX_CALLS)))
    except RecursionError:
        raise QueryError("the condition is nested too deeply", "use a shorter one") from None
    if len({name.lower() for name in named}) < len(named):
        raise QueryError(
            "the condition names columns that differ in upper and lower case only, "
            "which SQL cannot tell apart",
            "rename one of them",
        )
    parsed = Condition(condition, pa.schema([schema.field(name) for name in named]), connection)
    parsed.check_boolean()
    return parsed


def _sealed_database() -> duckdb.DuckDBPyConnection:
    """A database in memory that opens no file, loads no extension and keeps these settings."""
    try:
        import duckdb
    except ImportError:
        raise ExtraError("conditions need DuckDB", "search") from None
    settings: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",  # no Python variable is taken for a table
        "temp_directory": "",  # what does not fit is an error, not a file
        "threads": "1",
        "memory_limit": "512MB",
        "lock_configuration": "true",
    }
    return duckdb.connect(":memory:", config=settings)


def _wrapped(condition: str) -> str:
    # On lines of its own, so that a comment at the end does not swallow the bracket.
    return f"(\n{condition}\n)"


def _statement(condition: str) -> str:
    return f"SELECT {_wrapped(condition)} FROM items"


def _parsed(connection: duckdb.DuckDBPyConnection, condition: str) -> Any:
    """The tree of a condition, if all around it in `SELECT (condition) FROM items` is as written here."""
    tree = _serialized(connection, _statement(condition))
    # In square brackets, none of its own can close the ones that stand around it.
    try:
        _serialized(connection, f"SELECT [\n{condition}\n] FROM items")
    except QueryError:
        raise _not_one_condition() from None
    [expected] = _serialized(connection, _statement("true"))
    if len(tree) != 1 or len(tree[0]["node"].get("select_list", ())) != 1:
        raise _not_one_condition()
    [expression] = tree[0]["node"].pop("select_list")
    del expected["node"]["select_list"]
    if tree[0] != expected:
        raise _not_one_condition()
    return expression


def _serialized(connection: duckdb.DuckDBPyConnection, statement: str) -> Any:
    """What DuckDB's parser makes of a statement, without places in the text."""
    import duckdb

    try:
        row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [statement]).fetchone()
    except (duckdb.Error, UnicodeEncodeError) as error:
        raise _failed(error) from None
    answer = _without_places(json.loads(row[0] if row else "{}"))
    if answer["error"]:
        if answer["error_type"] == "not implemented":  # how DuckDB calls whatever is not a SELECT
            raise _not_one_condition()
        raise _failed(answer["error_message"])
    return answer["statements"]


def _without_places(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_places(value) for key, value in tree.items() if "query_location" not in key}
    return [_without_places(one) for one in tree] if isinstance(tree, list) else tree


def _named_columns(tree: Any, schema: pa.Schema, calls: int) -> Iterator[str]:
    """The columns that a tree names; `QueryError` for any node in it that is not allowed.

    Every object is looked at, whatever key it stands under, so that no version of DuckDB can hide one.
    `calls` is how many calls and casts may still stand inside each other.
    """
    if isinstance(tree, dict) and "class" in tree:
        _check_node(tree)
        if tree["class"] == "COLUMN_REF":
            yield _column(tree["column_names"], schema)
            return
        calls -= tree["class"] in ("FUNCTION", "CAST") and not tree.get("is_operator")
        if calls < 0:
            raise _refused(f"more than {_MAX_CALLS} calls inside each other")
    elif isinstance(tree, dict) and ("node" in tree or "from_table" in tree):
        raise _refused("a query within it")
    values = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    for value in values:
        yield from _named_columns(value, schema, calls)


def _check_node(node: dict[str, Any]) -> None:
    kind = node["class"]
    if kind not in _NODES:
        raise _refused(kind.lower().replace("_", " "))
    if kind == "OPERATOR" and node["type"] not in _OPERATORS:
        raise _refused(node["type"].lower().replace("_", " "))
    if node.get("schema") or node.get("catalog"):
        raise _refused("a name with a schema")
    if kind == "FUNCTION" and node["function_name"].lower() not in _FUNCTIONS:
        raise _refused(f"the function {node['function_name']}")


def _column(names: Sequence[str], schema: pa.Schema) -> str:
    """The column of items that a dotted name begins with: exactly, or but for upper and lower case."""
    known = [name for name in schema.names if name != "embedding"]
    qualified = len(names) > 1 and names[0].lower() == "items" and _find(names[1], known)
    found = qualified or _find(names[0], known)
    if found:
        return found
    nearest = get_close_matches(names[0], known, n=1, cutoff=0.5)
    offer = f"did you mean {nearest[0]}? " if nearest else ""
    useful = [name for name in known if name not in _PLACES]
    hint = f"{offer}the columns are: {', '.join(useful)} (text stands in single quotes)"
    raise UnknownColumnError(f"the condition names {names[0]!r}, which is no column", hint)


def _find(name: str, known: Sequence[str]) -> str | None:
    if name in known:
        return name
    return next((one for one in known if one.lower() == name.lower()), None)


def _named(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns that a condition names, as DuckDB is to see them."""
    if not schema.names:  # a condition without columns is about every row all the same
        return pa.table({"": pa.nulls(rows.num_rows, pa.bool_())})
    return with_schema(rows, pa.schema([field.with_nullable(True) for field in schema]))


def _not_one_condition() -> QueryError:
    hint = "give what stands after WHERE, such as: width > 300"
    return QueryError("the condition is not one condition in SQL", hint)


def _refused(what: str) -> QueryError:
    return QueryError(
        f"the condition has {what}, which is not allowed there",
        "use comparisons, arithmetic, and functions of the row's values",
    )


def _failed(error: object) -> QueryError:
    """DuckDB's own words in one line: the first paragraph, without the lists of candidates after it."""
    reason = " ".join(str(error).split("\n")[0].split()) or type(error).__name__
    hint = "text stands in single quotes, as in: label = 'roses' AND width > 300"
    if "Could not convert" in reason:
        hint = "TRY_CAST gives NULL where a value has no such form"
    elif "Division by zero" in reason:
        hint = "TRY(…) gives NULL there"
    reason = reason.split(". Use ")[0].rstrip(".;")
    # Both stand after the condition.
    if reason.endswith(('error at or near ")"', 'error at or near "FROM"')):
        reason = "something is missing at its end or before a bracket, or a bracket is too many"
    return QueryError(f"the condition cannot be applied: {reason}", hint)
