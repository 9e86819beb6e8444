"""Comparisons, logic and arithmetic: the nodes of a condition with two sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from lookalike.search.conditions import operations
from lookalike.search.conditions.compiler import Compiler
from lookalike.search.conditions.terms import Term, common_type, conversion, is_number, needs

Values = Any  # a pa.Array of a batch of rows, or a pa.Scalar for all of them
Infix = Callable[[Compiler, Term, Term], Term]


def _logic(name: str, compute: Callable[..., Values]) -> Infix:
    def compile_(to: Compiler, left: Term, right: Term) -> Term:
        for side in (left, right):
            needs(side, pa.types.is_boolean, name, "yes/no expressions")
        return to.add(pa.bool_(), f"{left.name} {name} {right.name}", as_booleans(compute), left, right)

    return compile_


def as_booleans(compute: Callable[..., Values]) -> Callable[..., Values]:
    """An operation on booleans that also works if all values are NULL."""
    return lambda *values: compute(*(one.cast(pa.bool_()) for one in values))


def _comparison(sign: str) -> Infix:
    def compile_(to: Compiler, left: Term, right: Term) -> Term:
        compute = comparison(sign, left, right)
        return to.add(pa.bool_(), f"{left.name} {sign} {right.name}", compute, left, right)

    return compile_


def comparison(sign: str, left: Term, right: Term) -> Callable[..., Values]:
    """The comparison of two terms, both converted to their common type."""
    type_ = common_type(left, right)
    of_left, of_right = conversion(left, type_, right), conversion(right, type_, left)
    floats = pa.types.is_floating(type_ or left.type)
    compare = operations.compared(sign, floats=floats)
    return lambda a, b: compare(of_left(a), of_right(b))


def _distinct(is_distinct: bool) -> Infix:
    def compile_(to: Compiler, left: Term, right: Term) -> Term:
        differ = comparison("<>", left, right)

        def compute(a: Values, b: Values) -> Values:
            found = operations.distinct(a, b, differ(a, b))
            return found if is_distinct else pc.invert(found)

        return to.add(pa.bool_(), f"{left.name} IS DISTINCT FROM {right.name}", compute, left, right)

    return compile_


def _arithmetic(sign: str) -> Infix:
    def compile_(to: Compiler, left: Term, right: Term) -> Term:
        only_whole = sign in ("//", "%")
        for side in (left, right):
            if only_whole:
                needs(side, pa.types.is_integer, sign, "whole numbers")
            else:
                needs(side, is_number, sign, "numbers")
        name = f"{left.name} {sign} {right.name}"
        if pa.types.is_null(left.type) or pa.types.is_null(right.type):
            return to.add(pa.null(), name, lambda a, b: pa.scalar(None), left, right)
        whole = pa.types.is_integer(left.type) and pa.types.is_integer(right.type)
        type_ = pa.int64() if whole and sign != "/" else pa.float64()
        return to.add(type_, name, operations.arithmetic(sign, whole=whole), left, right)

    return compile_


INFIX: dict[type[exp.Expr], Infix] = {
    exp.And: _logic("AND", pc.and_kleene),
    exp.Or: _logic("OR", pc.or_kleene),
    exp.EQ: _comparison("="),
    exp.NEQ: _comparison("<>"),
    exp.LT: _comparison("<"),
    exp.LTE: _comparison("<="),
    exp.GT: _comparison(">"),
    exp.GTE: _comparison(">="),
    exp.NullSafeEQ: _distinct(False),
    exp.NullSafeNEQ: _distinct(True),
    exp.Add: _arithmetic("+"),
    exp.Sub: _arithmetic("-"),
    exp.Mul: _arithmetic("*"),
    exp.Div: _arithmetic("/"),
    exp.IntDiv: _arithmetic("//"),
    exp.Mod: _arithmetic("%"),
}
