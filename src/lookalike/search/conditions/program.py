"""A condition as a program: steps that compute a batch of rows on a stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lookalike.errors import QueryError
from lookalike.search.conditions.sql import cannot
from lookalike.search.conditions.terms import computed_type
from lookalike.search.stopping import go_on

Values = Any  # a pa.Array of a batch of rows, or a pa.Scalar for all of them


@dataclass(frozen=True, slots=True)
class Step:
    """Puts what `compute` makes of `given` on the stack: constants, and what it takes off the stack for None.

    `compute` is None for the column of that `name`; else an error names the step so.
    """

    name: str
    compute: Callable[..., Values] | None = None
    given: Sequence[pa.Scalar | None] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """Steps that leave one value on the stack, bool, and the columns that they look at."""

    steps: Sequence[Step]
    columns: Sequence[str]

    def run(self, rows: pa.Table) -> Values:
        """The value for each row of a table, a boolean array or scalar; raises `QueryError`."""
        stack: list[Values] = []
        columns: dict[str, pa.Array] = {}
        for step in self.steps:
            go_on()
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
    """The values of a column in the type that they are computed in."""
    values = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    type_ = computed_type(values.type)
    return values if values.type == type_ else values.cast(type_)


def _failed(name: str, error: pa.ArrowException) -> QueryError:
    """What Arrow says of a value in a step, in one line."""
    reason = " ".join(str(error).split()).rstrip(".")
    hint = ""
    if "parse" in reason or "truncated" in reason:
        hint = "TRY_CAST gives NULL where a value has no such form"
    elif "overflow" in reason or "range" in reason:
        reason, hint = f"a number becomes too large ({reason})", "CAST a value AS DOUBLE first"
    return cannot(f"{name}: {reason}", hint)
