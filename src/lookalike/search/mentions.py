"""What a collection's own texts name: labels, columns with few values, folders, file names and captions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.images.color_names import MOST_ITEMS, color_in
from lookalike.models.known import BUILT_IN
from lookalike.models.spelling import STOP_WORDS, spelling
from lookalike.models.words import vocabulary
from lookalike.search.taught import folders_of, lessons
from lookalike.storage.snapshot import Snapshot

Rows = NDArray[np.int64]

# The columns that may hold a caption.
CAPTIONS = ("caption", "title", "description", "text", "alt_text", "TEXT")
# Columns of text that are no words of people's.
_NO_WORDS = frozenset(("id", "uri", "sha256", "label", "camera", *CAPTIONS))
# More words than this take too long to learn; more values than this are names of pictures, not of kinds.
_MOST_WORDS, _MOST_VALUES = 1000, 200
_LONGEST = 100
# A word of a file name or a caption says something if it has a few pictures, and not most of them.
_LEAST_PICTURES, _MOST_SHARE = 3, 0.5

# The kinds of origin, in order of precedence, and how each is said.
ORIGINS = {
    "taught": "taught",
    "label": "your label",
    "column": "your column",
    "folder": "your folder",
    "part": "in your labels",
    "file name": "in your file names",
    "caption": "in your captions",
}


@dataclass(frozen=True, slots=True, eq=False)
class Mention:
    """A name and the rows that it is about, ascending; `unlike` are rows that it is said not to be about.

    `known`, bool (N,), are the rows of which it is known whether they show it, None for all; `origin` is
    a key of `ORIGINS`.
    """

    name: str
    origin: str
    rows: Rows
    known: NDArray[np.bool_] | None = None
    column: str = ""
    unlike: Rows = field(default_factory=lambda: np.empty(0, np.int64))


def mentions(snapshot: Snapshot) -> list[Mention]:
    """Everything that the collection names, those that precede first, each spelling once; at most 1,000."""
    found: dict[str, Mention] = {}
    for origin in _SOURCES:
        for one in sorted(origin(snapshot), key=lambda one: (-len(one.rows), one.name)):
            words = spelling(one.name)
            if words and len(one.name) <= _LONGEST and not set(words.split()) <= STOP_WORDS:
                found.setdefault(words, one)
        if len(found) >= _MOST_WORDS:
            break
    return list(found.values())[:_MOST_WORDS]


def has_mentions(snapshot: Snapshot) -> bool:
    """Whether the collection names anything."""
    return any(spelling(one.name) for origin in _SOURCES for one in origin(snapshot))


def _taught(snapshot: Snapshot) -> Iterator[Mention]:
    for one in lessons(snapshot):
        yield Mention(one.name, "taught", one.liked, unlike=one.unliked)


def _labels(snapshot: Snapshot) -> Iterator[Mention]:
    return _of_values(snapshot.column("label"), "label", "label", most=_MOST_WORDS)


def kind_columns(snapshot: Snapshot) -> list[str]:
    """The columns of text that say of what kind a picture is: those with few values, without the labels."""
    return [one for one in _text_columns(snapshot) if _are_kinds(snapshot.column(one), one, _MOST_VALUES)]


def _columns(snapshot: Snapshot) -> Iterator[Mention]:
    for name in kind_columns(snapshot):
        yield from _of_values(snapshot.column(name), "column", name, most=_MOST_VALUES)


def _text_columns(snapshot: Snapshot) -> list[str]:
    return [one.name for one in snapshot.schema if pa.types.is_string(one.type) and one.name not in _NO_WORDS]


def _parts(snapshot: Snapshot) -> Iterator[Mention]:
    """The words of labels and values, such as *juice* of *Bravo-Apple-Juice*, that the model does not know.

    An apple is no juice of apples, and a text tower reads any word.
    """
    model = snapshot.manifest.model
    if model.text_sha256:
        return
    words_in = _words_but_colors(snapshot)
    labels = ["label"] if _are_kinds(snapshot.column("label"), "label", _MOST_WORDS) else []
    for name in (*labels, *kind_columns(snapshot)):
        column = snapshot.column(name)
        known = np.asarray(pc.is_valid(column.combine_chunks()))
        for one in _of_words(column, words_in, "part"):
            if model.name != BUILT_IN or not vocabulary().find(one.name):
                yield replace(one, known=known, column=name)


def _are_kinds(column: pa.ChunkedArray, name: str, most: int) -> bool:
    """Whether a column of text has at most so many values, and, if it is not the labels, few a picture."""
    distinct = pc.count_distinct(column).as_py()
    return distinct <= most and (name == "label" or distinct <= (len(column) - column.null_count) / 2)


def _of_values(column: pa.ChunkedArray, origin: str, name: str, most: int) -> Iterator[Mention]:
    """The values of a column of text, unless there are more than `most` or each has a picture of its own."""
    if not _are_kinds(column, name, most):
        return
    coded = column.combine_chunks().dictionary_encode()
    codes = np.asarray(pc.fill_null(coded.indices, -1))
    known = codes >= 0
    for code, value in enumerate(coded.dictionary.to_pylist()):
        yield Mention(value, origin, np.flatnonzero(codes == code), known, name)


def _folders(snapshot: Snapshot) -> Iterator[Mention]:
    folders = pc.replace_substring_regex(snapshot.column("id"), "[^/]*$", "")
    return _of_words(folders, lambda folder: folders_of(f"{folder}x"), "folder", 1, 1.0)


def _file_names(snapshot: Snapshot) -> Iterator[Mention]:
    names = pc.replace_substring_regex(snapshot.column("id"), "^.*/", "")
    words_in = _words_but_colors(snapshot)
    return _of_words(names, lambda name: words_in(PurePosixPath(name).stem), "file name")


def _words_but_colors(snapshot: Snapshot) -> Callable[[str], list[str]]:
    """The words of a text, less colours if they can be seen in the pictures: three names say less.

    *Orange* stays, because it is a fruit, too.
    """
    sizes = snapshot.column("thumb_size")
    if len(snapshot) > MOST_ITEMS or not pc.max(sizes).as_py():
        return _words_in
    return lambda text: [one for one in _words_in(text) if one == "orange" or not color_in(one)]


def _captions(snapshot: Snapshot) -> Iterator[Mention]:
    words_in = _words_but_colors(snapshot)
    for name in CAPTIONS:
        if name in snapshot.schema.names and pa.types.is_string(snapshot.schema.field(name).type):
            yield from _of_words(snapshot.column(name), words_in, "caption")


def _of_words(
    texts: pa.ChunkedArray,
    words_of: Callable[[str], Iterable[str]],
    origin: str,
    least: int = _LEAST_PICTURES,
    most_share: float = _MOST_SHARE,
) -> Iterator[Mention]:
    """The words that rows have in their texts, those with enough rows and not with all or most of them."""
    # Whichever digits touch a word, it is a number; so names that count have few different texts.
    if origin != "folder":
        texts = pc.replace_substring_regex(texts, "[0-9]+", "0")
    coded = texts.combine_chunks().dictionary_encode()
    codes = np.asarray(pc.fill_null(coded.indices, -1))
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(coded.dictionary) + 1))
    having: dict[str, list[int]] = defaultdict(list)
    for code, text in enumerate(coded.dictionary.to_pylist()):
        for word in dict.fromkeys(words_of(text)):
            having[word].append(code)
    for word, mine in having.items():
        count = int((starts[np.array(mine) + 1] - starts[mine]).sum())
        if least <= count <= most_share * len(codes) and count < len(codes):
            yield Mention(
                word, origin, np.sort(np.concatenate([order[starts[one] : starts[one + 1]] for one in mine]))
            )


def _words_in(text: str) -> list[str]:
    """The words of a text, of at least three letters; those that digits touch are numbers of some kind."""
    words = re.findall(r"(?<![^\W_])[^\W\d_]{3,}(?![^\W_])", text.lower())
    return [word for word in words if word not in STOP_WORDS]


_SOURCES = (_taught, _labels, _columns, _folders, _parts, _file_names, _captions)
