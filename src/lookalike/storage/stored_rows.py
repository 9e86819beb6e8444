"""The stored rows of one state without their vectors: from the file of rows, or else from the parts."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.storage.part_state import PartState
from lookalike.storage.parts import ITEM_FIELDS
from lookalike.storage.row_file import Hashes, RowFile, id_hashes
from lookalike.storage.state import State
from lookalike.storage.stores import each

# How many parts keep their rows in memory if there is no file of rows.
_KEPT_PARTS = 32


class StoredRows:
    """The columns of each part as they are stored; safe to read from several threads."""

    def __init__(self, state: State, row_file: RowFile | None = None) -> None:
        self.state, self._row_file = state, row_file
        self._arrays: dict[tuple[int, str], pa.Array] = {}
        self._batches: dict[int, pa.RecordBatch] = {}
        self._read: OrderedDict[int, pa.RecordBatch] = OrderedDict()

    @cached_property
    def is_mapped(self) -> bool:
        """Whether the file of rows holds the rows of all parts in their current state."""
        known = self._row_file.states(self.state.root) if self._row_file else {}
        return all(known.get(one.part.number) == one for one in self.state.parts)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns without the embedding, in types that can hold the values of all parts."""
        seen = dict.fromkeys(each(self.state.parts, self._schema_of, self.state.root))
        return pa.unify_schemas([pa.schema(ITEM_FIELDS), *seen], promote_options="permissive")

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the columns."""
        return frozenset(self.schema.names)

    @cached_property
    def filled(self) -> frozenset[str]:
        """The columns that are not null in every row; all of them if there are no rows."""
        batches = [self._batch(place)[0] for place in range(len(self.state.parts))]
        return frozenset(
            name
            for name in self.names
            if not batches
            or any(name in one.schema.names and one.column(name).null_count < one.num_rows for one in batches)
        )

    def array(self, place: int, name: str) -> pa.Array:
        """A column of the part at a place; nulls if only other parts have it, `KeyError` if none has."""
        array = self._arrays.get((place, name))
        if array is not None:
            return array
        batch, mapped = self._batch(place)
        at = batch.schema.get_field_index(name)
        if at < 0:
            if name not in self.names:
                raise KeyError(name)
            return pa.nulls(batch.num_rows, self.schema.field(name).type)
        array = batch.column(at)
        if mapped:
            try:
                array.validate(full=True)  # else an offset in a damaged file could lead anywhere
            except pa.ArrowException:
                array = self.state.parts[place].described()[name].combine_chunks()
            self._arrays[place, name] = array
        return array

    @cached_property
    def hashes(self) -> Hashes:
        """The hash of the id of each row, uint64 (N,)."""
        found = [np.empty(0, np.uint64)]
        for place, state in enumerate(self.state.parts):
            mapped = self._row_file.hashes(state) if self._row_file else None
            found.append(id_hashes(self.array(place, "id").to_pylist()) if mapped is None else mapped)
        return np.concatenate(found)

    @cached_property
    def sorted_hashes(self) -> tuple[NDArray[np.int64], Hashes]:
        """The rows in the order of their hashes, (N,), and these, ascending."""
        order = np.argsort(self.hashes, kind="stable")
        return order, self.hashes[order]

    def _schema_of(self, state: PartState) -> pa.Schema:
        known = self._row_file.schema(state) if self._row_file else None
        if known is not None:
            return known
        return pa.schema([field for field in state.schema() if field.name != "embedding"])

    def _batch(self, place: int) -> tuple[pa.RecordBatch, bool]:
        """The rows of a part, and whether they are mapped and so still have to be validated."""
        batch = self._batches.get(place)
        if batch is not None:
            return batch, True
        mapped = self._row_file.rows(self.state.parts[place]) if self._row_file else None
        if mapped is not None:
            self._batches[place] = mapped
            return mapped, True
        read = self._read.get(place)
        if read is None:
            table = self.state.parts[place].described().combine_chunks()
            (read,) = table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
            self._read[place] = read
            while len(self._read) > _KEPT_PARTS:
                with suppress(KeyError):  # another thread was faster
                    self._read.popitem(last=False)
        return read, False
