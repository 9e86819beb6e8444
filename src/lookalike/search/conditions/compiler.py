"""Compiles a parsed condition to a program, node by node; nodes that no table lists are refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from lookalike.errors import QueryError, UnknownColumnError
from lookalike.search.conditions.program import Step
from lookalike.search.conditions.sql import cannot, refused
from lookalike.search.conditions.terms import Term, computed_type, shortened
from lookalike.storage.columns import INTERNAL_COLUMNS

Values = Any  # a pa.Array of a batch of rows, or a pa.Scalar for all of them

# Calls, casts, NOT, BETWEEN and the like inside each other. AND, OR and arithmetic in a row do not count.
_MAX_DEPTH = 8
# Each looks at every row.
_MAX_STEPS = 3_000

# Columns that are not suggested, because nobody asks for the position of a thumbnail in its file.
# Nodes that do not count as depth: brackets were limited earlier, and the others have nothing inside.
_SHALLOW = (exp.Paren, exp.Column, exp.Dot, exp.Literal, exp.Boolean, exp.Null)
# The parser's notes about a node, none of which changes its value here.
_NOTES = frozenset({"typed", "safe", "quoted", "is_string", "big_int"})


class Compiler:
    """Compiles one condition over the columns of a schema to steps.

    `infix` and `single` say how to compile each kind of node, and which arguments it may have.
    """

    def __init__(self, schema: pa.Schema, infix: Mapping[Any, Any], single: Mapping[Any, Any]) -> None:
        self.schema = schema
        self.steps: list[Step] = []
        self.columns: dict[str, None] = {}
        self._infix, self._single = infix, single

    def term(self, node: exp.Expr, depth: int) -> Term:
        """Compile a node nested this deep; raises `QueryError`."""
        infix = []
        while type(node) in self._infix:
            check_arguments(node, "this expression")
            infix.append(node)
            node = node.this
        left = self._alone(node, depth)
        for one in reversed(infix):  # a loop, not recursion, so a chain may have any length
            left = self._infix[type(one)](self, left, self.term(one.expression, depth))
        return left

    def add(self, type_: pa.DataType, name: str, compute: Callable[..., Values], *given: Term) -> Term:
        """Add a step over the values of terms, compiled in this order; returns the resulting term."""
        if len(self.steps) >= _MAX_STEPS:
            raise QueryError(
                f"the condition has more than {_MAX_STEPS:,} operations",
                "use IN with a list, or a shorter one",
            )
        step = Step(shortened(name), compute, [one.value for one in given])
        self.steps.append(step)
        return Term(type_, step.name)

    def column(self, names: Sequence[str]) -> Term:
        """The column, or the field in it, that a dotted name stands for; raises `UnknownColumnError`."""
        column, rest = self._found(names)
        self.columns[column] = None
        self.steps.append(Step(column))
        term = Term(computed_type(self.schema.field(column).type), column)
        for name in rest:
            known = [term.type.field(i).name for i in range(term.type.num_fields)] if _is_record(term) else []
            field = _find(name, known)
            if field is None:
                what = f"its fields are: {', '.join(known)}" if known else "it has no fields"
                raise UnknownColumnError(f"the condition names {term.name}.{name}, but {term}", what)
            term = self._field(term, field)
        return term

    def _field(self, record: Term, name: str) -> Term:
        stored = record.type.field(name).type
        type_ = computed_type(stored)
        return self.add(
            type_, f"{record.name}.{name}", lambda values: pc.struct_field(values, name).cast(type_), record
        )

    def _found(self, names: Sequence[str]) -> tuple[str, Sequence[str]]:
        """The column of items that a dotted name begins with, matched exactly or else ignoring case."""
        known = [name for name in self.schema.names if name != "embedding"]
        if len(names) > 1 and names[0].lower() == "items" and _find(names[1], known):
            names = names[1:]
        found = _find(names[0], known)
        if found:
            return found, names[1:]
        nearest = get_close_matches(names[0], known, n=1, cutoff=0.5)
        offer = f"did you mean {nearest[0]}? " if nearest else ""
        useful = [name for name in known if name not in INTERNAL_COLUMNS]
        hint = f"{offer}the columns are: {', '.join(useful)} (put text in single quotes)"
        raise UnknownColumnError(f"the condition names {shortened(names[0])!r}, which is not a column", hint)

    def _alone(self, node: exp.Expr, depth: int) -> Term:
        if type(node) not in self._single:
            raise refused(_what(node))
        compile_, arguments = self._single[type(node)]
        check_arguments(node, arguments)
        depth += not isinstance(node, _SHALLOW)
        if depth > _MAX_DEPTH:
            raise cannot(f"it nests more than {_MAX_DEPTH} calls, casts, NOTs and the like")
        found: Term = compile_(self, node, depth)
        return found


def check_arguments(node: exp.Expr, known: str) -> None:
    """Raise `QueryError` if a node has arguments that are not listed, because they change its meaning."""
    for name, value in node.args.items():
        if value not in (None, False, []) and name not in _NOTES and name not in known.split():
            what = _what(node)
            raise refused(what if node.find(exp.Query) else f"{what} with {name.replace('_', ' ')}")


def _what(node: exp.Expr) -> str:
    """The name of a refused node, for its error."""
    if isinstance(node, exp.Query) or node.find(exp.Query):
        return "a query inside it"
    names = {
        exp.Star: "*", exp.Bracket: "a subscript", exp.Placeholder: "a placeholder", exp.DPipe: "||",
        exp.JSONExtract: "->", exp.SimilarTo: "SIMILAR TO", exp.Pow: "**",
        exp.Tuple: "a tuple", exp.Case: "CASE", exp.Collate: "COLLATE",
    }  # fmt: skip
    known = next((name for kind, name in names.items() if isinstance(node, kind)), None)
    if known is None and isinstance(node, exp.Func):
        return f"the function {node.sql_name().lower()}"
    return known or node.key.upper()


def _is_record(term: Term) -> bool:
    return bool(pa.types.is_struct(term.type))


def _find(name: str, known: Sequence[str]) -> str | None:
    if name in known:
        return name
    return next((one for one in known if one.lower() == name.lower()), None)
