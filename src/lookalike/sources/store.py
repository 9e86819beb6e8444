"""A folder of images in an object store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import quote

from lookalike.errors import SourceError
from lookalike.images.formats import SUFFIXES
from lookalike.sources.folder import suffix_of
from lookalike.sources.sample import Sample
from lookalike.storage.parts import Failure
from lookalike.storage.stores import StorePath, modified_ns


@dataclass(frozen=True, slots=True)
class StoreFolder:
    """Every image below `path`, sorted by name; hidden names and collections are skipped.

    The listing gives size and modification time, some hundred objects a request. If a store gives no
    time, only a new size shows that an image has changed.
    """

    path: StorePath
    passed_over: Counter[str] = field(default_factory=Counter, compare=False)

    # The number of requests at once: a request takes many times as long as decoding.
    read_ahead: ClassVar[int] = 64

    def __str__(self) -> str:
        return str(self.path)

    @property
    def uri(self) -> str:
        return self.path.as_uri() + "/"

    @property
    def scope(self) -> tuple[str, ...]:
        return (self.uri,)

    def close(self) -> None:
        """Do nothing, because a request to a store soon ends by itself."""

    def samples(self) -> Iterator[Sample | Failure]:
        try:
            found = self.path.files()
        except FileNotFoundError as error:
            raise SourceError(f"{self.path}: {error.strerror}") from None
        self.passed_over.clear()
        within = tuple(f"{folder}/" for folder in self._collections(found))
        for id_ in sorted(found, key=lambda id_: id_.split("/")):
            names = id_.split("/")
            suffix = suffix_of(names[-1])
            if suffix not in SUFFIXES or id_.startswith(within):
                self.passed_over[suffix] += suffix not in SUFFIXES and not _is_hidden(names)
                continue
            uri = self.uri + quote(id_)
            if {"", ".", ".."} & set(names):  # ids become file names
                yield Failure(id_, uri, "list", "the key is not the path of a file")
            elif not _is_hidden(names):
                size = int(found[id_].get("size") or 0)
                yield Sample(id_, uri, size, modified_ns(found[id_]), (self.path / id_).read_bytes)

    def _collections(self, found: dict[str, dict[str, object]]) -> Iterator[str]:
        """Return the folders below it that are collections."""
        for id_ in found:
            folder, _, name = id_.rpartition("/")
            if folder and name == "collection.json":
                try:
                    manifest = json.loads((self.path / id_).read_bytes())
                except (OSError, ValueError):
                    continue
                if isinstance(manifest, dict) and manifest.get("format") == "lookalike-collection":
                    yield folder


def _is_hidden(names: list[str]) -> bool:
    return any(name.startswith(".") for name in names)
