"""Finds the rows that meet a condition: the SQL after WHERE, over the columns of items and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.errors import UnknownColumnError
from lookalike.parallel import cores
from lookalike.storage.parts import with_schema
from lookalike.storage.snapshot import Snapshot

if TYPE_CHECKING:
    from lookalike.search.conditions.program import Program

# The number of rows computed at once: the intermediate columns take some megabytes.
_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Condition:
    """A checked condition: `columns` are those that it names, with the types in `schema`.

    Several threads may use it, for any table of items: a column that a table lacks is null.
    """

    text: str
    schema: pa.Schema
    program: Program

    @property
    def columns(self) -> list[str]:
        """The columns of items that a caller must read for `mask`."""
        return list(self.schema.names)

    def mask(self, rows: pa.Table) -> NDArray[np.bool_]:
        """Whether each row of a table meets the condition, bool (n,); a row that gives NULL does not.

        Raises `QueryError` if a value makes it fail, such as text that is not a number.
        """
        found = np.zeros(rows.num_rows, np.bool_)
        named = with_schema(rows, self.schema) if self.columns else rows.select([])

        def compute(start: int) -> None:
            found[start : start + _BATCH_ROWS] = self._truth(named.slice(start, _BATCH_ROWS))

        starts = range(0, rows.num_rows, _BATCH_ROWS)
        if len(starts) == 1:
            compute(0)
        elif starts:
            # Arrow releases the interpreter lock.
            with ThreadPoolExecutor(min(len(starts), cores())) as threads:
                contexts = [copy_context() for _ in starts]
                list(threads.map(lambda context, start: context.run(compute, start), contexts, starts))
        return found

    def _truth(self, batch: pa.Table) -> NDArray[np.bool_] | bool:
        value = self.program.run(batch)
        if isinstance(value, pa.Scalar):
            return bool(value.as_py())
        if pa.types.is_null(value.type):
            return False
        return np.asarray(value.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)


def matching_rows(snapshot: Snapshot, condition: Condition) -> NDArray[np.bool_]:
    """Whether each row meets a condition, bool (N,); reads only the columns that it names."""
    if not condition.columns:
        return condition.mask(pa.table({"": pa.nulls(len(snapshot), pa.bool_())}))
    return condition.mask(snapshot.table(condition.columns))


def condition_for(snapshot: Snapshot, text: str) -> Condition:
    """A condition over the columns of a snapshot, including those of analyses; raises `QueryError`."""
    try:
        return parse_condition(text, snapshot.schema)
    except UnknownColumnError:
        return parse_condition(text, snapshot.all_columns)


def parse_condition(condition: str, schema: pa.Schema) -> Condition:
    """Check a condition over columns with these names and types before any of it runs.

    Raises `QueryError` if it is not one SQL condition, names an unknown column (it suggests the nearest),
    or has anything but comparisons, arithmetic and a few functions of a row's values.
    """
    from lookalike.search.conditions.nodes import compiled  # sqlglot takes a tenth of a second to load
    from lookalike.search.conditions.sql import parsed

    program = compiled(parsed(condition), schema)
    columns = pa.schema([schema.field(name).with_nullable(True) for name in program.columns])
    checked = Condition(condition, columns, program)
    checked.program.run(columns.empty_table())  # fails now if Arrow lacks an operation
    return checked
