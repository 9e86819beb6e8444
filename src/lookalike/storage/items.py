"""One item of a snapshot; its columns, vector and picture are read on demand."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.errors import ExtraError
from lookalike.storage.columns import jsonable
from lookalike.storage.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas


class Item:
    """The item in one row of a snapshot; a notebook shows its picture."""

    __slots__ = ("row", "snapshot")

    # Of no use to people: where the collection finds the thumbnail.
    HIDDEN: ClassVar[tuple[str, ...]] = ("thumb_offset", "thumb_size")

    def __init__(self, snapshot: Snapshot, row: int) -> None:
        self.snapshot, self.row = snapshot, row

    @property
    def id(self) -> str:
        return str(self["id"])

    @property
    def label(self) -> str | None:
        found: str | None = self["label"]
        return found

    @property
    def tags(self) -> list[str]:
        """What the model sees in the picture, most likely first; empty for models without words."""
        return self["tags"] or [] if "tags" in self.snapshot.schema.names else []

    @property
    def uri(self) -> str:
        return str(self["uri"])

    @property
    def columns(self) -> dict[str, Any]:
        """The stored columns of the row, without the embedding."""
        return self.snapshot.records([self.row])[0]

    @property
    def vector(self) -> NDArray[np.float32]:
        """The stored embedding, float32 (D,) of unit length."""
        return np.asarray(self.snapshot.vectors([self.row])[0])

    @property
    def thumbnail(self) -> bytes:
        """The stored JPEG of at most 256 px; empty for an item without a picture."""
        return self.snapshot.thumbnails([self.row])[0]

    def __getitem__(self, column: str) -> Any:
        """The value of a column, stored or derived; raises `KeyError` for an unknown column."""
        return self.snapshot.values(column, [self.row])[0]

    def as_dict(self) -> dict[str, Any]:
        """The columns of the row that are of use to people, ready for JSON: times are text."""
        return {name: jsonable(value) for name, value in self.columns.items() if name not in self.HIDDEN}

    def __eq__(self, other: object) -> bool:
        """Whether both are the same item of the same state."""
        if not isinstance(other, Item):
            return NotImplemented
        mine, its = self.snapshot, other.snapshot
        return (self.row, mine.root, mine.fingerprint) == (other.row, its.root, its.fingerprint)

    def __hash__(self) -> int:
        return hash((self.row, self.snapshot.fingerprint))

    def __repr__(self) -> str:
        return f"Item(id={self.id!r}, label={self.label!r})"

    def _caption(self) -> str:
        return self.label or self.id

    def _repr_html_(self) -> str:
        return figures([(self.thumbnail, self.id, self._caption())])


def figures(pictures: Iterable[tuple[bytes, str, str]]) -> str:
    """HTML that shows pictures side by side; each is a JPEG, a name and a caption."""
    shown = "".join(_figure(*picture) for picture in pictures)
    return f'<div style="display:flex;flex-wrap:wrap;gap:8px">{shown}</div>'


def _figure(jpeg: bytes, name: str, caption: str) -> str:
    data, title = base64.b64encode(jpeg).decode(), html.escape(name, quote=True)
    image = f'<img src="data:image/jpeg;base64,{data}" height="128" title="{title}">' if jpeg else ""
    return f'<figure style="margin:0">{image}<figcaption>{html.escape(caption)}</figcaption></figure>'


def data_frame(table: pa.Table) -> pandas.DataFrame:
    """Convert a table to pandas; raises `ExtraError` if it is not installed."""
    try:
        import pandas  # noqa: F401  (what Arrow says of its absence is no help)
    except ImportError:
        raise ExtraError("a DataFrame needs pandas", "pandas") from None
    return table.to_pandas()


class Items(list[Item]):
    """Several items; a notebook shows their pictures."""

    def _repr_html_(self) -> str:
        if not self:
            return "<p>no images</p>"
        jpegs = self[0].snapshot.thumbnails([one.row for one in self])
        return figures((jpeg, one.id, one.label or one.id) for jpeg, one in zip(jpegs, self, strict=True))
