"""One shard, a file with many images, and the names and columns of its images."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from lookalike.errors import SourceError
from lookalike.sources.notes import MEASURED, Notes
from lookalike.sources.sample import Sample, clean_text
from lookalike.storage.parts import RESERVED_COLUMNS, Failure

# Names for a column of images: in the original image_embeddings library, Hugging Face and TFDS,
# TensorFlow's own tools, img2dataset, and others. The first that exists is used.
IMAGE_NAMES = (
    *("image", "image/encoded", "encoded", "image_raw", "image_bytes", "img"),
    *("jpg", "jpeg", "png", "webp", "bytes", "content"),
)
# Names for the column of their names, likewise.
_NAME_NAMES = ("image_name", "path", "image/filename", "filename", "file_name", "image/name", "key")

# The column where a pack keeps an image's id: the first, or in TFRecord the second.
_ID_NAMES = ("path", "image_name")

# The types that can become a column unchanged.
_SCALARS = (bool, int, float, str, date)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of images and of their names, if a person named them."""

    image: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of many images.

    `name` precedes the names of its images in their ids, unless `notes` say that they have ids. `passed_over`
    counts the files in it that are not named like pictures, by their ending.
    """

    path: Path
    name: str
    columns: Columns
    mtime_ns: int = 0
    notes: Notes = Notes()
    passed_over: Counter[str] = field(default_factory=Counter, compare=False)

    @property
    def uri(self) -> str:
        return shard_uri(self.path)

    def sample(
        self, name: str, size_bytes: int | None, read: Callable[[], bytes], metadata: Mapping[str, Any]
    ) -> Sample:
        """Return an image of the shard; `name` is unique in it."""
        id_ = f"{self.name}/{shown(name)}"
        if self.notes.has_ids and self.columns.name is None:
            path = next((metadata[one] for one in _ID_NAMES if isinstance(metadata.get(one), str)), None)
            id_ = id_ if path is None else str(PurePosixPath(self.name).parent / "#")[:-1] + path
            metadata = {one: value for one, value in metadata.items() if one not in _ID_NAMES}
        return Sample(id_, self._uri(name), size_bytes, self.mtime_ns, read, metadata)

    def described(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns of an image from the shard's fields; see `metadata_of`."""
        return metadata_of(fields, self.notes)

    def failure(self, name: str, reason: str) -> Failure:
        """Return the failure of an image; without a name, of all that could not be listed."""
        id_ = f"{self.name}/{shown(name)}" if name else self.path.name
        return Failure(id_, self._uri(name), "list", reason)

    def _uri(self, name: str) -> str:
        return self.uri + quote(name.encode("utf-8", "surrogateescape"))


def folder_uri(folder: Path) -> str:
    """Return the prefix of the URIs of all files below a folder."""
    return folder.resolve().as_uri().removesuffix("/") + "/"


def shard_uri(path: Path) -> str:
    """Return the prefix of the URIs of all images in a shard."""
    return path.resolve().as_uri() + "#"


def shown(name: str) -> str:
    """Return a name as text; bytes that are not UTF-8 appear as \\xe9."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def metadata_of(fields: Mapping[str, Any], notes: Notes = Notes()) -> dict[str, Any]:
    """Return the fields that can become columns: scalars, under names that the collection does not use.

    `width` becomes `width_`, and so on, unless the notes say that it was measured. Labels and dates become
    text. NaN becomes None.
    """
    taken = RESERVED_COLUMNS - MEASURED if notes.measured else RESERVED_COLUMNS
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if (
            not name
            or not isinstance(value, _SCALARS)
            or (isinstance(value, float) and not math.isfinite(value))
        ):
            continue
        free = sys.intern(clean_text(name) + "_" if name in taken else clean_text(name))
        is_text = name == "label" or isinstance(value, str | date)
        found[free] = clean_text(str(value)) if is_text else value
    return found


def check_image_column(shard: Shard, name: str | None, there: list[str]) -> None:
    """Raise `SourceError` if a shard has no images, naming the columns that it has."""
    if name is None:
        wanted = f"no column {shard.columns.image}" if shard.columns.image else "no column of images"
        raise SourceError(
            f"{shard.path} has {wanted}, only: {', '.join(there) or 'nothing'}",
            "name the one with the encoded images as `image_column`",
        )


def unique_name(fields: Mapping[str, Any], column: str | None, number: int, taken: set[str]) -> str:
    """Name the image in row `number` by the row's own name, else by its number.

    `taken` are the names of earlier rows; a repeated name gets the number too.
    """
    given = (fields.get(one) for one in ((column,) if column else _NAME_NAMES))
    name = next((one for one in given if isinstance(one, str) and one), str(number))
    if name in taken:
        name = f"{name}~{number}"
    taken.add(name)
    return name
