"""Many images into shards for fast sequential reading, and back.

A pack goes on where it was killed: shards that are there are whole, and `_pack.json` beside them says what
they were made of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from lookalike.acquire.shards import FORMATS, NameRefusedError, safe_key, shard_path, writing_shard
from lookalike.builder.listing import list_source
from lookalike.errors import LookalikeError, SourceError
from lookalike.parallel import in_order
from lookalike.sources.opening import closing_source, open_source
from lookalike.sources.sample import Sample
from lookalike.storage.files import TEMPORARY_SUFFIX, write_bytes
from lookalike.storage.parts import Failure
from lookalike.storage.stores import is_remote, place

IMAGES_PER_SHARD = 10_000

_NOTES_NAME = "_pack.json"
# Columns that hold the relative path that an image had before it was packed; what shards store themselves.
_PATH_COLUMNS = ("path", "image_name")
_TAKEN_COLUMNS = frozenset({*_PATH_COLUMNS, "image"})
_READERS = 8
_READ_AHEAD = 64

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What is in a packed folder: images, their encoded bytes, and shards; and how many images failed."""

    images: int
    bytes: int
    shards: int
    failed: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One image to be packed: where it goes, with which columns, and where it is read from."""

    key: str
    metadata: Mapping[str, Any]
    sample: Sample


def pack(
    source: str | Path,
    out: str | Path,
    *,
    format: str = "tar",
    images_per_shard: int = IMAGES_PER_SHARD,
    label: str | None = None,
    metadata: str | Path | None = None,
    count: int | None = None,
    by_label: bool = False,
    image_column: str | None = None,
    name_column: str | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Write the images of a source as shards in the folder `out`: their encoded bytes, and their columns.

    `format` is `tar`, `tfrecord`, `parquet` or `folder`; all else is as in `build`. `count` takes only the
    first images; `by_label` puts each into the folder of its label. Run again after a kill, it goes on.
    Raises `LookalikeError`; an image that cannot be read is one of the `failures` in `_pack.json` instead.
    """
    if format not in FORMATS:
        raise LookalikeError(f"unknown format {format!r}", f"use one of: {', '.join(FORMATS)}")
    if images_per_shard < 1 or (count is not None and count < 1):
        raise LookalikeError("images_per_shard and count have to be above 0")
    images, root = open_source(source, image_column, name_column), place(out)
    _check_place(source, root)
    listing = list_source(images, {"label": label, "metadata": None if metadata is None else str(metadata)})
    samples = list(islice(listing.samples.values(), count))
    column = _path_column(samples)
    entries = _entries(samples, column, by_label)
    types = {_free(name): type_ for name, type_ in listing.types.items() if name != column}
    plan = {
        "source": str(source),
        "format": format,
        "images_per_shard": images_per_shard,
        "state": _fingerprint(entries),
    }
    notes = _open_notes(root, plan)
    notes["failures"] = [asdict(failure) for failure in listing.failures]
    shards: dict[str, Any] = notes["shards"]
    # The source is closed first, so that no thread waits for the network.
    with ThreadPoolExecutor(_READERS) as pool, closing_source(images):
        for number, start in enumerate(range(0, len(entries), images_per_shard)):
            path = shard_path(root, number, format)
            if path.name in shards and path.exists():
                continue
            chunk = entries[start : start + images_per_shard]
            read = zip(chunk, in_order(_read, chunk, pool, ahead=_READ_AHEAD), strict=True)
            counted = _counted(read, start, len(entries), on_progress)
            shards[path.name] = _write(path, format, types, counted)
            _write_notes(root, notes)
    return Report(
        images=sum(one["images"] for one in shards.values()),
        bytes=sum(one["bytes"] for one in shards.values()),
        shards=len(shards),
        failed=len(notes["failures"]) + sum(len(one["failures"]) for one in shards.values()),
    )


