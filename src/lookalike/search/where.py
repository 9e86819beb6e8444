"""Which rows a condition holds for: the SQL after WHERE, over the columns of items and nothing else."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.errors import UnknownColumnError
from lookalike.storage.parts import with_schema
from lookalike.storage.snapshot import Snapshot

if TYPE_CHECKING:
    from lookalike.search.conditions.program import Program

# So many rows are computed at once: the intermediate columns take some megabytes.
_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Condition:
    """A condition that has been checked: `columns` are those that it names, of the types in `schema`.

    It may be used from several threads, and for any table of items: a column that a table lacks is null.
    """

    text: str
    schema: pa.Schema
    program: Program

    @property
    def columns(self) -> list[str]:
        """The columns of items that a caller has to read for `mask`."""
        return list(self.schema.names)

    def mask(self, rows: pa.Table) -> NDArray[np.bool_]:
        """Whether the condition holds, bool (n,), for each row of a table; where it is NULL it does not.

        Raises `QueryError` where a value makes it fail: text that is no number, say.
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
            with ThreadPoolExecutor(min(len(starts), os.cpu_count() or 1)) as threads:
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
    """For which rows a condition holds: bool (N,); reads only the columns that it names."""
    if not condition.columns:
        return condition.mask(pa.table({"": pa.nulls(len(snapshot), pa.bool_())}))
    return condition.mask(snapshot.table(condition.columns))


def condition_for(snapshot: Snapshot, text: str) -> Condition:
    """A condition over the columns of a snapshot, those that were derived among them; raises `QueryError`."""
    try:
        return parse_condition(text, snapshot.schema)
    except UnknownColumnError:
        return parse_condition(text, snapshot.all_columns)


def parse_condition(condition: str, schema: pa.Schema) -> Condition:
    """Check a condition over columns of these names and types; nothing that it says has run before.

    Raises `QueryError` where it is not one SQL condition, names an unknown column (the nearest is offered),
    or has anything but comparisons, arithmetic and a few functions of a row's values.
    """
    from lookalike.search.conditions.nodes import compiled  # sqlglot takes a tenth of a second to load
    from lookalike.search.conditions.sql import parsed

    program = compiled(parsed(condition), schema)
    columns = pa.schema([schema.field(name).with_nullable(True) for name in program.columns])
    checked = Condition(condition, columns, program)
    checked.program.run(columns.empty_table())  # what Arrow has no operation for is found out now
    return checked
