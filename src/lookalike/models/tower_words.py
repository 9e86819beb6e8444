"""The words of a model with a text tower: queries, how likely a picture shows what they name, and tags.

A cosine between a picture and a text says little alone: those of right and of wrong texts differ by some
hundredths, around a level that depends on the picture and the model. So a text competes with 326 everyday
words for each picture, in the softmax that the tower was trained with. docs/confidence.md tells the rest.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.cache import cache_folder
from lookalike.models.model import LoadedModel, Tags
from lookalike.models.text_tower import TextTower

Floats = NDArray[np.float32]

# What a large tower takes long for is said here before.
logger = logging.getLogger(__name__)

# A text does not compete with words that mean nearly the same: words at least as similar to it as the most
# similar hundredth of the pairs of background words are to each other.
_KIN = 0.99
_LEAST, _MOST_ODDS = 1e-300, 500.0  # where a logarithm and an exponential end
# Below a half, so that a picture can have two tags that are equally right.
_LEAST_OF_TAG, _MOST_TAGS = 0.4, 5
# Texts converted at a time: with two prompts, a few batches for each core.
_AT_ONCE, _SAID_EVERY_S = 32, 2.0


def with_text_tower(model: LoadedModel, tower: TextTower) -> LoadedModel:
    """Give a model the words of a text tower: queries, their confidence, and tags by a user's list."""
    tower = replace(tower, dim=model.dim)
    return replace(
        model,
        spec=replace(model.spec, text_sha256=tower.sha256, prompts=tower.prompts),
        text_vector=tower.vector,
        presence=partial(presence, tower),
        tags_of=partial(tags_of, tower),
    )


def rivals_of(tower: TextTower) -> tuple[Floats, float]:
    """The unit vectors (W, D) of the background words, and the cosine from which two texts are kin.

    Raises as `TextTower.vectors`.
    """
    return _stored(tower, background_words()), _least_of_kin(tower)


def presence(tower: TextTower, text: str, vectors: Floats) -> Floats:
    """How likely each picture shows what a text names, (B,) from 0 to 1; unit vectors float32 (B, D).

    Raises as `TextTower.vectors`.
    """
    rivals = _stored(tower, background_words())
    return np.asarray(_chances(tower, tower.vectors([text]), rivals, vectors)[:, 0], np.float32)


def tags_of(tower: TextTower, names: tuple[str, ...], vectors: Floats) -> Tags:
    """For each picture, those of a list's names that are likely right, and their probabilities.

    At most five, the most likely first; they compete with each other too, unless they mean nearly the same.
    `vectors` are unit vectors float32 (B, D). Raises as `TextTower.vectors`.
    """
    if not names:
        return [[] for _ in vectors]
    found: Tags = []
    texts, words = _stored(tower, names), _stored(tower, background_words())
    for row in _chances(tower, texts, np.concatenate([words, texts]), vectors):
        best = np.argsort(-row, kind="stable")[:_MOST_TAGS]
        found.append([(names[one], float(row[one])) for one in best if row[one] >= _LEAST_OF_TAG])
    return found


def _chances(tower: TextTower, texts: Floats, rivals: Floats, vectors: Floats) -> NDArray[np.float64]:
    """The probability (B, T) that pictures (B, D) go with texts (T, D) and none of their rivals (W, D)."""
    kin = texts @ rivals.T >= _least_of_kin(tower)
    wanted, others = (tower.logit_scale * (vectors @ one.T).astype(np.float64) for one in (texts, rivals))
    most = others.max(axis=1, keepdims=True)
    against = np.log(np.maximum(np.exp(others - most) @ ~kin.T, _LEAST)) + most - wanted
    return np.asarray(1 / (1 + np.exp(np.clip(against, -_MOST_ODDS, _MOST_ODDS))))


@lru_cache(maxsize=1)
def background_words() -> tuple[str, ...]:
    """The words of the background: 326 things that pictures show, all distinct."""
    listed = (files("lookalike.models") / "word_background.txt").read_text(encoding="utf-8")
    return tuple(word.replace("_", " ") for word in listed.split())


@lru_cache(maxsize=4)
def _least_of_kin(tower: TextTower) -> float:
    words = _stored(tower, background_words())
    return float(np.quantile((words @ words.T)[np.triu_indices(len(words), 1)], _KIN))


@lru_cache(maxsize=8)
def _stored(tower: TextTower, texts: tuple[str, ...]) -> Floats:
    """The unit vectors (T, D) of texts, kept in the user's cache folder: a large tower takes seconds."""
    said = "\n".join([tower.sha256, *tower.prompts, "", *texts])
    path = cache_folder() / "words" / f"{hashlib.sha256(said.encode()).hexdigest()[:32]}.npy"
    with suppress(OSError, ValueError, EOFError):
        found = np.load(path, allow_pickle=False)
        if found.dtype == np.float32 and found.ndim == 2 and len(found) == len(texts):
            return np.asarray(found)
    logger.info("computing the vectors of %d words by %s, once", len(texts), tower.name)
    vectors = _computed(tower, texts)
    with suppress(OSError):  # full or read-only: it is only a cache
        _write(path, vectors)
    return vectors


def _computed(tower: TextTower, texts: tuple[str, ...]) -> Floats:
    """The unit vectors (T, D) of texts; says every two seconds how many there are."""
    found: list[Floats] = []
    said = time.monotonic()
    for first in range(0, len(texts), _AT_ONCE):
        found.append(tower.vectors(texts[first : first + _AT_ONCE]))
        if time.monotonic() - said > _SAID_EVERY_S and first + _AT_ONCE < len(texts):
            said = time.monotonic()
            logger.info("%d of %d words", first + _AT_ONCE, len(texts))
    return np.concatenate(found)


def _write(path: Path, vectors: Floats) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.save(file, vectors, allow_pickle=False)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
