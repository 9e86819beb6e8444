"""Decide where each image of a pack goes, under which name and with which columns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.acquire.bare_names import bare_names
from lookalike.acquire.shards import safe_key
from lookalike.errors import SourceError
from lookalike.sources.sample import Sample

# Columns with the relative path that an image had before packing; and columns that shards store themselves.
_PATH_COLUMNS = ("path", "image_name")
_TAKEN_COLUMNS = frozenset({*_PATH_COLUMNS, "image"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One image to be packed.

    `key` is the relative path that it goes to, `path` its earlier name, which becomes its id again.
    """

    key: str
    path: str
    metadata: Mapping[str, Any]
    sample: Sample


def path_column(samples: Sequence[Sample]) -> str | None:
    """Find a column with a relative path for every image, none twice; None if there is none."""
    for column in _PATH_COLUMNS:
        paths = {sample.metadata.get(column) for sample in samples}
        if len(paths) == len(samples) and all(isinstance(path, str) for path in paths):
            return column
    return None


def entries_of(
    samples: Sequence[Sample], column: str | None, *, by_label: bool, without_folders: bool
) -> list[Entry]:
    """Give each image its place: its old path, from `column`, or its id; no two share one.

    `by_label` puts it into the folder of its label, `without_folders` strips folder and ending off its name.
    Raises `SourceError` if no image has a label to sort by.
    """
    if by_label and not any(sample.metadata.get("label") for sample in samples):
        raise SourceError(
            "no image has a label to sort by", "say how to get labels from names, such as: folder"
        )
    paths = [str(sample.metadata[column]) if column else sample.id for sample in samples]
    names = bare_names(paths) if without_folders else paths
    entries = []
    taken: set[str] = set()
    for sample, path, name in zip(samples, paths, names, strict=True):
        label = sample.metadata.get("label") if by_label else None
        key = safe_key(f"{_one_part(str(label))}/{_one_part(name)}" if label else name)
        while key in taken:
            key += "_"
        taken.add(key)
        metadata = {free(one): value for one, value in sample.metadata.items() if one != column}
        entries.append(Entry(key, key if label else path, metadata, sample))
    return entries


def free(column: str) -> str:
    """Return the name of a column, changed if the shard itself uses it."""
    return column + "_" if column in _TAKEN_COLUMNS else column


def fingerprint(entries: Sequence[Entry]) -> str:
    """Return the SHA-256 of everything that decides the content of the shards."""
    digest = hashlib.sha256()
    for entry in entries:
        sample = entry.sample
        state = (entry.key, sample.uri, sample.size_bytes, sample.mtime_ns, sorted(entry.metadata.items()))
        digest.update(repr(state).encode())
    return digest.hexdigest()


def _one_part(name: str) -> str:
    return safe_key(name).replace("/", "-")
