"""What a search found: a sequence of hits, which is also a table, JSON, or pictures in a notebook."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any, overload

import pyarrow as pa

from lookalike.storage.parts import Part
from lookalike.storage.samples import Hits

# What the terminal, JSON and notebooks have no use for: how the collection finds the thumbnail.
_HIDDEN = ("thumb_offset", "thumb_size")


@dataclass(frozen=True, slots=True)
class Hit:
    """One item that was found: its `id`, its cosine `score` in [-1, 1], and the columns of its row.

    `confidence` in [0, 1] says how hard it is to be that similar by chance (docs/confidence.md); it is None
    in a collection of one item, which has nothing to compare with.
    """

    id: str
    score: float
    confidence: float | None
    item: Mapping[str, Any]
    part: Part

    @property
    def label(self) -> str | None:
        return self.item.get("label")

    @property
    def tags(self) -> list[str]:
        """What the model says is in the picture, the most likely first; empty for models without words."""
        return self.item.get("tags") or []

    @property
    def uri(self) -> str:
        return str(self.item["uri"])

    def thumbnail(self) -> bytes:
        """The JPEG of at most 256 px that the collection keeps."""
        return self.part.thumbnails([self.id])[0]

    def as_dict(self) -> dict[str, Any]:
        """Id, score, confidence and the other columns, ready for JSON."""
        shown = {name: value for name, value in self.item.items() if name not in _HIDDEN}
        return {"id": self.id, "score": self.score, "confidence": self.confidence, **shown}

    def __repr__(self) -> str:
        return f"Hit(id={self.id!r}, score={self.score:.3f}, label={self.label!r})"


@dataclass(frozen=True, slots=True)
class Results(Sequence[Hit]):
    """The hits of one query, the best first."""

    hits: tuple[Hit, ...]

    @staticmethod
    def of(
        hits: Hits,
        confidences: Sequence[float | None],
        rows: Mapping[str, tuple[Mapping[str, Any], Part]],
    ) -> Results:
        """Join hits with their rows by id; one whose row has vanished meanwhile is left out."""
        found = zip(hits.ids, hits.scores.tolist(), confidences, strict=True)
        return Results(
            tuple(Hit(id_, score, confidence, *rows[id_]) for id_, score, confidence in found if id_ in rows)
        )

    @property
    def by_chance(self) -> bool:
        """Whether the best hit is no better than chance would give more often than not."""
        best = self.hits[0].confidence if self.hits else None
        return best is not None and best < 0.5

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[index]

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def to_table(self) -> pa.Table:
        """Id, score, confidence and the other columns as a pyarrow table."""
        rows = [hit.as_dict() for hit in self.hits]
        names = dict.fromkeys(["id", "score", "confidence", *(name for row in rows for name in row)])
        return pa.table({name: [row.get(name) for row in rows] for name in names})

    def _repr_html_(self) -> str:
        figures = "".join(_figure(hit) for hit in self.hits)
        return f'<div style="display:flex;flex-wrap:wrap;gap:8px">{figures}</div>'


def jsonable(value: Any) -> Any:
    """The same as JSON has it: None for NaN and the infinities, ISO 8601 text for times and dates."""
    if isinstance(value, dict):
        return {name: jsonable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [jsonable(one) for one in value]
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _figure(hit: Hit) -> str:
    jpeg, name = hit.thumbnail(), html.escape(hit.id, quote=True)
    data = base64.b64encode(jpeg).decode()
    image = f'<img src="data:image/jpeg;base64,{data}" height="128" title="{name}">' if jpeg else ""
    caption = html.escape(f"{hit.score:.3f} {hit.label or hit.id}")
    return f'<figure style="margin:0">{image}<figcaption>{caption}</figcaption></figure>'
