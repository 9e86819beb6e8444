"""Reads tars, WebDataset's or any other: every image, with the members that describe it.

Members with the same name up to the first dot belong together. Fields of a `.json` become columns, a `.txt`
is the `caption` and a `.cls` the `label`: https://github.com/webdataset/webdataset. Others are
counted.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from lookalike.images.formats import SUFFIXES
from lookalike.sources.sample import Sample
from lookalike.sources.shard import Shard
from lookalike.sources.unpacking import opened, problem_of, read_at
from lookalike.storage.parts import Failure

_BESIDE = (".json", ".txt", ".cls")
_TAKEN = SUFFIXES.union(_BESIDE)
_MOST_BYTES_BESIDE = 1 << 20


def samples(shard: Shard) -> Iterator[Sample | Failure]:
    """Yield the images of a tar in order, reading only headers and the members beside images.

    If the tar breaks off or is damaged, the images before are used, and the rest is one failure.
    """
    images: list[tuple[str, int, int]] = []
    beside: dict[str, dict[str, Any]] = {}
    failures: list[Failure] = []
    described: list[str] = []
    with opened(shard.path) as file:
        places: dict[str, tuple[int, int]] = {}  # possible targets of hard links
        try:
            for name, member in _members(file):
                suffix = PurePosixPath(name).suffix.lower()
                if suffix not in _TAKEN:
                    shard.passed_over[suffix] += 1
                    continue
                if suffix in _BESIDE:
                    described.append(name)
                    _describe(shard, beside.setdefault(_key(name), {}), name, _content(file, member))
                    continue
                place = places.get(_plain(member.linkname)) if member.islnk() else _place(member)
                if place is None:
                    failures.append(shard.failure(name, "not a regular file"))
                else:
                    places[name] = place
                    images.append((name, *place))
        except ValueError as error:
            reason = problem_of(shard.path) or str(error)
            failures.append(shard.failure("", f"{reason}; {len(images):,} images precede it"))
    pictured = {_key(name) for name, *_ in images}
    alone = (PurePosixPath(name).suffix.lower() for name in described if _key(name) not in pictured)
    shard.passed_over.update(alone)
    for name, offset, size in images:
        metadata = beside.get(_key(name), {})
        yield shard.sample(name, size, partial(read_at, shard.path, offset, size), metadata)
    yield from failures


def _members(file: BinaryIO) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Yield the members of a tar that are neither folders nor hidden; raises `ValueError` if it is damaged.

    `TarFile` itself would silently take a damaged header for the end.
    """
    size = file.seek(0, 2)
    file.seek(0)
    try:
        tar = tarfile.TarFile(fileobj=file)
    except (tarfile.TarError, ValueError):
        raise ValueError(f"not a tar, or damaged from its start ({size:,} bytes)") from None
    position = 0
    while True:
        file.seek(position)
        try:
            member = tarfile.TarInfo.fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            return
        except Exception as error:  # it raises nearly anything on damaged headers
            what = "breaks off" if position >= size else f"is damaged ({error})"
            raise ValueError(f"the tar {what} at byte {position:,}") from None
        if member.offset_data + member.size > size or tar.offset <= position:
            raise ValueError(f"the tar breaks off at byte {size:,}, inside {member.name}")
        position = tar.offset
        name = _plain(member.name)
        hidden = PurePosixPath(name).name.startswith(".")
        if not hidden and not member.isdir():
            yield name, member


def _plain(name: str) -> str:
    return name.removeprefix("./")


def _place(member: tarfile.TarInfo) -> tuple[int, int] | None:
    return (member.offset_data, member.size) if member.isreg() and not member.issparse() else None


def _key(name: str) -> str:
    """Return the part of a name that all members of an image share: up to the last part's first dot."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


def _content(file: BinaryIO, member: tarfile.TarInfo) -> bytes:
    file.seek(member.offset_data)
    return file.read(min(member.size, _MOST_BYTES_BESIDE))


def _describe(shard: Shard, metadata: dict[str, Any], name: str, content: bytes) -> None:
    """Add the columns from the members beside an image; unreadable ones are skipped."""
    text = content.decode("utf-8", "replace").strip()
    if name.lower().endswith(".txt"):
        metadata.setdefault("caption", text)
    elif name.lower().endswith(".cls"):
        metadata.setdefault("label", text)
    else:
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            return
        if isinstance(fields, dict):
            metadata.update(shard.described(fields))
