"""What people say about pictures: a journal of marks, kept in the folder `marks/` of a collection.

"Not a duplicate", a corrected label, a taught word, a favourite. A mark is said once, and never edited: the
last word about the same pictures wins, and taking a mark back is a word too. Each batch of marks is a file of
its own, so two processes can write at once, without the lock of the collection. A build puts the files
together. docs/format.md specifies the files and the rules.
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
# A file is written in far less: what is older was left by a killed process.
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
    """What was said of some pictures at a time; the value None takes back what was said of them before.

    `at` has a time zone, and is kept in UTC. `kind` is any text, such as `label` or `not_duplicate`. `ids`
    and `sha256s` are of the same length, which may be 0, and in any order. `value` is what JSON can hold.
    Raises `LookalikeError` for anything else.
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
            yield f"the kind is {self.kind!r}, it has to be a text"
        if not all(map(_is_text, self.ids)):
            yield f"the ids are {self.ids!r}, each has to be a text"
        if not all(isinstance(one, str) and _SHA256.fullmatch(one) for one in self.sha256s):
            yield f"the sha256s are {self.sha256s!r}, each has to be 64 digits 0-9a-f, or empty"
        if len(self.ids) != len(self.sha256s):
            yield f"it has {len(self.ids)} ids and {len(self.sha256s)} sha256s, give one for each id"
        if len(set(self.ids)) < len(self.ids):
            yield f"an id is there twice: {self.ids!r}"


@dataclass(frozen=True, slots=True)
class Marks:
    """The last word of each kind about the same pictures, takings-back among them, in the order of time."""

    last: tuple[Mark, ...]

    def __len__(self) -> int:
        """The number of marks in force."""
        return sum(mark.value is not None for mark in self.last)

    def kinds(self) -> list[str]:
        """The kinds of the marks in force, sorted."""
        return sorted({mark.kind for mark in self.last if mark.value is not None})

    def of(self, kind: str) -> list[Mark]:
        """The marks of a kind that are in force, in the order of time.

        They name the pictures as they were: which items these are now say `column`, `pairs` and `item_rows`.
        """
        return [mark for mark in self.last if mark.kind == kind and mark.value is not None]

    def column(self, kind: str, ids: Sequence[str], sha256s: Sequence[str]) -> list[Any]:
        """The value for each of N items, from the marks about one picture; None where there is no mark.

        `ids` and `sha256s` are those of the items, N each.
        """
        found: list[Any] = [None] * len(ids)
        for (rows,), value in self._placed(kind, 1, ids, sha256s):
            for row in rows:
                found[row] = value
        return found

    def pairs(self, kind: str, ids: Sequence[str], sha256s: Sequence[str]) -> dict[tuple[int, int], Any]:
        """The value for each pair of items, by their rows, the smaller first, from the marks about two.

        `ids` and `sha256s` are those of the items, N each; a pair that has no mark is not there.
        """
        found: dict[tuple[int, int], Any] = {}
        for (first, second), value in self._placed(kind, 2, ids, sha256s):
            for pair in {(min(a, b), max(a, b)) for a in first for b in second if a != b}:
                found[pair] = value
        return {pair: value for pair, value in found.items() if value is not None}

    def _placed(
        self, kind: str, count: int, ids: Sequence[str], sha256s: Sequence[str]
    ) -> Iterator[tuple[list[list[int]], Any]]:
        """The rows of each picture and the value, for the last words about so many pictures, in order."""
        wanted = [mark for mark in self.last if mark.kind == kind and len(mark.ids) == count]
        rows = item_rows((one for mark in wanted for one in mark.pictures), ids, sha256s) if wanted else {}
        for mark in wanted:
            yield [rows[one] for one in mark.pictures], mark.value


def item_rows(
    pictures: Iterable[Picture], ids: Sequence[str], sha256s: Sequence[str]
) -> dict[Picture, list[int]]:
    """The rows of the items that each picture of a mark is now; none where it is gone or was changed.

    `ids` and `sha256s` are those of the items, N each. A picture is told by its sha256, so an item keeps its
    marks when it is renamed. Where several items have the same bytes, it is the one that has its id too, or
    each of them where none has. Without a sha256 it is the item of that id which has none either.
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

    Needs no lock: other processes may write, and a build may run. Of marks about the same thing at the same
    time the last in the batch counts. Raises `StorageError` where the disk or the store refuses.
    """
    check_writable(root)
    rows = [_Row.of(mark) for mark in marks]
    kept = {(row.about, row.at_us): row for row in rows}
    if kept:
        _write(root, list(kept.values()))


def read_marks(root: Path) -> Marks:
    """The last words in the journal of the collection at `root`; no marks where there is no journal.

    Other processes may write meanwhile, and a build may put files together: nothing is missed that was there
    before the call. Raises `CollectionError` for a damaged file, with its name.
    """
    seen: set[Path] = set()
    rows: list[_Row] = []
    # A file that is gone was put together with others, into one that is in the next listing.
    while new := [path for path in _files(root) if path not in seen]:
        seen.update(new)
        for found in each(new, _rows, root):
            rows += found
    return Marks(tuple(row.mark() for row in _last_words(rows)))


