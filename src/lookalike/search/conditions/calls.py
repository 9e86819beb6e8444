"""The functions that a condition may call, and its casts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from lookalike.search.conditions import operations
from lookalike.search.conditions.compiler import Compiler
from lookalike.search.conditions.infix import comparison
from lookalike.search.conditions.sql import cannot, refused
from lookalike.search.conditions.terms import (
    Term,
    computed_type,
    constant_text,
    converted,
    is_list,
    is_number,
    is_text,
    is_time,
    needs,
)

Values = Any  # a pa.Array of a batch of rows, or a pa.Scalar for all of them
Single = Callable[[Compiler, exp.Expr, int], Term]


def as_text(values: Values) -> Values:
    """The values as text, even if all are NULL."""
    return values.cast(pa.string()) if pa.types.is_null(values.type) else values


def _of_text(name: str, compute: Callable[..., Values], type_: pa.DataType) -> Single:
    def compile_(to: Compiler, node: exp.Expr, depth: int) -> Term:
        found = to.term(node.this, depth)
        needs(found, is_text, name, "text")
        return to.add(type_, f"{name}({found.name})", lambda a: compute(as_text(a)), found)

    return compile_


def _searched(name: str, compute: Callable[..., Values]) -> Single:
    """A function of a text and a second text that is the same for all rows."""

    def compile_(to: Compiler, node: exp.Expr, depth: int) -> Term:
        found = to.term(node.this, depth)
        needs(found, is_text, name, "text")
        wanted = constant_text(to.term(node.expression, depth), name)
        return to.add(pa.bool_(), f"{name}({found.name})", lambda a: compute(as_text(a), wanted), found)

    return compile_


def _of_time(name: str, compute: Callable[..., Values]) -> Single:
    def compile_(to: Compiler, node: exp.Expr, depth: int) -> Term:
        found = to.term(node.this, depth)
        needs(found, is_time, name, "a date or a time stamp")
        stamp = pa.types.is_null(found.type)
        return to.add(
            pa.int64(), f"{name}({found.name})", lambda a: compute(a.cast(pa.date32()) if stamp else a), found
        )

    return compile_


def _length(to: Compiler, node: exp.Expr, depth: int) -> Term:
    found, name = to.term(node.this, depth), "length"
    if is_list(found.type):
        return to.add(
            pa.int64(), f"{name}({found.name})", lambda a: pc.list_value_length(a).cast(pa.int64()), found
        )
    needs(found, is_text, name, "text or a list")
    return to.add(
        pa.int64(), f"{name}({found.name})", lambda a: pc.utf8_length(as_text(a)).cast(pa.int64()), found
    )


def _abs(to: Compiler, node: exp.Expr, depth: int) -> Term:
    found = to.term(node.this, depth)
    needs(found, is_number, "abs", "a number")
    return to.add(found.type, f"abs({found.name})", pc.abs_checked, found)


def _regexp_matches(to: Compiler, node: exp.Expr, depth: int) -> Term:
    found, name = to.term(node.this, depth), "regexp_matches"
    needs(found, is_text, name, "text")
    regex = constant_text(to.term(node.expression, depth), name)
    flag = node.args.get("flag")
    options = constant_text(to.term(flag, depth), name) if flag else ""
    if options not in ("", "i"):
        raise cannot(f"the only option of {name} is 'i', not {options!r}")
    compute = operations.matching(regex, ignore_case=options == "i")
    return to.add(pa.bool_(), f"{name}({found.name})", lambda a: compute(as_text(a)), found)


def _list_contains(to: Compiler, node: exp.Expr, depth: int) -> Term:
    return list_contains(to, to.term(node.this, depth), to.term(node.expression, depth))


def list_contains(to: Compiler, found: Term, wanted: Term) -> Term:
    """Whether a list contains a value; the steps of both are already compiled, in this order."""
    name = "list_contains"
    needs(found, is_list, name, "a list")
    if pa.types.is_null(found.type):
        return to.add(pa.bool_(), name, lambda a, b: pa.scalar(None, pa.bool_()), found, wanted)
    element = Term(computed_type(found.type.value_type), f"a value of {found.name}")
    equal = comparison("=", element, wanted)

    def compute(lists: Values, value: Values) -> Values:
        return operations.contained(lists, value, lambda a, b: equal(a.cast(element.type), b))

    return to.add(pa.bool_(), f"{name}({found.name})", compute, found, wanted)


def _cast(to: Compiler, node: exp.Expr, depth: int) -> Term:
    found, named = to.term(node.this, depth), node.args["to"]
    target = _CASTS.get(named.this) if not named.expressions else None
    name = f"CAST({found.name} AS {named.sql('duckdb')})"
    if target is None:
        raise refused(f"a cast to {named.sql('duckdb')}")
    if found.value is not None and isinstance(node, exp.Cast) and not isinstance(node, exp.TryCast):
        try:
            value = converted(found.value, target)
        except (pa.ArrowException, ValueError) as error:
            raise cannot(f"{found.name} is not a valid {named.sql('duckdb')}") from error
        type_ = computed_type(target)
        return Term(type_, name, value.cast(type_))
    if not _can_cast(found.type, target):
        raise cannot(f"{found}, which you cannot CAST AS {named.sql('duckdb')}")
    compute = operations.cast(found.type, target, or_null=isinstance(node, exp.TryCast))
    type_ = computed_type(target)
    return to.add(type_, name, lambda a: compute(a).cast(type_), found)


def _can_cast(source: pa.DataType, target: pa.DataType) -> bool:
    if pa.types.is_null(source) or source == target:
        return True
    simple = is_text(source) or is_number(source) or pa.types.is_boolean(source)
    times = pa.types.is_date(source) or pa.types.is_timestamp(source)
    to_time = pa.types.is_date(target) or pa.types.is_timestamp(target)
    if to_time:
        return times or is_text(source)
    return simple or (times and is_text(target))


_WHOLE = {"TINYINT": 8, "SMALLINT": 16, "INT": 32, "BIGINT": 64}
_CASTS: dict[Any, pa.DataType] = {
    **{getattr(exp.DType, name): getattr(pa, f"int{bits}")() for name, bits in _WHOLE.items()},
    exp.DType.FLOAT: pa.float32(),
    exp.DType.DOUBLE: pa.float64(),
    exp.DType.VARCHAR: pa.string(),
    exp.DType.TEXT: pa.string(),
    exp.DType.BOOLEAN: pa.bool_(),
    exp.DType.DATE: pa.date32(),
    exp.DType.TIMESTAMP: pa.timestamp("us"),
    exp.DType.TIMESTAMPNTZ: pa.timestamp("us"),
    exp.DType.TIMESTAMPTZ: pa.timestamp("us", "UTC"),
}


_ONE = "this"
_TWO = "this expression"
CALLS: dict[type[exp.Expr], tuple[Single, str]] = {
    exp.Lower: (_of_text("lower", pc.utf8_lower, pa.string()), _ONE),
    exp.Upper: (_of_text("upper", pc.utf8_upper, pa.string()), _ONE),
    exp.Length: (_length, _ONE),
    exp.Abs: (_abs, _ONE),
    exp.Year: (_of_time("year", pc.year), _ONE),
    exp.Month: (_of_time("month", pc.month), _ONE),
    exp.Day: (_of_time("day", pc.day), _ONE),
    exp.StartsWith: (_searched("starts_with", pc.starts_with), _TWO),
    exp.EndsWith: (_searched("ends_with", pc.ends_with), _TWO),
    exp.Contains: (_searched("contains", pc.match_substring), _TWO),
    exp.RegexpLike: (_regexp_matches, f"{_TWO} flag"),
    exp.ArrayContains: (_list_contains, _TWO),
    exp.Cast: (_cast, "this to"),
    exp.TryCast: (_cast, "this to"),
}
