"""The other nodes of a condition: values, columns, NOT, IS, BETWEEN, IN and LIKE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from lookalike.errors import QueryError
from lookalike.search.conditions import operations
from lookalike.search.conditions.calls import CALLS, Single, as_text, list_contains
from lookalike.search.conditions.compiler import Compiler, check_arguments
from lookalike.search.conditions.infix import INFIX, as_booleans, comparison
from lookalike.search.conditions.program import Program, Step
from lookalike.search.conditions.sql import cannot, refused
from lookalike.search.conditions.terms import (
    Term,
    common_type,
    constant,
    constant_text,
    conversion,
    is_number,
    is_text,
    needs,
)

Values = Any  # a pa.Array of a batch of rows, or a pa.Scalar for all of them


def _literal(to: Compiler, node: exp.Expr, depth: int) -> Term:
    text = node.this
    if node.args["is_string"]:
        return constant(text, pa.string(), f"'{text}'")
    is_whole = text.isdigit() and int(text[:20]) < 2**63 and len(text) < 20
    value = int(text) if is_whole else float(text)
    return constant(value, pa.int64() if is_whole else pa.float64(), text)


def _boolean(to: Compiler, node: exp.Expr, depth: int) -> Term:
    return constant(node.this, pa.bool_(), str(node.this).lower())


def _null(to: Compiler, node: exp.Expr, depth: int) -> Term:
    return constant(None, pa.null(), "NULL")


def _paren(to: Compiler, node: exp.Expr, depth: int) -> Term:
    return to.term(node.this, depth)


def _not(to: Compiler, node: exp.Expr, depth: int) -> Term:
    found = to.term(node.this, depth)
    needs(found, pa.types.is_boolean, "NOT", "a yes/no expression")
    return to.add(pa.bool_(), f"NOT {found.name}", as_booleans(pc.invert), found)


def _negative(to: Compiler, node: exp.Expr, depth: int) -> Term:
    found = to.term(node.this, depth)
    needs(found, is_number, "-", "a number")
    name = f"-{found.name}"
    if found.value is None or pa.types.is_null(found.type):
        return to.add(found.type, name, pc.negate_checked, found)
    return constant(-found.value.as_py(), found.type, name)


def _is(to: Compiler, node: exp.Expr, depth: int) -> Term:
    found, wanted = to.term(node.this, depth), node.expression
    name = f"{found.name} IS {wanted.sql()}"
    if isinstance(wanted, exp.Null):
        return to.add(pa.bool_(), name, pc.is_null, found)
    if not isinstance(wanted, exp.Boolean):
        raise refused("IS with something that is not NULL, true or false")
    needs(found, pa.types.is_boolean, "IS", "a yes/no expression")
    truth = bool(wanted.this)
    return to.add(
        pa.bool_(), name, lambda a: pc.equal(pc.fill_null(a.cast(pa.bool_()), not truth), truth), found
    )


def _between(to: Compiler, node: exp.Expr, depth: int) -> Term:
    value, low, high = (to.term(one, depth) for one in (node.this, node.args["low"], node.args["high"]))
    above, below = comparison(">=", value, low), comparison("<=", value, high)
    name = f"{value.name} BETWEEN {low.name} AND {high.name}"
    return to.add(pa.bool_(), name, lambda a, b, c: pc.and_kleene(above(a, b), below(a, c)), value, low, high)


def _in(to: Compiler, node: exp.Expr, depth: int) -> Term:
    value = to.term(node.this, depth)
    if field := node.args.get("field"):
        return list_contains(to, to.term(field, depth), value)
    wanted = [to.term(one, depth) for one in node.expressions]
    if not wanted:
        raise cannot("IN has no values", "give some, as in: label IN ('roses', 'daisy')")
    name = f"{value.name} IN (…)"
    if all(one.value is not None for one in wanted):
        values = _value_set(value, wanted)
        return to.add(
            pa.bool_(), name, lambda a: operations.among(a.cast(values.type, safe=False), values), value
        )
    equals = [comparison("=", value, one) for one in wanted]

    def compute(a: Values, *given: Values) -> Values:
        found: Values = pa.scalar(False)
        for equal, one in zip(equals, given, strict=True):
            found = pc.or_kleene(found, equal(a, one))
        return found

    return to.add(pa.bool_(), name, compute, value, *wanted)


def _value_set(value: Term, wanted: Sequence[Term]) -> pa.Array:
    """The constants of an IN in one type: the value's, except for fractions among whole numbers."""
    types = [common_type(value, one) for one in wanted]
    type_ = next((one for one in types if one is not None and one != value.type), value.type)
    if pa.types.is_null(type_):
        type_ = pa.bool_()
    return pa.array([conversion(one, type_, value)(one.value).cast(type_) for one in wanted], type_)


