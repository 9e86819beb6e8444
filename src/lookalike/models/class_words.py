"""A model's own words: the classes that it was taught, as vectors in its space.

They lie in the folder of a model: `words.json` has the names, and `words.npy` their unit vectors, float32
(W, D). How likely a picture shows a class is a logistic function of its cosine with the class.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property, lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError, QueryError, UnknownWordError
from lookalike.models.model import LoadedModel, unit
from lookalike.models.spelling import MAX_WORDS, PLURALS, STOP_WORDS, forms, names_in, spelling

Floats = NDArray[np.float32]

NAMES, VECTORS = "words.json", "words.npy"

# The logistic function of a cosine, where a model does not bring its own: 0.5 at a cosine of 0.6.
SLOPE, INTERCEPT = 15.0, -9.0
_TAG = 0.5  # the lowest probability of a tag
_MOST_TAGS = 5
_LEAST_LIKENESS = 0.8  # of spelling, by difflib


@dataclass(frozen=True)
class ClassWords:
    """The W `names` that a model was taught, and their unit `vectors`, float32 (W, D).

    A picture shows a class with the probability 1 / (1 + exp(-(slope * cosine + intercept))).
    """

    names: tuple[str, ...]
    vectors: Floats
    slope: float = SLOPE
    intercept: float = INTERCEPT

    @cached_property
    def places(self) -> dict[str, int]:
        """The number of each name by its spelling; then by what the name may be the plural of."""
        spelled = [spelling(name) for name in self.names]
        found = {name: at for at, name in reversed([*enumerate(spelled)])}
        for at, name in enumerate(spelled):
            for form in forms(name):
                found.setdefault(form, at)
        return found

    def find(self, phrase: str) -> int | None:
        """The number of a name in any case, hyphenated or not, singular or plural; None if unknown."""
        return next((self.places[form] for form in forms(spelling(phrase)) if form in self.places), None)

    def meant(self, text: str) -> list[int]:
        """The numbers of the names in a text.

        Raises `UnknownWordError` if a word is unknown, `QueryError` if there are none or too many.
        """
        found = list(names_in(text, self.find))
        if not found:
            raise QueryError(f"{text!r} has no word to search for", f"name a thing, such as {self._some()}")
        for word, number in found:
            if number is None:
                near = get_close_matches(word, self.places, n=3, cutoff=_LEAST_LIKENESS)
                hint = f"similar words are: {', '.join(near)}" if near else f"it knows: {self._some()}"
                raise UnknownWordError(f"the model does not know the word {word!r}", hint, near)
        return [number for _, number in found if number is not None]

    def text_vector(self, text: str) -> Floats:
        """The unit vector float32 (D,) of the names in a text; several are averaged. Raises as `meant`."""
        return unit(self.vectors[self.meant(text)].mean(axis=0))

    def probabilities(self, vectors: Floats) -> Floats:
        """How likely each picture shows each class, (B, W); unit vectors float32 (B, D)."""
        odds = np.float32(self.slope) * (vectors @ self.vectors.T) + np.float32(self.intercept)
        return np.asarray(1 / (1 + np.exp(-odds)), np.float32)

    def presence(self, text: str, vectors: Floats) -> Floats:
        """How likely each picture shows all that a text names, (B,); unit vectors. Raises as `meant`."""
        return np.asarray(self.probabilities(vectors)[:, self.meant(text)].min(axis=1))

    def tags(self, features: Floats) -> list[list[tuple[str, float]]]:
        """The classes that each picture is likely to show, the most likely first; features (B, D)."""
        likely = self.probabilities(unit(features))
        order = np.argsort(-likely, axis=1, kind="stable")[:, :_MOST_TAGS]
        return [
            [(self.names[at], float(chances[at])) for at in best if chances[at] >= _TAG]
            for best, chances in zip(order, likely, strict=True)
        ]

    def common_tags(self, vectors: Floats) -> list[str]:
        """The classes that pictures are likely to have in common, from unit vectors float32 (B, D)."""
        likely = self.probabilities(vectors).mean(axis=0)
        return [self.names[at] for at in np.argsort(-likely, kind="stable") if likely[at] >= _TAG]

    def _some(self) -> str:
        more = ", …" if len(self.names) > 3 else ""
        return ", ".join(self.names[:3]) + more


def files_of(words: ClassWords) -> dict[str, bytes]:
    """The files of a model's own words, by name."""
    described = {"names": list(words.names), "slope": words.slope, "intercept": words.intercept}
    data = io.BytesIO()
    np.save(data, np.asarray(words.vectors, np.float32), allow_pickle=False)
    text = json.dumps(described, ensure_ascii=False, indent=1) + "\n"
    return {NAMES: text.encode(), VECTORS: data.getvalue()}


