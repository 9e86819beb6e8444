"""Pack many images into shards for fast sequential reading, and unpack them.

A pack resumes where it was killed: existing shards are whole, and `_pack.json` beside them says what
they were made from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from lookalike.acquire.entries import Entry, entries_of, fingerprint, free, path_column
from lookalike.acquire.resize import MEASURES, Resize
from lookalike.acquire.shards import FORMATS, NameRefusedError, shard_path, writing_shard
from lookalike.acquire.status import FIELDS
from lookalike.builder.listing import list_source
from lookalike.checking import checked
from lookalike.errors import ImageError, LookalikeError, SourceError
from lookalike.images.formats import SUFFIXES
from lookalike.images.memory import DECODING
from lookalike.parallel import cores, in_order
from lookalike.sources.notes import MEASURED, PACK_NOTES
from lookalike.sources.opening import closing_source, open_source
from lookalike.storage.files import TEMPORARY_SUFFIX, write_bytes
from lookalike.storage.parts import Failure
from lookalike.storage.stores import is_remote, place

SHARD_SIZE = 10_000

# The columns of a resized image; original sizes that a source gives stay unchanged.
_MEASURED_TYPES = {field.name: field.type for field in FIELDS if field.name in MEASURES}
_NEW_TYPES = {name: _MEASURED_TYPES[name] for name in MEASURED}
_JPEG_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif")
_READERS = 8
_READ_AHEAD = 64

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Report:
    """The contents of a packed folder: images, their encoded bytes, shards, and images that failed."""

    images: int
    bytes: int
    shards: int
    failed: int


@dataclass(frozen=True, slots=True)
class _Image:
    """The bytes of an image, their measures, and whether they were re-encoded as JPEG."""

    data: bytes
    measured: Mapping[str, Any]
    is_new: bool = False


_Read = tuple[Entry, _Image | Failure]


@checked
def pack(
    source: str | Path,
    out: str | Path,
    *,
    format: str = "tar",
    shard_size: int = SHARD_SIZE,
    label: str | None = None,
    metadata: str | Path | None = None,
    count: int | None = None,
    by_label: bool = False,
    bare_names: bool = False,
    resize: Resize | None = None,
    threads: int | None = None,
    max_memory_bytes: int | None = None,
    image_column: str | None = None,
    name_column: str | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Write the images of a source as shards in the folder `out`: their encoded bytes, and their columns.

    `format` is `tar`, `tfrecord`, `parquet` or `folder`; the rest is as in `build`. `count` takes only the
    first images; `by_label` puts each into the folder of its label; `bare_names` names them without folder
    and ending, as the original image_embeddings does. `resize` makes them smaller, as in `download`, in
    `threads` threads (by default one a core) that decode within `max_memory_bytes`, all together (by default
    1 GB); their new size and the original's become columns.
    Run again after a kill, it resumes.
    Raises `LookalikeError`; an image that cannot be read is one of the `failures` in `_pack.json` instead.
    """
    if format not in FORMATS:
        raise LookalikeError(f"unknown format {format!r}", f"use one of: {', '.join(FORMATS)}")
    if shard_size < 1 or (count is not None and count < 1):
        raise LookalikeError("shard_size and count must be at least 1")
    images, root = open_source(source, image_column, name_column), place(out)
    _check_place(source, root)
    said = {"label": label, "metadata": None if metadata is None else str(metadata)}
    listing = list_source(images, said, with_measured=True)
    samples = list(islice(listing.samples.values(), count))
    column = path_column(samples)
    entries = entries_of(samples, column, by_label=by_label, without_folders=bare_names)
    types = {free(name): type_ for name, type_ in listing.types.items() if name != column}
    plan = {
        "source": str(source),
        "format": format,
        "shard_size": shard_size,
        "state": fingerprint(entries),
    }
    if resize is not None:
        types, plan = {**_MEASURED_TYPES, **types, **_NEW_TYPES}, {**plan, "resize": asdict(resize)}
    notes = _open_notes(root, plan)
    notes["failures"] = [asdict(failure) for failure in listing.failures]
    # The source is closed first, so that no thread waits for the network.
    readers = _READERS if resize is None else threads or cores()
    with (
        DECODING.limited_to(max_memory_bytes),
        ThreadPoolExecutor(readers) as pool,
        closing_source(images),
    ):
        _write_shards(root, notes, entries, types, pool, resize=resize, on_progress=on_progress)
    shards: dict[str, Any] = notes["shards"]
    return Report(
        images=sum(one["images"] for one in shards.values()),
        bytes=sum(one["bytes"] for one in shards.values()),
        shards=len(shards),
        failed=len(notes["failures"]) + sum(len(one["failures"]) for one in shards.values()),
    )