def _like(to: Compiler, node: exp.Expr, depth: int) -> Term:
    escape = ""
    if isinstance(node, exp.Escape):
        escape = constant_text(to.term(node.expression, depth), "ESCAPE")
        if len(escape) > 1:
            raise cannot(f"ESCAPE takes one character, not {escape!r}")
        node = node.this
        if type(node) not in (exp.Like, exp.ILike):
            raise refused("ESCAPE without LIKE")
        check_arguments(node, "this expression negate")
    who = "ILIKE" if isinstance(node, exp.ILike) else "LIKE"
    found = to.term(node.this, depth)
    needs(found, is_text, who, "text")
    pattern = constant_text(to.term(node.expression, depth), who)
    compute = operations.like(pattern, escape, ignore_case=who == "ILIKE")
    negate = bool(node.args.get("negate"))
    name = f"{found.name} {who} '{pattern}'"
    return to.add(pa.bool_(), name, lambda a: _inverted(compute(as_text(a)), negate), found)


def _inverted(values: Values, negate: bool) -> Values:
    return pc.invert(values) if negate else values


def _column(to: Compiler, node: exp.Expr, depth: int) -> Term:
    names: list[str] = []
    while isinstance(node, exp.Dot):
        if not isinstance(node.expression, exp.Identifier):
            raise refused("a function after a dot")
        names.insert(0, node.expression.this)
        node = node.this
    if not isinstance(node, exp.Column):
        raise refused("a field of something that is not a column")
    parts = [node.args.get(place) for place in ("catalog", "db", "table", "this")]
    if not all(isinstance(one, exp.Identifier) for one in parts if one):
        raise refused("*")
    return to.column([*(one.this for one in parts if one), *names])


# How to compile each node, and the arguments that it may have.
SINGLE: dict[type[exp.Expr], tuple[Single, str]] = {
    exp.Literal: (_literal, "this"),
    exp.Boolean: (_boolean, "this"),
    exp.Null: (_null, ""),
    exp.Paren: (_paren, "this"),
    exp.Column: (_column, "this table db catalog"),
    exp.Dot: (_column, "this expression"),
    exp.Not: (_not, "this"),
    exp.Neg: (_negative, "this"),
    exp.Is: (_is, "this expression"),
    exp.Between: (_between, "this low high"),
    exp.In: (_in, "this expressions field"),
    exp.Like: (_like, "this expression negate"),
    exp.ILike: (_like, "this expression negate"),
    exp.Escape: (_like, "this expression"),
    **CALLS,
}


def compiled(tree: exp.Expr, schema: pa.Schema) -> Program:
    """The program of a parsed condition over columns of these names and types; raises `QueryError`."""
    compiler = Compiler(schema, INFIX, SINGLE)
    found = compiler.term(tree, 0)
    if not (pa.types.is_boolean(found.type) or pa.types.is_null(found.type)):
        hint = "compare it with something, as in: width > 300"
        raise QueryError(f"the condition is not a yes/no expression: {found}", hint)
    value = found.value
    steps = compiler.steps if value is None else [Step(found.name, lambda: value)]
    return Program(tuple(steps), tuple(compiler.columns))