def class_tables(words: ClassWords) -> dict[str, Any]:
    """What another program needs to search for these words, ready for JSON; their vectors are kept apart."""
    line = {"slope": words.slope, "intercept": words.intercept}
    return {
        "words": [
            {"word": name, "origin": "model", "count": None, "said": "", **line} for name in words.names
        ],
        "spellings": words.places,
        "endings": PLURALS,
        "stop_words": sorted(STOP_WORDS),
        "most_words": MAX_WORDS,
    }


def with_words(model: LoadedModel, folder: Path) -> LoadedModel:
    """The model with the words in its folder, if there are any; what these lack it takes from its own.

    Raises `ModelError` if they are damaged, or of another model.
    """
    words = read_words(folder, model.dim)
    if words is None:
        return model
    text_vector, presence = model.text_vector, model.presence

    def own_or_other_vector(text: str) -> Floats:
        try:
            return words.text_vector(text)
        except UnknownWordError:
            if text_vector is None:
                raise
            return text_vector(text)

    def own_or_other_presence(text: str, vectors: Floats) -> Floats:
        try:
            return words.presence(text, vectors)
        except UnknownWordError:
            if presence is None:
                raise
            return presence(text, vectors)

    return replace(
        model,
        text_vector=own_or_other_vector,
        presence=own_or_other_presence,
        tags=words.tags,
        word_vectors=lambda: words.vectors,
        common_tags=words.common_tags,
    )


def read_words(folder: Path, dim: int) -> ClassWords | None:
    """Read the words of `dim` numbers in the folder of a model; None if it has none.

    Raises `ModelError` if they are damaged, or of another model.
    """
    names, vectors = folder / NAMES, folder / VECTORS
    try:
        found = [one.stat() for one in (names, vectors)]
    except (FileNotFoundError, NotADirectoryError):
        if names.exists():
            raise ModelError(f"{vectors}, the vectors of the words, is missing") from None
        return None
    for path, one in zip((names, vectors), found, strict=True):
        if not S_ISREG(one.st_mode):  # a pipe would be waited for
            raise ModelError(f"{path} is not a file")
    stamps = tuple((one.st_size, one.st_mtime_ns, one.st_ino) for one in found)
    return _read(names, vectors, dim, stamps)


@lru_cache(maxsize=4)
def _read(names: Path, vectors: Path, dim: int, stamps: object) -> ClassWords:
    try:
        found = json.loads(names.read_bytes())
        texts = _names(found["names"])
        slope, intercept = (_number(found.get(*one)) for one in (("slope", SLOPE), ("intercept", INTERCEPT)))
    except (OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{names} cannot be read: {error}") from None
    try:
        numbers = np.load(vectors, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"{vectors} cannot be read: {error}") from None
    wanted = (len(texts), dim)
    if not isinstance(numbers, np.ndarray) or numbers.dtype != np.float32 or numbers.shape != wanted:
        raise ModelError(f"{vectors} does not hold float32 {wanted}: a vector for each word of the model")
    if not np.isfinite(numbers).all():
        raise ModelError(f"{vectors} has NaN or infinity")
    return ClassWords(texts, unit(numbers), slope, intercept)


def _names(given: Any) -> tuple[str, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise TypeError("it has no list of names")
    for name in given:
        if not isinstance(name, str) or not name:
            raise TypeError(f"{name!r} is not a name")
    return tuple(given)


def _number(given: Any) -> float:
    if type(given) not in (int, float) or not math.isfinite(given):
        raise TypeError(f"{given!r} is not a number")
    return float(given)
