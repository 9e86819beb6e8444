"""What people say about pictures: a journal of marks, kept in the folder `marks/` of a collection.

"Not a duplicate", a corrected label, a taught word, a favourite. A mark is added and never edited: the
latest mark about the same pictures wins, and a mark without a value withdraws it. Each batch of marks is a
file of its own, so two processes can write at once, without the collection's lock. A build merges the
files. docs/format.md specifies the files and the rules.
"""

from __future__ import annotations

import io
import json
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from lookalike.errors import CollectionError, LookalikeError, StoreError, one_line
from lookalike.storage.files import MARKS_NAME, TEMPORARY_SUFFIX, check_writable, remove
from lookalike.storage.parquet import checksum_problem, write_parquet
from lookalike.storage.stores import each, is_remote

_TEXT = pa.field("element", pa.string(), nullable=False)
SCHEMA = pa.schema(
    [
        pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("ids", pa.list_(_TEXT), nullable=False),
        pa.field("sha256s", pa.list_(_TEXT), nullable=False),
        pa.field("value", pa.string()),
    ]
)
# Writing a file takes far less: an older temporary file was left by a killed process.
LEFTOVER_S = 3600.0
_FILE_NAME = re.compile(r"marks-[^/]+\.parquet")
_SHA256 = re.compile(r"[0-9a-f]{64}|")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The id and the sha256 of a picture; the sha256 is empty for an item that has no picture.
Picture = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Mark:
    """What was said about some pictures at a time; the value None withdraws what was said about them before.

    `at` has a time zone, and is stored in UTC. `kind` is any text, such as `label` or `not_duplicate`. `ids`
    and `sha256s` have the same length, which may be 0, and any order. `value` is anything that JSON can hold.
    Raises `LookalikeError` for invalid values.
    """

    at: datetime
    kind: str
    ids: tuple[str, ...]
    sha256s: tuple[str, ...]
    value: Any = None

    def __post_init__(self) -> None:
        for name in ("ids", "sha256s"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for problem in self._problems():
            raise LookalikeError(f"invalid mark: {problem}")
        object.__setattr__(self, "at", self.at.astimezone(UTC))
        object.__setattr__(self, "value", _as_json_has_it(self.value))

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The id and the sha256 of each picture."""
        return tuple(zip(self.ids, self.sha256s, strict=True))

    def _problems(self) -> Iterator[str]:
        """What is wrong with the fields."""
        if not isinstance(self.at, datetime) or self.at.utcoffset() is None:
            yield f"the time {self.at} has no time zone, give datetime.now(UTC)"
        if not _is_text(self.kind):
            yield f"the kind is {self.kind!r}, it has to be non-empty text"
        if not all(map(_is_text, self.ids)):
            yield f"the ids are {self.ids!r}, each has to be non-empty text"
        if not all(isinstance(one, str) and _SHA256.fullmatch(one) for one in self.sha256s):
            yield f"the sha256s are {self.sha256s!r}, each has to be 64 digits 0-9a-f, or empty"
        if len(self.ids) != len(self.sha256s):
            yield f"it has {len(self.ids)} ids and {len(self.sha256s)} sha256s, give one sha256 for each id"
        if len(set(self.ids)) < len(self.ids):
            yield f"an id occurs twice: {self.ids!r}"


@dataclass(frozen=True, slots=True)
class Marks:
    """The latest mark of each kind about the same pictures, withdrawals included, ordered by time."""

    last: tuple[Mark, ...]

    def __len__(self) -> int:
        """The number of marks in force."""
        return sum(mark.value is not None for mark in self.last)

    def kinds(self) -> list[str]:
        """The kinds of the marks in force, sorted."""
        return sorted({mark.kind for mark in self.last if mark.value is not None})

    def of(self, kind: str) -> list[Mark]:
        """The marks of a kind that are in force, ordered by time.

        They name the pictures as they were then; `column`, `pairs` and `item_rows` find the items now.
        """
        return [mark for mark in self.last if mark.kind == kind and mark.value is not None]

    def column(self, kind: str, ids: Sequence[str], sha256s: Sequence[str]) -> list[Any]:
        """The value for each of N items, from marks about one picture; None for items without a mark.

        `ids` and `sha256s` are those of the items, N each.
        """
        found: list[Any] = [None] * len(ids)
        for (rows,), value in self._placed(kind, 1, ids, sha256s):
            for row in rows:
                found[row] = value
        return found

    def pairs(self, kind: str, ids: Sequence[str], sha256s: Sequence[str]) -> dict[tuple[int, int], Any]:
        """The value for each pair of items, from marks about two; keys are row numbers, the smaller first.

        `ids` and `sha256s` are those of the items, N each; a pair without a mark is left out.
        """
        found: dict[tuple[int, int], Any] = {}
        for (first, second), value in self._placed(kind, 2, ids, sha256s):
            for pair in {(min(a, b), max(a, b)) for a in first for b in second if a != b}:
                found[pair] = value
        return {pair: value for pair, value in found.items() if value is not None}

    def _placed(
        self, kind: str, count: int, ids: Sequence[str], sha256s: Sequence[str]
    ) -> Iterator[tuple[list[list[int]], Any]]:
        """The rows of each picture and the value, in order, for the latest marks about `count` pictures."""
        wanted = [mark for mark in self.last if mark.kind == kind and len(mark.ids) == count]
        rows = item_rows((one for mark in wanted for one in mark.pictures), ids, sha256s) if wanted else {}
        for mark in wanted:
            yield [rows[one] for one in mark.pictures], mark.value


def item_rows(
    pictures: Iterable[Picture], ids: Sequence[str], sha256s: Sequence[str]
) -> dict[Picture, list[int]]:
    """The rows of the items that each picture of a mark is now; none if it is gone or has changed.

    `ids` and `sha256s` are those of the items, N each. The sha256 identifies a picture, so an item keeps its
    marks when it is renamed. If several items have the same bytes, the one that also has the id counts, or
    all of them if none has. Without a sha256, it is the item with that id and no sha256.
    """
    wanted = set(pictures)
    checksums = {sha256 for _, sha256 in wanted if sha256}
    exact: dict[Picture, list[int]] = {}
    same: dict[str, list[int]] = {}
    for row, one in enumerate(zip(ids, sha256s, strict=True)):
        if one in wanted:
            exact[one] = [row]
        if one[1] in checksums:
            same.setdefault(one[1], []).append(row)
    return {one: exact.get(one) or same.get(one[1], []) for one in wanted}


def write_marks(root: Path, marks: Sequence[Mark]) -> None:
    """Add a batch of marks to the journal of the collection at `root`: all of them or, on an error, none.

    Needs no lock: other processes may write, and a build may run. Of marks in the batch about the same thing
    at the same time, the last one counts. Raises `StorageError` if the disk or the store cannot be written.
    """
    check_writable(root)
    rows = [_Row.of(mark) for mark in marks]
    kept = {(row.about, row.at_us): row for row in rows}
    if kept:
        _write(root, list(kept.values()))


def read_marks(root: Path) -> Marks:
    """Read the latest marks from the journal of the collection at `root`; no marks if there is no journal.

    Other processes may write meanwhile, and a build may merge files; nothing that was there before the call
    is missed. Raises `CollectionError`, with the file's name, if a file is damaged.
    """
    seen: set[Path] = set()
    rows: list[_Row] = []
    # A file that is gone was merged with others into one that the next listing shows.
    while new := [path for path in _files(root) if path not in seen]:
        seen.update(new)
        for found in each(new, _rows, root):
            rows += found
    return Marks(tuple(row.mark() for row in _last_words(rows)))


def compact_marks(root: Path) -> None:
    """Merge the files of the journal into one, without marks that a later one has replaced.

    Call with the collection's lock held; other processes may read and add marks meanwhile. A file that is
    damaged or has unknown columns stays as it is. So does a journal of one file.
    """
    _remove_leftovers(root)
    files = _files(root)
    ours = {path: rows for path, rows in zip(files, each(files, _whole_rows, root), strict=True) if rows}
    if len(ours) < 2:
        return
    # Write the new file first, then remove the old: a kill in between leaves marks twice, which is harmless.
    _write(root, _last_words(row for rows in ours.values() for row in rows))
    for _ in each(ours, remove, root):
        pass


def marks_stamp(root: Path) -> tuple[str, ...]:
    """A value that changes when a file is added to the journal or removed; reads no file.

    Take it before `read_marks`: a file added in between is then read twice rather than missed.
    """
    return tuple(path.name for path in _files(root))


def marks_problems(root: Path) -> Iterator[str]:
    """The problems of the journal's files, one line each; reads every byte."""
    for path in _files(root):
        try:
            for row in _rows(path):
                row.mark()
        except CollectionError as error:
            yield error.message


class _Row(NamedTuple):
    """A row of the file at `path`, as stored; `text` is the JSON of the value."""

    at_us: int
    kind: str
    ids: tuple[str, ...]
    sha256s: tuple[str, ...]
    text: str | None
    path: Path | None = None

    @staticmethod
    def of(mark: Mark) -> _Row:
        at_us = (mark.at - _EPOCH) // timedelta(microseconds=1)
        text = None if mark.value is None else _json(mark.value)
        return _Row(at_us, mark.kind, mark.ids, mark.sha256s, text)

    def mark(self) -> Mark:
        """The mark; raises `CollectionError` if the row holds none."""
        with _naming(self.path):
            value = None if self.text is None else json.loads(self.text)
            at = _EPOCH + timedelta(microseconds=self.at_us)
            return Mark(at, self.kind, self.ids, self.sha256s, value)

    @property
    def about(self) -> tuple[str, frozenset[Picture]]:
        """What the mark is about; of rows with equal `about`, the last one counts."""
        return self.kind, frozenset(zip(self.ids, self.sha256s, strict=False))

    @property
    def rank(self) -> tuple[int, bool, str, tuple[str, ...]]:
        """A key that is higher for the later of two rows.

        At equal times the values decide, not the files' names, which compaction changes; withdrawals go last.
        """
        return self.at_us, self.text is None, self.text or "", self.ids


def _last_words(rows: Iterable[_Row]) -> list[_Row]:
    """The last row about each thing, in an order that does not depend on the files.

    Withdrawals are kept: an earlier mark may still arrive, or be stored under the picture's former name.
    """
    last: dict[tuple[str, frozenset[Picture]], _Row] = {}
    for row in rows:
        about = row.about
        before = last.get(about)
        if before is None or before.rank < row.rank:
            last[about] = row
    return sorted(last.values(), key=lambda row: (*row.rank, row.kind, row.sha256s))


def _write(root: Path, rows: Sequence[_Row]) -> None:
    """Write rows as a new file, under a name that no other process uses."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = root / MARKS_NAME / f"marks-{now}-{secrets.token_hex(8)}.parquet"
    *columns, _ = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for field, column in zip(SCHEMA, columns, strict=True)]
    write_parquet(path, pa.Table.from_arrays(arrays, schema=SCHEMA), {})


def _files(root: Path) -> list[Path]:
    """The files of the journal, oldest first."""
    try:
        return sorted(path for path in (root / MARKS_NAME).iterdir() if _FILE_NAME.fullmatch(path.name))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _rows(path: Path, *, with_others: bool = True) -> list[_Row]:
    """The rows of a file; none if it is gone, because another process has merged it with others.

    Raises `CollectionError` if it is damaged or, without `with_others`, if it has other columns too.
    """
    with _naming(path):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return []
        if problem := checksum_problem(data):
            raise ValueError(problem)
        import pyarrow.parquet as pq

        table = pq.ParquetFile(io.BytesIO(data)).read()
        if not with_others and len(table.column_names) > len(SCHEMA):
            raise ValueError(f"columns other than {', '.join(SCHEMA.names)}")
        at, kinds, ids, sha256s, texts = (_values(table[field.name], field) for field in SCHEMA)
        columns = (column.to_pylist() for column in (at.cast(pa.int64()), kinds, ids, sha256s, texts))
        return [
            _Row(at_us, kind, tuple(names), tuple(checksums), text, path)
            for at_us, kind, names, checksums, text in zip(*columns, strict=True)
        ]


def _values(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """A column cast to its type; raises `ValueError` if a required value is missing."""
    column = column.cast(field.type)
    chunks = column.chunks if pa.types.is_list(field.type) else ()
    inside = sum(one.flatten().null_count for one in chunks)
    if not field.nullable and column.null_count + inside:
        raise ValueError(f"the column {field.name} lacks values")
    return column


def _whole_rows(path: Path) -> list[_Row]:
    """The rows of a file, if they are all that it holds; otherwise none."""
    try:
        rows = _rows(path, with_others=False)
        for row in rows:
            row.mark()
    except CollectionError:
        return []
    return rows


@contextmanager
def _naming(path: Path | None) -> Iterator[None]:
    """Raise problems with a file as `CollectionError`, with the file's name."""
    try:
        yield
    except StoreError:  # a store that cannot be reached is not damage
        raise
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError, OSError, LookalikeError) as error:
        raise CollectionError(
            f"{path} cannot be read: {one_line(error)}",
            "restore it from a copy, or remove it and lose the marks in it",
        ) from None


def _remove_leftovers(root: Path) -> None:
    """Remove the temporary files of killed processes, judged by their age.

    A younger one may belong to another process, which does not hold the lock.
    """
    if is_remote(root):  # stores never have any
        return
    for path in (root / MARKS_NAME).glob(f"marks-*.parquet{TEMPORARY_SUFFIX}"):
        with suppress(FileNotFoundError):  # it has been renamed into place meanwhile
            if time.time() - path.stat().st_mtime > LEFTOVER_S:
                path.unlink()


def _as_json_has_it(value: Any) -> Any:
    """The value as it will be read back, independent of later changes by the caller."""
    if value is None or isinstance(value, bool):
        return value
    try:
        text = _json(value)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise LookalikeError(f"invalid mark: JSON cannot hold the value: {one_line(error)}") from None
    return value if type(value) is str else json.loads(text)


def _json(value: Any) -> str:
    """The JSON of a value, the same for equal values."""
    return _ENCODER.encode(value)


def _is_text(value: object) -> bool:
    """Whether a value is non-empty text that UTF-8 can hold."""
    return isinstance(value, str) and value != "" and not _SURROGATE.search(value)
