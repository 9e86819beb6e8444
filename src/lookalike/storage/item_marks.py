"""What marks say of some items, and the marks that take a batch back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lookalike.storage.marks import Mark, Marks
from lookalike.storage.snapshot import Snapshot


def said_of(snapshot: Snapshot, ids: Sequence[str]) -> list[dict[str, Any]]:
    """What marks about a single picture say of each of these items, by kind; raises `UnknownIdError`."""
    near = _Near(snapshot, ids)
    return [
        {kind: value for kind in near.kinds if (value := near.value(kind, (id_,))) is not None} for id_ in ids
    ]


def undoing(snapshot: Snapshot, batch: Sequence[Mark]) -> list[Mark]:
    """The marks that restore what was said before a batch about items of now; write them after it.

    Leaves out what the batch does not change. Raises `UnknownIdError`.
    """
    near = _Near(snapshot, dict.fromkeys(id_ for mark in batch for id_ in mark.ids))
    now, found = datetime.now(UTC), {}
    for mark in batch:
        before = near.value(mark.kind, mark.ids)
        if before != mark.value:
            found[mark.kind, mark.ids] = replace(mark, at=now, value=before)
    return list(found.values())


class _Near:
    """The marks about some items or about no picture; of items alike, those with the id count."""

    def __init__(self, snapshot: Snapshot, ids: Iterable[str]) -> None:
        rows, marks = snapshot.rows_of(ids), snapshot.marks
        checksums = {*snapshot.values("sha256", rows)} - {""} if marks.last else set()
        if checksums:
            alike = pc.is_in(snapshot.column("sha256"), pa.array(sorted(checksums)))
            rows = np.union1d(rows, np.flatnonzero(alike))
        self._ids, self._sha256s = snapshot.ids(rows), snapshot.values("sha256", rows)
        self._places = {id_: place for place, id_ in enumerate(self._ids)}
        pictures = {*zip(self._ids, self._sha256s, strict=True)}
        about = [
            mark
            for mark in marks.last
            if all(one in pictures or one[1] in checksums for one in mark.pictures)
        ]
        self._about = Marks(tuple(about))
        self._columns: dict[str, list[Any]] = {}

    @property
    def kinds(self) -> list[str]:
        return sorted({mark.kind for mark in self._about.last if mark.ids})

    def value(self, kind: str, ids: Sequence[str]) -> Any:
        """What marks of a kind say of an item, of a pair, or of no picture; None if nothing."""
        match [self._places[id_] for id_ in ids]:
            case []:
                return next((one.value for one in self._about.of(kind) if not one.ids), None)
            case [row]:
                if kind not in self._columns:
                    self._columns[kind] = self._about.column(kind, self._ids, self._sha256s)
                return self._columns[kind][row]
            case [one, other]:
                pairs = self._about.pairs(kind, self._ids, self._sha256s)
                return pairs.get((min(one, other), max(one, other)))
        raise ValueError(f"a mark of {len(ids)} pictures together")
