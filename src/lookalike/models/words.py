"""Words for the built-in network: the things its classifier can name, as vectors to search with.

The last layer has a vector for each of the thousand classes, in the space of the embeddings. The names and
the wider terms come from WordNet (Miller, 1995). docs/words.md tells how the vectors were chosen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import QueryError, UnknownWordError
from lookalike.models.model import unit
from lookalike.models.spelling import MAX_WORDS, PLURALS, STOP_WORDS, forms, names_in, spelling

Floats = NDArray[np.float32]

_RIDGE = np.float32(2)  # 1 to 2 is best for wider terms, with no loss for classes (docs/words.md)
_LEAST_LIKENESS = 0.8  # of spelling, by difflib: one letter in five may be wrong


@dataclass(frozen=True)
class Meaning:
    """One meaning of a name: the numbers of the classes below it, and how often the name has this meaning."""

    classes: tuple[int, ...]
    count: int


@dataclass(frozen=True)
class Vocabulary:
    """All the words that the network knows.

    `classes` are 1,000 distinct names, in the order of the classifier. `terms` has every name of
    a class or a wider term, spelled by `spelling`. `related` maps unknown words to the known terms
    above them. `vectors` is float32 (1000, 1280), `biases` (1000,).
    """

    classes: tuple[str, ...]
    terms: dict[str, tuple[Meaning, ...]]
    plurals: dict[str, str]
    related: dict[str, tuple[str, ...]]
    vectors: Floats
    biases: Floats

    def find(self, phrase: str) -> tuple[Meaning, ...]:
        """The meanings of a name in any case, hyphenated or not, singular or plural; empty if unknown."""
        return next((self.terms[form] for form in self.forms(spelling(phrase)) if form in self.terms), ())

    def forms(self, phrase: str) -> Iterator[str]:
        """A phrase, spelled by `spelling`, and what may be its singular or plural."""
        yield from forms(phrase)
        *before, last = phrase.split(" ")
        yield " ".join([*before, self.plurals.get(last, last)])


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """The words of the built-in network, read once from the two files in the package."""
    folder = files("lookalike.models")
    words = json.loads((folder / "efficientnet_lite0_words.json").read_bytes())
    with (folder / "efficientnet_lite0_classes.npy").open("rb") as file:
        rows = np.load(file, allow_pickle=False)
    assert [row.decode() for row in rows["synset"]] == [entry["id"] for entry in words["classes"]]
    terms: dict[str, tuple[Meaning, ...]] = {}
    for number, entry in enumerate(words["classes"] + words["wider"]):
        classes = tuple(entry.get("classes", (number,)))
        for name, count in entry["names"].items():
            terms[spelling(name)] = (*terms.get(spelling(name), ()), Meaning(classes, count))
    related: dict[str, tuple[str, ...]] = {}
    for term, unknown in words["related"].items():
        for word in unknown.split():
            related[word] = (*related.get(word, ()), term)
    vectors = rows["vector"] * rows["scale"][:, None]
    names = tuple(entry["name"] for entry in words["classes"])
    return Vocabulary(names, terms, words["plurals"], related, vectors, rows["bias"].copy())


def text_vector(text: str) -> Floats:
    """The unit vector float32 (1280,) of words that the network knows; several are averaged.

    The longest names are matched first, and words like "of" or "picture" are ignored. Raises
    `UnknownWordError` if a word is unknown, `QueryError` if there are none or too many.
    """
    return unit(np.mean([_meanings_vector(meanings) for meanings in meant(text)], axis=0))


def meant(text: str) -> list[tuple[Meaning, ...]]:
    """The meanings of each name in a text; raises as `text_vector`."""
    found = list(names_in(text, lambda phrase: vocabulary().find(phrase) or None))
    if not found:
        raise QueryError(f"{text!r} has no word to search for", "name a thing, such as daisy or dog")
    unknown = next((word for word, meanings in found if meanings is None), None)
    if unknown is not None:
        raise unknown_word(unknown)
    return [meanings for _, meanings in found if meanings]


@lru_cache(maxsize=1)
def class_vectors() -> Floats:
    """The unit vectors of the class names, (1000, 1280), as `text_vector` gives each; not to be changed."""
    vectors = unit(_directions())
    vectors.flags.writeable = False
    return vectors


@lru_cache(maxsize=1)
def _directions() -> Floats:
    """(1000, 1280): a sum of rows is the direction that separates their classes from all others.

    Ridge regression on the class vectors: v = X' (X X' + ridge)^-1 y, where y is 1 for the classes, else 0.
    """
    units = unit(vocabulary().vectors)
    return np.asarray(np.linalg.solve(units @ units.T + _RIDGE * np.eye(len(units), dtype=np.float32), units))


@lru_cache(maxsize=256)
def _meanings_vector(meanings: tuple[Meaning, ...]) -> Floats:
    """The mean of the meanings' unit vectors, weighted by how often each is meant: a cat is not a lion."""
    vectors = unit(np.stack([_directions()[list(meaning.classes)].mean(axis=0) for meaning in meanings]))
    return unit(np.average(vectors, axis=0, weights=[meaning.count + 1 for meaning in meanings]))


def unknown_word(word: str) -> UnknownWordError:
    """The error for an unknown word, with the known ones that may be meant."""
    near = meant_terms(word)
    hint = (
        f"similar words are: {', '.join(near)}"
        if near
        else "it knows a thousand kinds of things, such as daisy, dog and teapot"
    )
    return UnknownWordError(f"the model does not know the word {word!r}", hint, near)


def kinds_above(word: str) -> tuple[str, ...]:
    """The nearest known terms above a word that only the dictionary has; none for any other word."""
    known = vocabulary()
    return next((known.related[form] for form in known.forms(spelling(word)) if form in known.related), ())


def near_words(word: str, known: Iterable[str]) -> list[str]:
    """The known words, at most three, of which this may be a misspelling, the most similar first."""
    return get_close_matches(word, known, n=3, cutoff=_LEAST_LIKENESS)


def meant_terms(word: str) -> list[str]:
    """Known terms that an unknown word may mean: terms above it, or terms that it misspells.

    A word in the dictionary is not a misspelling, however similar another one is: a woman is not a wombat.
    """
    known = vocabulary()
    if above := kinds_above(word):
        return list(above)
    meant = near_words(word, known.terms) or near_words(word, known.related)
    return list(dict.fromkeys(term for one in meant for term in known.related.get(one, (one,))))


def tables() -> tuple[dict[str, Any], Floats]:
    """The tables from which another program can compute the vectors of `text_vector` itself.

    The terms with their meanings (count, classes), the rules of spelling and the biases of the classes, ready
    for JSON; and float32 (2000, 1280): the directions of all classes, then their vectors in the classifier.
    """
    known = vocabulary()
    rules = {
        "terms": {
            name: [[meaning.count, list(meaning.classes)] for meaning in meanings]
            for name, meanings in known.terms.items()
        },
        "plurals": known.plurals,
        "related": known.related,
        "endings": PLURALS,
        "stop_words": sorted(STOP_WORDS),
        "most_words": MAX_WORDS,
        "least_likeness": _LEAST_LIKENESS,
        "biases": known.biases.tolist(),
    }
    return rules, np.concatenate([_directions(), known.vectors])
