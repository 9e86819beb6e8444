"""Words that people teach by examples: marks in the collection's journal, which can be taken back.

The marks of a word have the kind `word:NAME`. One about a picture says whether it shows the word (true) or
not (false); one about no picture names columns and values, whose pictures all show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.errors import QueryError
from lookalike.models.spelling import MAX_WORDS, STOP_WORDS, spelling
from lookalike.storage.label_values import FOLDER
from lookalike.storage.marks import Mark, Marks, item_rows, write_marks
from lookalike.storage.snapshot import Snapshot

Rows = NDArray[np.int64]

KIND = "word:"
_LONGEST = 100
WORD_RULE = f"a word has letters or digits, at most {_LONGEST} characters, and is not one like 'the'"
_MOST_TAUGHT = 1000  # from one column at a time
# Texts that name one picture each, and no word.
_OF_ONE_PICTURE = ("id", "uri", "sha256")


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What a word was taught with: the rows of pictures that show it and of those that don't, ascending."""

    name: str
    liked: Rows
    unliked: Rows


@dataclass(frozen=True, slots=True)
class ColumnWords:
    """What a column teaches: the values of each word by its name, and the values that cannot be words."""

    values: Mapping[str, Sequence[str]]
    left_out: Sequence[str]

    @property
    def joined(self) -> list[Sequence[str]]:
        """Values that are one word, because they are spelled alike."""
        return [some for some in self.values.values() if len(some) > 1]


def word_kinds(marks: Marks) -> list[str]:
    """The kinds of marks that teach words, one each."""
    return [kind for kind in marks.kinds() if kind.startswith(KIND)]


def is_taught(marks: Marks) -> bool:
    """Whether any word was taught."""
    return bool(word_kinds(marks))


def is_lost(snapshot: Snapshot, name: str) -> bool:
    """Whether a word was taught by pictures that are not here any more."""
    taught = (kind.removeprefix(KIND) for kind in word_kinds(snapshot.marks))
    return any(spelling(one) == spelling(name) for one in taught)


def lessons(snapshot: Snapshot) -> list[Lesson]:
    """The taught words of which a picture is here, in alphabetical order."""
    marks = snapshot.marks
    kinds = word_kinds(marks)
    if not kinds:
        return []
    ids, sha256s = snapshot.column("id").to_pylist(), snapshot.column("sha256").to_pylist()
    said = {kind: marks.of(kind) for kind in kinds}
    rows = item_rows((one for some in said.values() for mark in some for one in mark.pictures), ids, sha256s)
    found = []
    for kind, some in said.items():
        shows: dict[int, bool] = {}
        for mark in some:
            if not mark.ids:
                for about in _abouts(mark.value):
                    shows |= dict.fromkeys(_rows_with(snapshot, about).tolist(), True)
        for mark in some:
            shows |= {row: bool(mark.value) for one in mark.pictures for row in rows[one]}
        liked, unliked = (
            np.array(sorted(row for row, does in shows.items() if does is what), np.int64)
            for what in (True, False)
        )
        if len(liked):
            found.append(Lesson(kind.removeprefix(KIND), liked, unliked))
    return found


def teach(
    snapshot: Snapshot, name: str, like: Sequence[str], unlike: Sequence[str], known: Mapping[str, str]
) -> None:
    """Add examples to a word, or make a new one; raises as `lesson_marks`."""
    write_marks(snapshot.root, lesson_marks(snapshot, name, like, unlike, known))


def lesson_marks(
    snapshot: Snapshot, name: str, like: Sequence[str], unlike: Sequence[str], known: Mapping[str, str]
) -> list[Mark]:
    """The marks that add examples to a word, or make a new one: of words spelled alike, to the first.

    `known` are the names of the taught words by their spelling. Raises `QueryError` for an invalid name, for
    a word without an example and for one that an item both shows and doesn't, and `UnknownIdError`.
    """
    name = known.get(spelling(_checked(name)), _checked(name))
    if both := sorted(set(like) & set(unlike)):
        raise QueryError(f"{both[0]!r} is both like and unlike {name!r}", "leave it out of one of them")
    if not like and spelling(name) not in known:
        raise QueryError(f"nothing shows what {name!r} is", "name at least one item as `like`")
    now = datetime.now(UTC)
    marks = []
    for ids, value in ((dict.fromkeys(like), True), (dict.fromkeys(unlike), False)):
        names = list(ids)
        sha256s = snapshot.values("sha256", snapshot.rows_of(names)) if names else []
        marks += [
            Mark(now, KIND + name, (id_,), (sha256 or "",), value)
            for id_, sha256 in zip(names, sha256s, strict=True)
        ]
    return marks