def _write(
    path: Path,
    format_: str,
    types: Mapping[str, pa.DataType],
    entries: Iterator[tuple[Entry, bytes | Failure]],
) -> dict[str, Any]:
    """Write one shard; returns what `_pack.json` says of it."""
    images = size = 0
    failures = []
    with writing_shard(path, format_, types) as add:
        for entry, data in entries:
            if isinstance(data, Failure):
                failures.append(asdict(data))
                continue
            try:
                add(entry.key, data, entry.metadata)
            except NameRefusedError as error:
                failures.append(asdict(Failure(entry.sample.id, entry.sample.uri, "write", error.message)))
                continue
            images += 1
            size += len(data)
    return {"images": images, "bytes": size, "failures": failures}


def _read(entry: Entry) -> bytes | Failure:
    try:
        return entry.sample.read()
    except OSError as error:
        return Failure(entry.sample.id, entry.sample.uri, "read", error.strerror or str(error))


def _counted(
    read: Iterator[tuple[Entry, bytes | Failure]], before: int, total: int, on_progress: Progress | None
) -> Iterator[tuple[Entry, bytes | Failure]]:
    for done, one in enumerate(read, before + 1):
        yield one
        if on_progress:
            on_progress(done, total)


def _path_column(samples: Sequence[Sample]) -> str | None:
    """The column that holds the relative paths of all images, no path twice, if there is one."""
    for column in _PATH_COLUMNS:
        paths = {sample.metadata.get(column) for sample in samples}
        if len(paths) == len(samples) and all(isinstance(path, str) for path in paths):
            return column
    return None


def _entries(samples: Sequence[Sample], column: str | None, by_label: bool) -> list[Entry]:
    """Where each image goes: to its old path, or its id; no two go to one place."""
    entries = []
    taken: set[str] = set()
    for sample in samples:
        name = str(sample.metadata[column]) if column else sample.id
        if by_label and sample.metadata.get("label"):
            name = f"{_one_part(str(sample.metadata['label']))}/{_one_part(name)}"
        key = safe_key(name)
        while key in taken:
            key += "_"
        taken.add(key)
        metadata = {_free(one): value for one, value in sample.metadata.items() if one != column}
        entries.append(Entry(key, metadata, sample))
    return entries


def _one_part(name: str) -> str:
    return safe_key(name).replace("/", "-")


def _free(column: str) -> str:
    """The name of a column, changed where a shard needs it itself."""
    return column + "_" if column in _TAKEN_COLUMNS else column


def _fingerprint(entries: Sequence[Entry]) -> str:
    """Of all that decides what the shards hold."""
    digest = hashlib.sha256()
    for entry in entries:
        sample = entry.sample
        state = (entry.key, sample.uri, sample.size_bytes, sample.mtime_ns, sorted(entry.metadata.items()))
        digest.update(repr(state).encode())
    return digest.hexdigest()


def _check_place(source: str | Path, root: Path) -> None:
    if is_remote(root):
        return
    folder = Path(source).resolve()
    if folder.is_dir() and root.resolve().is_relative_to(folder):
        raise SourceError(f"{root} lies in the source {source}", "write the shards beside it")


def _open_notes(root: Path, plan: Mapping[str, Any]) -> dict[str, Any]:
    """The notes of the pack in a folder, or fresh ones; raises `SourceError` where it holds anything else."""
    path = root / _NOTES_NAME
    if path.exists():
        try:
            notes: dict[str, Any] = json.loads(path.read_bytes())
            if notes["plan"] == plan:
                return notes
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise SourceError(
            f"{root} holds shards of another source, of another state of it, or in another form",
            "give another folder, or remove it first",
        )
    if root.exists() and not root.is_dir():
        raise SourceError(f"{root} is a file", "give a folder for the shards")
    if root.is_dir() and any(not one.name.endswith(TEMPORARY_SUFFIX) for one in root.iterdir()):
        raise SourceError(f"{root} holds other files", "give a new or an empty folder")
    notes = {"plan": dict(plan), "shards": {}}
    _write_notes(root, notes)
    return notes


def _write_notes(root: Path, notes: Mapping[str, Any]) -> None:
    write_bytes(root / _NOTES_NAME, json.dumps(notes, indent=1).encode())
