"""How words and names are compared: in any case, hyphenated or not, singular or plural; names in a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import TypeVar

from lookalike.errors import QueryError

MAX_WORDS = 50
STOP_WORDS = frozenset(
    "a an and any at by each for from in into its near of on or our over photo photograph picture image "
    "show some the their this that these those to two three under with".split()
)
# Plural endings and their singular: the rules of WordNet's own lemmatiser, morphy(7WN).
PLURALS = (("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"), ("men", "man"), ("", "s"))

_LEAST_LIKENESS = 0.7  # of names of models, by difflib

Found = TypeVar("Found")


def spelling(name: str) -> str:
    """Lower case, 's as s, and one space for everything that is not a letter or digit."""
    return re.sub(r"[\W_]+", " ", re.sub(r"['\u2019]s\b", "s", name.lower())).strip()


def forms(phrase: str) -> Iterator[str]:
    """A phrase, spelled by `spelling`, and what it may be the plural of by its ending."""
    yield phrase
    for ending, singular in PLURALS:
        if phrase.endswith(ending):
            yield phrase[: len(phrase) - len(ending)] + singular


def names_in(text: str, find: Callable[[str], Found | None]) -> Iterator[tuple[str, Found | None]]:
    """Each name in a text and what `find` gives for it, from the left, always taking the longest name.

    A word that is part of no name comes with None, unless it is one like "of" or "picture".
    Raises `QueryError` for more than `MAX_WORDS` words.
    """
    words, at = spelling(text).split(), 0
    if len(words) > MAX_WORDS:
        message = f"the text has {len(words):,} words, the limit is {MAX_WORDS}"
        raise QueryError(message, "use fewer words")
    while at < len(words):
        phrases = ((end, " ".join(words[at:end])) for end in range(len(words), at, -1))
        found = ((end, phrase, one) for end, phrase in phrases if (one := find(phrase)) is not None)
        end, phrase, one = next(found, (at + 1, words[at], None))
        if one is not None or phrase not in STOP_WORDS:
            yield phrase, one
        at = end


def close_names(name: str, known: Iterable[str]) -> list[str]:
    """The known names, at most three, that a misspelled one may mean, in any case and with any separators.

    Those that begin with it go first.
    """
    by_letters = {re.sub(r"[\W_]+", "", one.lower()): one for one in known}
    wanted = re.sub(r"[\W_]+", "", name.lower())
    begun = sorted((one for one in by_letters if wanted and one.startswith(wanted)), key=len)
    near = get_close_matches(wanted, by_letters, n=3, cutoff=_LEAST_LIKENESS)
    return [by_letters[one] for one in dict.fromkeys([*begun, *near])][:3]
