"""What a text means in a collection: its own words first, then the model's, then a guess by WordNet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError, QueryError, UnknownWordError
from lookalike.images.color_names import color_in
from lookalike.models.known import BUILT_IN
from lookalike.models.model import LoadedModel, unit
from lookalike.models.relatives import relatives_among, said_of_kind
from lookalike.models.spelling import MAX_WORDS, STOP_WORDS, spelling
from lookalike.models.words import kinds_above, near_words, unknown_word, vocabulary
from lookalike.search.own_words import OwnWord, OwnWords

Vectors = NDArray[np.float32]
Odds = NDArray[np.float64]

# The highest confidence of a guess: below 1/3, so that its hits are always called weak.
MOST_OF_A_GUESS = 0.3


@dataclass(frozen=True, eq=False)
class Part:
    """A word of a text and what is meant by it: `origin` is that of an own word, `model` or `guess`."""

    name: str
    origin: str
    count: int | None = None
    said: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"word": self.name, "origin": self.origin, "count": self.count, "said": self.said}


@dataclass(frozen=True, eq=False)
class Meant:
    """What a text means: a unit `vector` (D,), the words in it, and those that are unknown and left out.

    A text of nothing but `colors` has a vector of zeros. `own` are the collection's words in it, `of_model`
    those left for the model, empty if there are none; `most` is the highest confidence. `missing` says why
    the model, which may know the unknown words, was not asked.
    """

    text: str
    vector: Vectors
    parts: tuple[Part, ...]
    unknown: tuple[str, ...] = ()
    own: tuple[OwnWord, ...] = ()
    of_model: str = ""
    most: float = 1.0
    colors: tuple[str, ...] = ()
    missing: str = ""

    def __repr__(self) -> str:
        return f"Meant({self.text!r}: {'; '.join(self.lines)})"

    @property
    def is_plain(self) -> bool:
        """Whether it is the model's words and nothing else."""
        return not self.own and not self.colors and self.is_certain

    @property
    def is_certain(self) -> bool:
        """Whether every word is known, and none is a guess."""
        return not self.unknown and self.most == 1

    def odds(
        self,
        vectors: Vectors,
        of_likeness: Callable[[Vectors], Odds],
        of_model: Callable[[str, Vectors], Odds],
    ) -> Odds:
        """The log-odds (n,) that unit vectors (n, D) show all that is meant: those of the least likely word.

        Of a guess by several relatives, those of the likeliest, up to the highest of a guess.
        `of_likeness` gives the log-odds of cosines with a picture, `of_model` those of the model's words.
        """
        found = [
            of_likeness(vectors @ one.vector)
            if one.slope is None
            else one.slope * (vectors @ one.vector).astype(np.float64) + one.intercept
            for one in self.own
        ]
        if self.of_model:
            found.append(of_model(self.of_model, vectors))
        if self.most == 1:
            return np.asarray(np.min(found, axis=0))
        return np.asarray(np.minimum(np.max(found, axis=0), np.log(self.most / (1 - self.most))))

    @property
    def lines(self) -> list[str]:
        """What there is to say about it: whose words they are, and which were left out."""
        said = [one.said for one in self.parts if one.said]
        if self.unknown:
            why = f" ({self.missing})" if self.missing else ""
            said.append(f"unknown, and left out: {', '.join(self.unknown)}{why}")
        return said

    def as_dict(self) -> dict[str, Any]:
        words = [one.as_dict() for one in self.parts]
        missing = {"missing": self.missing} if self.missing and self.unknown else {}
        return {"text": self.text, "words": words, "unknown": list(self.unknown), **missing}


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The words that can be searched for: a collection's own and those of its model, if there is one here.

    `missing` says why there is none, and `reads_text` whether it reads any text where it is.
    """

    own: OwnWords
    model: LoadedModel | None
    dim: int = 0
    missing: ModelError | None = None
    reads_text: bool = False

    def meant(self, text: str) -> Meant:
        """What a text means; of several words the longest names count, and each as much as the others.

        Raises `UnknownWordError` if no word is known or can be guessed, `QueryError` if there are none or too
        many.
        """
        words = spelling(text).split()
        if len(words) > MAX_WORDS:
            raise QueryError(
                f"the text has {len(words):,} words, the limit is {MAX_WORDS}", "use fewer words"
            )
        if self._model_is_asked(words):
            assert self.model is not None
            try:
                return self._of_model(text, self.model.embed_text(text))
            except UnknownWordError:
                if not self._knows_names and not self._has_color(words):
                    raise
        own, names, colors, unknown = self._split(words)
        vectors = [one.vector for one in own]
        parts = [Part(one.name, one.origin, one.count, str(one)) for one in own]
        for name in names:
            assert self.model is not None
            try:
                vectors.append(self.model.embed_text(name))
                parts.append(Part(name, "model"))
            except QueryError:  # another model, which knows some words only
                if not own and not colors:
                    raise
                unknown.append(name)
        parts += [Part(one, "color", None, f"{one}: by the colours of the pictures") for one in colors]
        if not vectors and not colors:
            return self._guess(text, unknown)
        of_model = " ".join(one.name for one in parts if one.origin == "model")
        vector = unit(np.mean(vectors, axis=0)) if vectors else np.zeros(self.dim, np.float32)
        found = Meant(text, vector, tuple(parts), tuple(unknown), tuple(own), of_model)
        return replace(found, colors=tuple(dict.fromkeys(colors)), missing=self._why_missing)

    def complete(self, start: str, most: int = 8) -> list[Part]:
        """The words that begin with some letters, the collection's own first."""
        wanted = spelling(start)
        if not wanted:
            return []
        found = {
            spelling(one.name): Part(one.name, one.origin, one.count, str(one))
            for one in self.own.words
            if spelling(one.name).startswith(wanted)
        }
        if self._knows_names:
            terms = sorted(term for term in vocabulary().terms if term.startswith(wanted))
            terms.sort(key=lambda term: (len(term.split()) > 1, len(term)))
            for term in terms[:most]:
                found.setdefault(term, Part(term, "model"))
        return list(found.values())[:most]

    @property
    def _why_missing(self) -> str:
        return self.missing.message if self.missing and self.reads_text else ""

    @property
    def _knows_names(self) -> bool:
        """Whether the model's words are a list of names, and not any text."""
        return self.model is not None and self.model.name == BUILT_IN

    def _model_is_asked(self, words: Sequence[str]) -> bool:
        """Whether the whole text is the model's, because no word of it is the collection's own.

        To a text tower a sentence is more than its words: only taught words and whole texts are not its.
        """
        if self.model is None or (self.model.text_vector is None and self.own.words):
            return False
        reads = bool(self.model.spec.text_sha256)
        for start, end in _stretches(len(words)):
            found = self.own.find(" ".join(words[start:end]))
            if found and (not reads or end - start == len(words) or found.origin == "taught"):
                return False
        return self._takes_any_text or not self._has_color(words)

    def _has_color(self, words: Sequence[str]) -> bool:
        phrases = (" ".join(words[a:b]) for a, b in _stretches(len(words)))
        return self.takes_colors and any(color_in(one) for one in phrases)

    @property
    def takes_colors(self) -> bool:
        """Whether colours are words: not to a model that reads any text, but to one with a list of words."""
        if self.model is None or not self._takes_any_text:
            return True
        return self.model.word_vectors is not None and not self.model.spec.text_sha256

    @property
    def _takes_any_text(self) -> bool:
        return self.model is not None and self.model.text_vector is not None and not self._knows_names

    def _of_model(self, text: str, vector: Vectors) -> Meant:
        return Meant(text, vector, (Part(text, "model"),), of_model=text)

    def _split(self, words: Sequence[str]) -> tuple[list[OwnWord], list[str], list[str], list[str]]:
        """The own words, the names for the model, the colours and the unknown words; the longest first."""
        own: list[OwnWord] = []
        colors: list[str] = []
        names: list[str] = []
        unknown: list[str] = []
        rest: list[str] = []  # words that may be one text for a model that takes any
        at = 0
        while at < len(words):
            end, found = self._longest(words, at)
            if isinstance(found, OwnWord):
                own.append(found)
                at = end
                continue
            if found and color_in(found) and not self._knows(found) and self.takes_colors:
                colors.append(color_in(found))
            elif found:
                names.append(found)
            elif self._takes_any_text:
                rest.append(words[at])
            elif words[at] not in STOP_WORDS:
                unknown.append(words[at])
            at = end
        while rest and rest[0] in STOP_WORDS:
            rest = rest[1:]
        return list(dict.fromkeys(own)), names + ([" ".join(rest)] if rest else []), colors, unknown

    def _longest(self, words: Sequence[str], at: int) -> tuple[int, OwnWord | str | None]:
        """The longest name from a word on, and where it ends; an own word goes before the model's."""
        for end in range(len(words), at, -1):
            phrase = " ".join(words[at:end])
            if own := self.own.find(phrase):
                return end, own
            if self._knows(phrase) or (color_in(phrase) and self.takes_colors):
                return end, phrase
        return at + 1, None

    def _knows(self, phrase: str) -> bool:
        """Whether a model of names has this one."""
        return self._knows_names and bool(vocabulary().find(phrase))

    def _guess(self, text: str, unknown: Sequence[str]) -> Meant:
        """A text of unknown words by the kinds of things that WordNet says they are."""
        if not unknown:
            raise QueryError(f"{text!r} has no word to search for", "name a thing, such as daisy or dog")
        if self.model is not None and self.model.text_vector is None and not self.own.words:
            self.model.embed_text(text)  # raises: it does not know words
        if not self._knows_names and (guess := self._guess_by_own(text, unknown)):
            return guess
        if self.missing is not None and not self._near(unknown[0]):
            raise self.missing
        if not self._knows_names:
            who = (
                f"the model {self.model.name} does not know words" if self.model else "its model is not here"
            )
            message = (
                f"the word {unknown[0]!r} is unknown: {who}, and nothing in the collection is called that"
            )
            raise UnknownWordError(message, "", self._near(unknown[0]))
        assert self.model is not None
        guessed = {word: kinds for word in unknown if (kinds := kinds_above(word))}
        if not guessed:
            raise _with_near(unknown_word(unknown[0]), self._near(unknown[0]))
        parts = tuple(
            Part(word, "guess", None, _said_of(word, "; or by ".join(map(said_of_kind, kinds))))
            for word, kinds in guessed.items()
        )
        of_model = " ".join(dict.fromkeys(kind for some in guessed.values() for kind in some))
        left_out = tuple(word for word in unknown if word not in guessed)
        vector = self.model.embed_text(of_model)
        return Meant(text, vector, parts, left_out, of_model=of_model, most=MOST_OF_A_GUESS)

    def _guess_by_own(self, text: str, unknown: Sequence[str]) -> Meant | None:
        """A text of unknown words by the collection's own words for their relatives; None without any."""
        names = [one.name for one in self.own.words]
        guessed = {word: found for word in unknown if (found := relatives_among(word, names))}
        if not guessed:
            return None
        own = {name: self.own.find(name) for found in guessed.values() for name in found.names}
        by = tuple(dict.fromkeys(filter(None, own.values())))
        parts = tuple(
            Part(word, "guess", None, _said_of(word, str(found))) for word, found in guessed.items()
        )
        left_out = tuple(word for word in unknown if word not in guessed)
        vector = unit(np.mean([one.vector for one in by], axis=0))
        return Meant(text, vector, parts, left_out, by, most=MOST_OF_A_GUESS, missing=self._why_missing)

    def _near(self, word: str) -> list[str]:
        return [self.own.by_spelling[one].name for one in near_words(word, self.own.by_spelling)]


def lexicon_of(own: OwnWords, model: Callable[[], LoadedModel], dim: int, reads_text: bool) -> Lexicon:
    """The lexicon of own words and of a model of vectors (D,), which may be missing, and may read text."""
    try:
        return Lexicon(own, model(), dim)
    except ModelError as error:
        if not own.words:
            raise
        return Lexicon(own, None, dim, error, reads_text)


def _said_of(word: str, relatives: str) -> str:
    return f"{word}: a guess, by {relatives}"


def _with_near(error: UnknownWordError, own: Sequence[str]) -> UnknownWordError:
    return UnknownWordError(error.message, error.hint, list(dict.fromkeys([*own, *error.nearest])))


def _stretches(count: int) -> Iterator[tuple[int, int]]:
    return ((start, end) for start in range(count) for end in range(start + 1, count + 1))