def column_words(snapshot: Snapshot, column: str, known: Mapping[str, str] | None = None) -> ColumnWords:
    """The words that `teach_from` makes of a column; values that are spelled alike are one.

    It has the name of the commonest of them. Raises as `teach_from`.
    """
    values = _values(snapshot, column)
    words = [value for value in values if _is_name(value)]
    if not words:
        raise QueryError(f"{column} has no text that could be a word", "use a column of names")
    if len(words) > _MOST_TAUGHT:
        raise QueryError(
            f"{column} has {len(words):,} values, the limit is {_MOST_TAUGHT:,}", "use a column with fewer"
        )
    names, found = dict(known or {}), dict[str, list[str]]()
    for value in words:
        name = names.setdefault(spelling(value), " ".join(value.split()))
        found.setdefault(name, []).append(value)
    return ColumnWords(found, [value for value in values if not _is_name(value)])


def teach_from(snapshot: Snapshot, column: str, known: Mapping[str, str]) -> None:
    """Make a word of each value of a column of text, or of each folder for `folder`.

    Later builds add the pictures that get the value. Raises `QueryError` for a column that is unknown or has
    no text, and for more than a thousand values.
    """
    marks, now = [], datetime.now(UTC)
    for name, values in column_words(snapshot, column, known).values.items():
        before = [
            one for mark in snapshot.marks.of(KIND + name) if not mark.ids for one in _abouts(mark.value)
        ]
        more = [one for value in values if (one := {"column": column, "value": value}) not in before]
        abouts = [*before, *more]
        marks.append(Mark(now, KIND + name, (), (), abouts if len(abouts) > 1 else abouts[0]))
    write_marks(snapshot.root, marks)


def column_lesson(name: str, about: Mapping[str, str] | Sequence[Mapping[str, str]]) -> Mark:
    """The mark that the pictures with a `value` in a `column`, or in a folder of that name, show a word."""
    return Mark(datetime.now(UTC), KIND + _checked(name), (), (), about)


def forget(snapshot: Snapshot, name: str) -> None:
    """Take back all that a word was taught; raises as `forgetting`."""
    write_marks(snapshot.root, forgetting(snapshot, name))


def forgetting(snapshot: Snapshot, name: str) -> list[Mark]:
    """The marks that take back all that a word was taught; `QueryError` for a word that nobody taught."""
    kinds = {spelling(kind.removeprefix(KIND)): kind for kind in word_kinds(snapshot.marks)}
    kind = kinds.get(spelling(name))
    if kind is None:
        names = ", ".join(sorted(one.removeprefix(KIND) for one in kinds.values()))
        raise QueryError(f"nobody taught the word {name!r}", f"taught are: {names}" if names else "")
    now = datetime.now(UTC)
    return [Mark(now, kind, one.ids, one.sha256s, None) for one in snapshot.marks.of(kind)]


def folders_of(id_: str) -> list[str]:
    """The folders in an item's id, the widest first."""
    return [one for one in id_.split("/")[:-1] if one not in ("", ".", "..")]


def _checked(name: str) -> str:
    plain = " ".join(name.split())
    if _is_name(plain):
        return plain
    raise QueryError(f"{plain[:_LONGEST]!r} cannot be a word", WORD_RULE)


def _is_name(text: str) -> bool:
    words = spelling(text).split()
    is_short = len(text) <= _LONGEST and len(words) <= MAX_WORDS
    return is_short and any(word not in STOP_WORDS for word in words) and text.isprintable()


def _commonest(values: Iterable[str]) -> list[str]:
    """Each value once, the commonest first."""
    counts = Counter(values)
    return sorted(counts, key=lambda one: (-counts[one], one))


def _values(snapshot: Snapshot, column: str) -> list[str]:
    if column == FOLDER:
        return _commonest(one for id_ in snapshot.column("id").to_pylist() for one in folders_of(id_))
    texts = [one.name for one in snapshot.schema if pa.types.is_string(one.type)]
    names = [name for name in texts if name not in _OF_ONE_PICTURE]
    if column not in names:
        raise QueryError(
            f"there is no column of words {column!r}", f"there are: {', '.join([FOLDER, *names])}"
        )
    return _commonest(one for one in snapshot.column(column).to_pylist() if one)


def _abouts(value: Any) -> list[dict[str, Any]]:
    """The columns and values that a mark about no picture names; none if the mark is another's."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _rows_with(snapshot: Snapshot, about: Mapping[str, Any]) -> Rows:
    """The rows that have a value in a column; none if the column is gone."""
    column, value = str(about.get("column")), about.get("value")
    if column == FOLDER:
        ids = snapshot.column("id").to_pylist()
        return np.array([row for row, id_ in enumerate(ids) if value in folders_of(id_)], np.int64)
    if column not in snapshot.schema.names or not pa.types.is_string(snapshot.schema.field(column).type):
        return np.empty(0, np.int64)
    return np.flatnonzero(np.asarray(pc.fill_null(pc.equal(snapshot.column(column), str(value)), False)))
