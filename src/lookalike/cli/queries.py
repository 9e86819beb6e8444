"""Turns words into queries, and guesses what a word that is not a file means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path

from lookalike.collection import Collection
from lookalike.errors import LookalikeError, QueryError, UnknownIdError
from lookalike.search.query import Image, Query, parse_query

_LEAST_LIKENESS = 0.6  # of spellings, 0 to 1; below, a guess does not help


def read_query(collection: Collection, words: Sequence[str], unlike: Sequence[str] = ()) -> Query:
    """The sum that words stand for, with a minus for `unlike`; raises `QueryError` for a missing file."""
    query = parse_query(words, unlike)
    for term, _ in query.terms:
        if isinstance(term, Image) and not Path(str(term.image)).exists():
            word = str(term.image)
            meant = " or ".join(_meant(collection, word))
            raise QueryError(
                f"there is no file {word}",
                f"did you mean {meant}?" if meant else "give a file, id:… for an item, or text:… for words",
            )
    return query


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
