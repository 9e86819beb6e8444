"""A condition as a program: steps that compute a batch of rows on a stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lookalike.errors import QueryError
from lookalike.search.conditions.sql import cannot
from lookalike.search.conditions.terms import computed_type

Values = Any  # a pa.Array of a batch of rows, or a pa.Scalar for all of them


@dataclass(frozen=True, slots=True)
class Step:
    """Puts the result of `compute` over `given` on the stack: constants, and for None a value off the stack.

    If `compute` is None, the step is the column called `name`; otherwise errors call the step by that name.
    """

    name: str
    compute: Callable[..., Values] | None = None
    given: Sequence[pa.Scalar | None] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """Steps that leave one boolean value on the stack, and the columns they read."""

    steps: Sequence[Step]
    columns: Sequence[str]

    def run(self, rows: pa.Table) -> Values:
        """The value for each row of a table, a boolean array or scalar; raises `QueryError`."""
        stack: list[Values] = []
        columns: dict[str, pa.Array] = {}
        for step in self.steps:
            if step.compute is None:
                if step.name not in columns:
                    columns[step.name] = _computable(rows[step.name])
                stack.append(columns[step.name])
                continue
            values = [stack.pop() if one is None else one for one in reversed(step.given)]
            try:
                stack.append(step.compute(*reversed(values)))
            except pa.ArrowException as error:
                raise _failed(step.name, error) from None
        [value] = stack
        return value


def _computable(column: pa.ChunkedArray) -> pa.Array:
    """The values of a column, in the type used to compute."""
    values = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    type_ = computed_type(values.type)
    return values if values.type == type_ else values.cast(type_)


def _failed(name: str, error: pa.ArrowException) -> QueryError:
    """The error of an Arrow step, in one line."""
    reason = " ".join(str(error).split()).rstrip(".")
    hint = ""
    if "parse" in reason or "truncated" in reason:
        hint = "TRY_CAST gives NULL for a value that does not fit"
    elif "overflow" in reason or "range" in reason:
        reason, hint = f"a number gets too large ({reason})", "CAST a value AS DOUBLE first"
    return cannot(f"{name}: {reason}", hint)
