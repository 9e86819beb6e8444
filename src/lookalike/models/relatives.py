"""The relatives of a word in WordNet: kinds of it, or of the nearest known kind of things above it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lookalike.models.spelling import spelling
from lookalike.models.words import kinds_above, vocabulary

# Kinds of things with more classes say nothing of a word: dogs, with 118, are the widest that do.
_MOST_BELOW = 120
# So many relatives are named one by one.
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Relatives:
    """Known words near an unknown one: other kinds of `kind`, or kinds of the word itself if it is empty."""

    names: tuple[str, ...]
    kind: str = ""

    def __str__(self) -> str:
        return _said(self.names, self.kind)


def said_of_kind(term: str) -> str:
    """The classes of the network below a term above a word: `daisy, another flower`."""
    known = vocabulary()
    meanings = known.find(term)
    if any(spelling(term) == spelling(known.classes[one.classes[0]]) for one in meanings):
        return f"{term}, of which it is a kind"
    classes = {number for one in meanings for number in one.classes}
    return _said(sorted((known.classes[one].partition(" (")[0] for one in classes), key=_fame), term)


def said_of_kinds() -> dict[str, str]:
    """What `said_of_kind` says of each term that has a related word below it, for another program."""
    return {term: said_of_kind(term) for terms in vocabulary().related.values() for term in terms}


def relatives_among(word: str, names: Iterable[str]) -> Relatives | None:
    """Those of some names that are kinds of the word, else of the nearest term above it; None without any.

    Of a word with several meanings the commonest counts. A name or a word that neither the network nor its
    dictionary has is no relative of any.
    """
    places = {name: found for name in names if (found := _places(name))}
    own = _commonest(word)
    if own and (kinds := _below(own, places)):
        return Relatives(kinds)
    for term in kinds_above(word) or _terms_above(own):
        if others := _below(_commonest(term), places):
            return Relatives(others, term)
    return None


def _said(names: Iterable[str], kind: str) -> str:
    """`a`, `a and b`, `a, b and c`, or `a, b and 5 others`, and what they are kinds of."""
    named = list(names)
    if len(named) > _MOST_NAMED:
        more = len(named) - _MOST_NAMED + 1
        named = [*named[: _MOST_NAMED - 1], f"{more:,} others"]
    listed = " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))
    if not kind:
        return f"{listed}, {'a kind' if len(named) == 1 else 'kinds'} of it"
    return f"{listed}, {'another' if len(named) == 1 else 'other kinds of'} {kind}"


def _commonest(word: str) -> frozenset[int]:
    """The classes below the commonest meanings of a known word; empty for another."""
    meanings = vocabulary().find(word)
    most = max((one.count for one in meanings), default=0)
    return frozenset(number for one in meanings if one.count == most for number in one.classes)


def _places(word: str) -> list[frozenset[int]]:
    """The sets of classes of a known word, or those of the terms above a related one."""
    own = _commonest(word)
    return [own] if own else [_commonest(term) for term in kinds_above(word)]


def _below(classes: frozenset[int], places: dict[str, list[frozenset[int]]]) -> tuple[str, ...]:
    """The names whose classes are all among these; none if these are too many to say anything."""
    if len(classes) > _MOST_BELOW:
        return ()
    return tuple(name for name, sets in places.items() if any(one <= classes for one in sets))


def _terms_above(classes: frozenset[int]) -> list[str]:
    """The terms that are wider than some classes, the narrowest first; none for no classes."""
    wider = {term: _commonest(term) for term in vocabulary().terms} if classes else {}
    above = [(len(below), term) for term, below in wider.items() if classes < below]
    return [term for _, term in sorted(above)]


def _fame(name: str) -> tuple[int, str]:
    """The order of names: those first that texts use most."""
    return -max((one.count for one in vocabulary().find(name)), default=0), name
