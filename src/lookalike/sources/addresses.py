"""Expand addresses: brace ranges, wildcards, and folders of shards."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from lookalike.errors import SourceError
from lookalike.images.formats import SUFFIXES
from lookalike.storage.stores import is_remote, place

# The kinds of shards by their endings; TensorFlow numbers them as `-00000-of-00002`.
_KINDS = {
    "tar": re.compile(r"\.(tar|tar\.gz|tgz)$", re.IGNORECASE),
    "tfrecord": re.compile(r"\.(tfrecords?|tfrec)(-\d+-of-\d+)?(\.gz)?$", re.IGNORECASE),
    "table": re.compile(r"\.(parquet|pq|arrow|feather)$", re.IGNORECASE),
}
_BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")
_WILDCARD = re.compile(r"[*?\[]")
_MOST_NAMES = 1_000_000


def kind_of(path: Path) -> str | None:
    """Return `tar`, `tfrecord` or `table` by the name; None for any other file."""
    return next((kind for kind, ending in _KINDS.items() if ending.search(path.name)), None)


def bare_name(name: str) -> str:
    """Return the name of a shard without its ending; TensorFlow's number stays."""
    for ending in _KINDS.values():
        if match := ending.search(name):
            number = match[2] if ending.groups > 1 and match[2] else ""
            return name[: match.start()] + number
    return name


def is_pattern(address: str) -> bool:
    """Return whether an address contains brace ranges or wildcards."""
    return bool(_BRACES.search(address) or _WILDCARD.search(address))


def expand(pattern: str) -> list[Path]:
    """Return the files that a pattern matches, in order; those of a brace range need not exist."""
    return [path for name in expand_braces(pattern) for path in _matches(name)]


def expand_braces(text: str) -> list[str]:
    """Expand `{000..099}` with leading zeros and `{a,b}`; the first brace varies slowest."""
    match = _BRACES.search(text)
    if match is None:
        return [text]
    first, last, choice = match.groups()
    if choice is not None:
        values = choice.split(",")
    else:
        if abs(int(last) - int(first)) >= _MOST_NAMES:
            raise SourceError(f"{match[0]} stands for more than {_MOST_NAMES:,} shards")
        step = 1 if int(first) <= int(last) else -1
        numbers = range(int(first), int(last) + step, step)
        values = [f"{number:0{len(first) if first[0] == '0' else 0}d}" for number in numbers]
    before, after = text[: match.start()], text[match.end() :]
    return [name for value in values for name in expand_braces(f"{before}{value}{after}")]


def _matches(pattern: str) -> list[Path]:
    if not _WILDCARD.search(pattern):
        return [place(pattern)]
    parts = pattern.split("/")
    fixed = next(number for number, part in enumerate(parts) if _WILDCARD.search(part))
    base = place("/".join(parts[:fixed]) or ("/" if pattern.startswith("/") else "."))
    return sorted(base.glob("/".join(parts[fixed:])))


def shards_below(folder: Path) -> list[Path]:
    """Return the shards in a folder and below, sorted; none if it has images of its own.

    Tables beside tars and TFRecords are skipped, because they describe the images in these.
    """
    found: dict[str, list[Path]] = {}
    for path in _files(folder):
        if path.suffix.lower() in SUFFIXES:
            return []
        if kind := kind_of(path):
            found.setdefault(kind, []).append(path)
    return next((sorted(found[kind]) for kind in _KINDS if kind in found), [])


def _entries(folder: Path) -> Mapping[str, Path | None]:
    """What is in a folder by name: its path if it is in a store, whose listing says of what kind it is."""
    if is_remote(folder):
        return {one.name: cast(Path, one) for one in folder.iterdir()}
    return dict.fromkeys(os.listdir(folder))


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder, then those below it, without hidden ones and collections."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            entries = _entries(here)
            if "collection.json" in entries:
                continue
            for name in sorted(name for name in entries if name[0] not in "._"):
                entry = entries[name] or here / name
                if not entry.is_dir():
                    yield entry
                elif not entry.is_symlink():
                    waiting.append(entry)
        except OSError:  # the walk that reads the images reports it
            continue
