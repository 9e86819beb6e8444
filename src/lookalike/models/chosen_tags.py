"""Tags of the built-in network by a user's list of words that it knows."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UnknownWordError
from lookalike.models.model import Tags
from lookalike.models.tags import _CLASS, _USUAL_LENGTH, _WIDER, probabilities, tags
from lookalike.models.words import class_vectors, meant_terms, vocabulary

Floats = NDArray[np.float32]

_MOST_TAGS = 5
_MOST_NAMED = 10


def tags_of(names: tuple[str, ...], vectors: Floats) -> Tags:
    """For each picture, those of the names that are likely right; unit vectors float32 (B, 1280).

    At most five, the most likely first, by the same bounds as the network's own tags, which it gives if there
    are no names. A name is meant in its commonest meaning. Raises `UnknownWordError` for names that it
    does not know.
    """
    if not names:
        return tags(vectors * _USUAL_LENGTH)
    membership = _classes_of(names)
    likely = probabilities(vectors * _USUAL_LENGTH)
    chances = np.minimum(likely @ membership.T, 1)
    cosines = (likely * (vectors @ class_vectors().T)) @ membership.T / np.maximum(chances, 1e-9)
    needed = np.where(membership.sum(axis=1, keepdims=True) > 1, _WIDER, _CLASS)
    holds = (chances >= needed[:, 0]) & (cosines >= needed[:, 1])
    found: Tags = []
    for chance, held in zip(chances, holds, strict=True):
        best = sorted(np.flatnonzero(held).tolist(), key=lambda one: -chance[one])
        found.append([(names[one], float(chance[one])) for one in best[:_MOST_TAGS]])
    return found


@lru_cache(maxsize=4)
def _classes_of(names: tuple[str, ...]) -> Floats:
    """(T, 1000) of 0 and 1: which classes each name means."""
    known = vocabulary()
    unknown = [name for name in names if not known.find(name)]
    if unknown:
        near = list(dict.fromkeys(word for name in unknown[:_MOST_NAMED] for word in meant_terms(name)))[:5]
        more = f" and {len(unknown) - _MOST_NAMED:,} others" if len(unknown) > _MOST_NAMED else ""
        raise UnknownWordError(
            f"the built-in model does not know these tags: {', '.join(unknown[:_MOST_NAMED])}{more}",
            (f"similar words are: {', '.join(near)}; " if near else "")
            + "or build with a model that has a text tower, which takes any words",
            near,
        )
    membership = np.zeros((len(names), len(known.classes)), np.float32)
    for row, name in enumerate(names):
        commonest = max(known.find(name), key=lambda meaning: meaning.count)
        membership[row, list(commonest.classes)] = 1
    return membership