def compact_marks(root: Path) -> None:
    """Put the files of the journal together into one, without the words that are no longer the last.

    Call with the collection's lock held; other processes may read and add marks meanwhile. A file that is
    damaged, or has columns that are not known here, stays as it is. So does a journal of one file.
    """
    _remove_leftovers(root)
    files = _files(root)
    ours = {path: rows for path, rows in zip(files, each(files, _whole_rows, root), strict=True) if rows}
    if len(ours) < 2:
        return
    # The new file first, then away with the old: a kill in between leaves words twice, which says the same.
    _write(root, _last_words(row for rows in ours.values() for row in rows))
    for _ in each(ours, remove, root):
        pass


def marks_stamp(root: Path) -> tuple[str, ...]:
    """A value that changes when a file is added to the journal or removed; reads no file.

    Take it before `read_marks`: what is added in between is then read twice, and not missed.
    """
    return tuple(path.name for path in _files(root))


def marks_problems(root: Path) -> Iterator[str]:
    """What is wrong with the files of the journal, a line each; reads every byte of them."""
    for path in _files(root):
        try:
            for row in _rows(path):
                row.mark()
        except CollectionError as error:
            yield error.message


class _Row(NamedTuple):
    """A row of the file at `path`, as it stands there; `text` is the JSON of the value."""

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
        """The mark; raises `CollectionError` where the row holds none."""
        with _naming(self.path):
            value = None if self.text is None else json.loads(self.text)
            at = _EPOCH + timedelta(microseconds=self.at_us)
            return Mark(at, self.kind, self.ids, self.sha256s, value)

    @property
    def about(self) -> tuple[str, frozenset[Picture]]:
        """What the mark is about: of the rows that agree in this, the last one counts."""
        return self.kind, frozenset(zip(self.ids, self.sha256s, strict=False))

    @property
    def rank(self) -> tuple[int, bool, str, tuple[str, ...]]:
        """The later of two rows has the higher rank.

        At the same time the values decide, and not the names of the files, which compaction changes: taking
        back comes last.
        """
        return self.at_us, self.text is None, self.text or "", self.ids


def _last_words(rows: Iterable[_Row]) -> list[_Row]:
    """The last row about each thing, in an order that does not depend on the files.

    Takings-back are kept: an earlier word may arrive yet, or be there under an older name of the picture.
    """
    last: dict[tuple[str, frozenset[Picture]], _Row] = {}
    for row in rows:
        about = row.about
        before = last.get(about)
        if before is None or before.rank < row.rank:
            last[about] = row
    return sorted(last.values(), key=lambda row: (*row.rank, row.kind, row.sha256s))


def _write(root: Path, rows: Sequence[_Row]) -> None:
    """Write rows as a file of its own, under a name that no other process takes."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = root / MARKS_NAME / f"marks-{now}-{secrets.token_hex(8)}.parquet"
    *columns, _ = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for field, column in zip(SCHEMA, columns, strict=True)]
    write_parquet(path, pa.Table.from_arrays(arrays, schema=SCHEMA), {})


def _files(root: Path) -> list[Path]:
    """The files of the journal, the oldest first."""
    try:
        return sorted(path for path in (root / MARKS_NAME).iterdir() if _FILE_NAME.fullmatch(path.name))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _rows(path: Path, *, with_others: bool = True) -> list[_Row]:
    """The rows of a file; none where it is gone, since another process has put it together with others.

    Raises `CollectionError` where it is damaged, and without `with_others` where it has other columns too.
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
    """A column in its type; `ValueError` where a value is missing that has to be there."""
    column = column.cast(field.type)
    chunks = column.chunks if pa.types.is_list(field.type) else ()
    inside = sum(one.flatten().null_count for one in chunks)
    if not field.nullable and column.null_count + inside:
        raise ValueError(f"the column {field.name} lacks values")
    return column


def _whole_rows(path: Path) -> list[_Row]:
    """The rows of a file which these rows can replace; none where there is more in it, or less."""
    try:
        rows = _rows(path, with_others=False)
        for row in rows:
            row.mark()
    except CollectionError:
        return []
    return rows


@contextmanager
def _naming(path: Path | None) -> Iterator[None]:
    """Raise what is wrong with a file as `CollectionError`, with its name."""
    try:
        yield
    except StoreError:  # one that cannot be reached is no damage
        raise
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError, OSError, LookalikeError) as error:
        raise CollectionError(
            f"{path} cannot be read: {one_line(error)}",
            "restore it from a copy, or remove it and lose the marks in it",
        ) from None


def _remove_leftovers(root: Path) -> None:
    """Remove the temporary files of killed processes, by their age.

    A younger one may be the work of another process, which does not hold the lock.
    """
    if is_remote(root):  # a store never has any
        return
    for path in (root / MARKS_NAME).glob(f"marks-*.parquet{TEMPORARY_SUFFIX}"):
        with suppress(FileNotFoundError):  # it has got its name meanwhile
            if time.time() - path.stat().st_mtime > LEFTOVER_S:
                path.unlink()


def _as_json_has_it(value: Any) -> Any:
    """The value as it will be read back, apart from what the caller may change in it later."""
    if value is None or isinstance(value, bool):
        return value
    try:
        text = _json(value)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise LookalikeError(f"invalid mark: JSON cannot hold the value: {one_line(error)}") from None
    return value if type(value) is str else json.loads(text)


def _json(value: Any) -> str:
    """The text of a value, the same for the same value."""
    return _ENCODER.encode(value)


def _is_text(value: object) -> bool:
    """Whether a value is text that UTF-8 can hold, and not empty."""
    return isinstance(value, str) and value != "" and not _SURROGATE.search(value)
