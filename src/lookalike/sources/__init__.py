"""Sources of images: an address goes in, Samples come out, one file a kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from lookalike.errors import SourceError
from lookalike.samples import Failure, Sample
from lookalike.sources.folder import Folder
from lookalike.sources.store import StoreFolder
from lookalike.stores import is_remote, place


class Source(Protocol):
    """Where images come from.

    `uri` is the prefix that the URIs of all its samples share: what tells them from another source's.
    Its `str` is the address as a person gave it.
    """

    @property
    def uri(self) -> str: ...

    def samples(self) -> Iterator[Sample | Failure]:
        """Every image in a fixed order, without reading it, and what could not be listed.

        A failure whose URI ends in `/` stands for all that lies below it.
        """
        ...


def open_source(address: str | Path) -> Source:
    """The source at an address; raises `SourceError` where there is none."""
    path = place(address)
    if path.is_dir():
        return StoreFolder(path) if is_remote(path) else Folder(path)
    if path.exists():
        raise SourceError(f"{path} is a file; a source is a folder of images")
    raise SourceError(f"there is no folder {path}")
