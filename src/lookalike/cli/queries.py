"""Turns words into queries, and guesses what a word that is not a file means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path

from lookalike.collection import Collection
from lookalike.errors import LookalikeError, QueryError, UnknownIdError
from lookalike.search.query import Id, Image, Query, Text, as_query, parse_query
from lookalike.storage.own_pictures import item_of

_LEAST_LIKENESS = 0.6  # of spellings, 0 to 1; below, a guess does not help


def read_query(
    collection: Collection, words: Sequence[str], unlike: Sequence[str] = (), *, takes_text: bool = True
) -> Query:
    """The sum that words stand for, with a minus for `unlike`.

    Raises `QueryError` for a missing file, and for text unless the command `takes_text`.
    """
    query = parse_query(words, unlike)
    for term, _ in query.terms:
        if isinstance(term, Text) and not takes_text:
            raise QueryError(f"text:{term.text} is no picture", "give a file, or id:… for an item")
        if isinstance(term, Image) and not Path(str(term.image)).exists():
            raise _missing(collection, str(term.image), "there is no file", takes_text=takes_text)
    return query


def read_marks(collection: Collection, words: Sequence[str]) -> list[Query]:
    """The items or pictures that words name: a file that is in the collection is its item.

    Raises `QueryError` for a word that is neither a file nor an item.
    """
    pictures = [read_example(collection, word) for word in words]
    found = [item_of(collection.snapshot, one) if isinstance(one, Path) else one for one in pictures]
    return [as_query(Id(id_) if id_ else Image(one)) for id_, one in zip(found, pictures, strict=True)]


def read_example(collection: Collection, word: str) -> str | Path:
    """The id or the file that a word names: `id:…`, an id, or a path; raises `QueryError` for neither."""
    kind, colon, rest = word.partition(":")
    if colon and kind == "id":
        return rest
    if collection.snapshot.find(word) is not None:
        return word
    if Path(word).exists():
        return Path(word)
    raise _missing(collection, word, "there is no file and no item", takes_text=False)


def _missing(collection: Collection, word: str, message: str, *, takes_text: bool) -> QueryError:
    """An error for a word that is nothing here, with what may be meant."""
    meant = [one for one in _meant(collection, word) if takes_text or one.startswith("id:")]
    ways = "a file, id:… for an item, or text:… for words" if takes_text else "a file, or id:… for an item"
    return QueryError(f"{message} {word}", f"did you mean {' or '.join(meant)}?" if meant else f"give {ways}")


def _meant(collection: Collection, word: str) -> Iterator[str]:
    """Queries that resemble the word and that the collection can answer."""
    snapshot = collection.snapshot
    try:
        # A text tower takes any text, and a misspelled file is none.
        if not Path(word).suffix and collection.meaning(word).is_certain:
            yield f"text:{word}"
    except LookalikeError:  # the model does not know the word, or no words at all
        pass
    try:
        snapshot.row_of(word)
        yield f"id:{word}"
    except UnknownIdError as error:
        for near in error.nearest[:1]:
            if word in near or SequenceMatcher(None, word, near).ratio() >= _LEAST_LIKENESS:
                yield f"id:{near}"
