"""The description of an existing index: the JSON in `derived/`, and the files that it names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from lookalike.errors import CollectionError, call
from lookalike.storage.files import remove, write_bytes

FORMAT, FORMAT_VERSION = "lookalike-index", 1
ROW_NUMBER_BYTES = 8
_EDGE_BYTES, _READ_BYTES = 1 << 20, 1 << 20


@dataclass(frozen=True)
class IndexInfo:
    """The contents of `derived/index.json`.

    `why` is what the kind does, `reason` a sentence with the figures; `recall` is the share of the true ten
    nearest that it finds, measured on held-out rows when it was built or refreshed; `latency_ms` the median
    time of a single query on one core; `bytes` the size of the file; `parts` the number, checksum and row
    count of each part in it. `wanted`, `min_recall` and `max_memory_bytes` are the options it was built with,
    `trained_rows` the number of rows at that time.
    """

    kind: str
    why: str
    reason: str
    recall: float
    latency_ms: float
    build_s: float
    bytes: int
    parameters: Mapping[str, int]
    parts: list[list[Any]]
    fingerprint: str
    dim: int
    lists: int
    refine_bits: int
    wanted: str
    min_recall: float
    max_memory_bytes: int | None
    trained_rows: int

    @cached_property
    def count(self) -> int:
        """The number of rows in the index."""
        return sum(int(rows) for _, _, rows in self.parts)


@dataclass(frozen=True)
class Slot:
    """The block of an index file that holds the codes of rows, `code_bytes` each, from `offset` on.

    They are in row order or, with `lists`, list after list: first its codes, then its row numbers, with the
    length of every list before the block.
    """

    offset: int
    code_bytes: int
    lists: int = 0

    def size(self, count: int) -> int:
        return count * (self.code_bytes + (ROW_NUMBER_BYTES if self.lists else 0))


@dataclass(frozen=True)
class IndexFiles:
    """The files of an index: `name` and its `size`, the `truth` next to it, and checksums.

    `fixed_sha256` covers all bytes outside the `slots` (those a reader relies on: sizes and centres), or
    the first and last megabyte if there are no slots; the other two cover the whole files.
    """

    name: str
    size: int
    slots: list[Slot]
    fixed_sha256: str
    sha256: str
    truth: str
    truth_sha256: str


def read_info(root: Path) -> tuple[IndexInfo, IndexFiles] | None:
    """Read and check the JSON; None if there is none, `CollectionError` if it is invalid."""
    path = json_path(root)
    try:
        fields = json.loads(path.read_bytes())
        if (fields["format"], fields["version"]) != (FORMAT, FORMAT_VERSION):
            raise ValueError("unknown format or version")
        slots = [Slot(**slot) for slot in fields["files"].pop("slots")]
        files = IndexFiles(**fields["files"], slots=slots)
        if Path(files.name).name != files.name or Path(files.truth).name != files.truth:
            raise ValueError("it names files that are not beside it")
        return IndexInfo(**fields["info"]), files
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise unusable(root, path, str(error)) from None


def commit(root: Path, info: IndexInfo, files: IndexFiles) -> None:
    """Name existing files in the JSON; from then on they are the index, and older files are removed."""
    fields = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "files": asdict(files),
        "info": asdict(info),
    }
    write_bytes(json_path(root), (json.dumps(fields, indent=2) + "\n").encode())
    for path in json_path(root).parent.glob("index*"):
        if path.name not in (files.name, files.truth, json_path(root).name):
            remove(path)


def json_path(root: Path) -> Path:
    return root / "derived" / "index.json"


def fixed_sha256(path: Path, slots: Sequence[Slot], count: int) -> str:
    """The SHA-256 of everything outside the slots; without slots, of the first and last megabyte."""
    size = path.stat().st_size
    skipped = [(slot.offset, slot.offset + slot.size(count)) for slot in slots]
    if not slots:
        skipped = [(_EDGE_BYTES, size - _EDGE_BYTES)]
    state, start = hashlib.sha256(), 0
    with path.open("rb") as file:
        for skip_from, skip_to in [*skipped, (size, size)]:
            for block in _blocks(file, start, max(start, skip_from)):
                state.update(block)
            start = max(start, skip_to)
    return state.hexdigest()


def is_whole(path: Path, info: IndexInfo, files: IndexFiles) -> bool:
    """Whether a file is the index that the JSON describes, as far as a reader relies on it."""
    same_size = path.stat().st_size == files.size
    return same_size and fixed_sha256(path, files.slots, info.count) == files.fixed_sha256


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def index_problems(root: Path) -> Iterator[str]:
    """Read every byte of the index, if there is one; yield one line for each problem."""
    try:
        stored = read_info(root)
    except CollectionError as error:
        yield str(error)
        return
    if stored is None:
        return
    files = stored[1]
    for name, stated in ((files.name, files.sha256), (files.truth, files.truth_sha256)):
        path = json_path(root).with_name(name)
        if not path.exists():
            yield f"{path}: missing; build it again with: {call(root, 'index()')}"
        elif file_sha256(path) != stated:
            yield (
                f"{path}: the checksum does not match, the file is damaged; "
                f"build it again with: {call(root, 'index()')}"
            )


def unusable(root: Path, path: Path, why: str) -> CollectionError:
    """The error that an index is damaged or another one, and how to get a new one."""
    return CollectionError(
        f"the index {path} cannot be used: {why}", f"build it again with: {call(root, 'index()')}"
    )


def _blocks(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    while start < end and (block := file.read(min(_READ_BYTES, end - start))):
        start += len(block)
        yield block
