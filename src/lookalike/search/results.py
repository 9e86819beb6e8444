"""The results of a search: a sequence of hits that converts to arrays, a table, JSON or pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.search.lexicon import Meant
from lookalike.storage.items import Item, data_frame, figures
from lookalike.storage.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas
    from PIL import Image


# Of first hits that have the label of the picture asked with, 3 in 100 are below (docs/confidence.md).
WEAK = 1 / 3
# The hits that are asked: with labels, the nearest may be less sure than those below it.
FIRST_HITS = 10


class Hit(Item):
    """An item that was found: adds its cosine `score` in [-1, 1] to what every item has.

    `confidence` in [0, 1] says how likely it is what was asked for (docs/confidence.md); it is None in a
    collection of one item, which has nothing to compare with.
    """

    __slots__ = ("confidence", "score")

    def __init__(self, snapshot: Snapshot, row: int, score: float, confidence: float | None) -> None:
        super().__init__(snapshot, row)
        self.score, self.confidence = score, confidence

    def as_dict(self) -> dict[str, Any]:
        """Id, score, confidence and the other columns, ready for JSON."""
        columns = super().as_dict()
        return {"id": columns.pop("id"), "score": self.score, "confidence": self.confidence, **columns}

    def __repr__(self) -> str:
        return f"Hit(id={self.id!r}, score={self.score:.3f}, label={self.label!r})"

    def _caption(self) -> str:
        return f"{self.score:.3f} {self.label or self.id}"


@dataclass(frozen=True, eq=False)
class Results(Sequence[Hit]):
    """The hits of one query, best first; their columns are read on demand.

    `rows` int64 (n,) are their row numbers in the snapshot, `scores` float32 (n,) their cosines, and
    `confidences` (n,) are in [0, 1], or None if there is nothing to compare with. `meant` is what each text
    of the query means, and `refined` how marks refined it, empty without marks.
    """

    snapshot: Snapshot
    rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    confidences: NDArray[np.float64] | None
    meant: tuple[Meant, ...] = ()
    refined: str = ""

    @cached_property
    def ids(self) -> list[str]:
        return self.snapshot.ids(self.rows)

    @cached_property
    def labels(self) -> list[str | None]:
        return self.snapshot.values("label", self.rows)

    @property
    def by_chance(self) -> bool:
        """Whether even the surest of the first ten hits is weak: its confidence is below `WEAK`."""
        best = self.surest
        return best is not None and best < WEAK

    @property
    def surest(self) -> float | None:
        """The highest confidence of the first ten hits; None without any."""
        if self.confidences is None or not len(self):
            return None
        return float(self.confidences[:FIRST_HITS].max())

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    def __getitem__(self, index: int | slice) -> Hit | Results:
        confidences = self.confidences
        if isinstance(index, slice):
            some = None if confidences is None else confidences[index]
            return replace(self, rows=self.rows[index], scores=self.scores[index], confidences=some)
        confidence = None if confidences is None else float(confidences[index])
        return Hit(self.snapshot, int(self.rows[index]), float(self.scores[index]), confidence)

    def take(self, places: Sequence[int]) -> Results:
        """The hits at these positions, in this order."""
        at = np.asarray(places, np.int64)
        some = None if self.confidences is None else self.confidences[at]
        return replace(self, rows=self.rows[at], scores=self.scores[at], confidences=some)

    def sure(self, min_confidence: float) -> Results:
        """The hits with at least this confidence; all of them if there is nothing to compare with."""
        if self.confidences is None or min_confidence <= 0:
            return self
        return self.take(np.flatnonzero(self.confidences >= min_confidence).tolist())

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Hit]:
        none = [None] * len(self)
        confidences = none if self.confidences is None else self.confidences.tolist()
        pairs = zip(self.rows.tolist(), self.scores.tolist(), confidences, strict=True)
        return (Hit(self.snapshot, *one) for one in pairs)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Each hit as a dict: id, score, confidence and the other columns, ready for JSON."""
        return [hit.as_dict() for hit in self]

    def to_table(self) -> pa.Table:
        """The hits as a pyarrow table: id, score, confidence and the other columns."""
        names = [name for name in self.snapshot.schema.names if name not in Item.HIDDEN]
        records = self.snapshot.records(self.rows, names)
        columns: dict[str, Any] = {
            name: pa.array([one[name] for one in records], self.snapshot.schema.field(name).type)
            for name in names
        }
        none = [None] * len(self)
        confidence = pa.array(none if self.confidences is None else self.confidences, pa.float64())
        found = {"id": columns.pop("id"), "score": pa.array(self.scores), "confidence": confidence}
        return pa.table(found | columns)

    to_arrow = to_table

    def to_pandas(self) -> pandas.DataFrame:
        """The hits as a DataFrame; raises `ExtraError` without pandas."""
        return data_frame(self.to_table())

    def plot(self) -> Image.Image:
        """An image of the pictures side by side, each with its score and label; a notebook shows it."""
        from lookalike.images.contact import contact_sheet

        captions = [hit._caption() for hit in self]
        return contact_sheet(self.snapshot.thumbnails(self.rows), captions)

    def __repr__(self) -> str:
        shown = ", ".join(f"{hit.id} {hit.score:.3f}" for hit in self[:3])
        return f"Results({len(self)} hits{': ' if shown else ''}{shown}{', …' if len(self) > 3 else ''})"

    def _repr_html_(self) -> str:
        jpegs = self.snapshot.thumbnails(self.rows)
        return figures(zip(jpegs, self.ids, (hit._caption() for hit in self), strict=True))