def _write_shards(
    root: Path,
    notes: Mapping[str, Any],
    entries: Sequence[Entry],
    types: Mapping[str, pa.DataType],
    pool: Executor,
    *,
    resize: Resize | None,
    on_progress: Progress | None,
) -> None:
    """Write the shards that are missing, by the plan in `notes`, and note each when it is whole."""
    format_, size = notes["plan"]["format"], notes["plan"]["shard_size"]
    keys = {entry.key for entry in entries}
    for number, start in enumerate(range(0, len(entries), size)):
        path = shard_path(root, number, format_)
        if path.name in notes["shards"] and path.exists():
            continue
        chunk = entries[start : start + size]
        images = in_order(partial(_read, resize=resize), chunk, pool, ahead=_READ_AHEAD)
        counted = _counted(zip(chunk, images, strict=True), start, len(entries), on_progress)
        notes["shards"][path.name] = _write(path, format_, types, keys, counted)
        _write_notes(root, notes)


def _write(
    path: Path,
    format_: str,
    types: Mapping[str, pa.DataType],
    keys: Set[str],
    entries: Iterator[_Read],
) -> dict[str, Any]:
    """Write one shard; `keys` are those of all images. Returns its entry in `_pack.json`."""
    images = size = 0
    failures = []
    with writing_shard(path, format_, types) as add:
        for entry, image in entries:
            if isinstance(image, Failure):
                failures.append(asdict(image))
                continue
            key = _as_jpeg(entry.key, keys) if image.is_new else entry.key
            metadata = {**image.measured, **entry.metadata, **_renewed(image.measured)}
            if entry.path != key:
                metadata["path"] = entry.path
            try:
                add(key, image.data, metadata)
            except NameRefusedError as error:
                failures.append(asdict(Failure(entry.sample.id, entry.sample.uri, "write", error.message)))
                continue
            images += 1
            size += len(image.data)
    return {"images": images, "bytes": size, "failures": failures}


def _read(entry: Entry, resize: Resize | None) -> _Image | Failure:
    sample = entry.sample
    try:
        data = sample.read()
        if resize is None:
            return _Image(data, {})
        resized = resize(data)
        return _Image(resized.data, resized.measures(), resized.data is not data)
    except OSError as error:
        return Failure(sample.id, sample.uri, "read", error.strerror or str(error))
    except ImageError as error:
        return Failure(sample.id, sample.uri, "decode", str(error))
    except MemoryError:
        return Failure(sample.id, sample.uri, "decode", "too large for the memory of this machine")


def _renewed(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that describe the new bytes, replacing the source's."""
    return {name: value for name, value in measured.items() if name in MEASURED}


def _as_jpeg(key: str, keys: Set[str]) -> str:
    """Return the key of an image that became a JPEG: `a.png` becomes `a.png.jpg`."""
    ending = PurePosixPath(key).suffix.lower()
    if ending in _JPEG_ENDINGS or ending not in SUFFIXES:  # without an ending, its bytes decide
        return key
    while key + ".jpg" in keys:
        key += "_"
    return key + ".jpg"


def _counted(read: Iterator[_Read], before: int, total: int, on_progress: Progress | None) -> Iterator[_Read]:
    for done, one in enumerate(read, before + 1):
        yield one
        if on_progress:
            on_progress(done, total)


def _check_place(source: str | Path, root: Path) -> None:
    if is_remote(root):
        return
    folder = Path(source).resolve()
    if folder.is_dir() and root.resolve().is_relative_to(folder):
        raise SourceError(f"{root} is inside the source {source}", "write the shards beside it")


def _open_notes(root: Path, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Read or start the notes of a pack; raises `SourceError` if the folder has anything else."""
    path = root / PACK_NOTES
    if path.exists():
        try:
            notes: dict[str, Any] = json.loads(path.read_bytes())
            if notes["plan"] == plan:
                return notes
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise SourceError(
            f"{root} has shards of another source, of another state of it, or in another format",
            "give another folder, or remove it first",
        )
    if root.exists() and not root.is_dir():
        raise SourceError(f"{root} is a file", "give a folder for the shards")
    if root.is_dir() and any(not one.name.endswith(TEMPORARY_SUFFIX) for one in root.iterdir()):
        raise SourceError(f"{root} has other files", "give a new or an empty folder")
    notes = {"plan": dict(plan), "has_ids": True, "shards": {}}
    _write_notes(root, notes)
    return notes


def _write_notes(root: Path, notes: Mapping[str, Any]) -> None:
    write_bytes(root / PACK_NOTES, json.dumps(notes, indent=1).encode())
