"""Tags: what the built-in network sees in a picture, if it is likely to be right.

The network was trained on a thousand kinds of things and gives each a probability, even for a picture
that shows none of them. So a tag needs more than a probability: the picture must also point in the
direction of the name's vector. docs/words.md has the measurement.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lookalike.models.model import unit
from lookalike.models.words import class_vectors, meant, text_vector, vocabulary

Floats = NDArray[np.float32]

# Wider terms that people file pictures under. WordNet has 800 more, from Eskimo dog to instrumentality.
_EVERYDAY = (
    "animal bird fish insect dog cat bear fox wolf monkey ape rabbit elephant antelope duck parrot snake "
    "lizard turtle frog salamander shark spider crab beetle butterfly flower fruit vegetable fungus food "
    "bread dessert beverage person clothing shoe hat bag vehicle car truck bus train boat ship aircraft "
    "bicycle furniture chair lamp clock bottle box ball toy tool weapon computer camera telephone guitar "
    "piano musical-instrument building house shop bridge fence mountain shore"
).split()
# What is under a term by WordNet, and not by what a picture shows: a page of text is a web site and a menu to
# the network, a drawn face is a mask, and a toy is a balloon.
_NOT_SHOWN = {
    "computer": "web site", "food": "menu", "clothing": "mask", "vehicle": "balloon", "aircraft": "balloon",
}  # fmt: skip

# The lowest probability of a tag, and its lowest cosine to its classes; chosen on flowers and stamps.
_CLASS, _WIDER = (0.5, 0.30), (0.3, 0.22)
# The same for a group's common tags, on average.
_CLASS_OF_GROUP, _WIDER_OF_GROUP = (0.8, 0.30), (0.37, 0.15)
# The mean length of features of photographs: stored vectors have lost theirs.
_USUAL_LENGTH = np.float32(14.5)
# Log-odds that a picture shows what a word names: those of the network's probability, plus this slope times
# the cosine, plus an intercept; chosen on photographs of flowers, clothing and groceries.
_OF_COSINE = (20.0, -3.3)


def logits(features: Floats) -> Floats:
    """Convert features float32 (B, 1280), not normalised, to each class's logits (B, 1000)."""
    known = vocabulary()
    return np.asarray((known.vectors @ features.T).T + known.biases, np.float32)


def probabilities(features: Floats) -> Floats:
    """Convert features float32 (B, 1280), not normalised, to probabilities (B, 1000), which sum to 1."""
    scores = logits(features)
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)


def tags(features: Floats, most: int = 5) -> list[list[tuple[str, float]]]:
    """What is in each picture, with probabilities, the most likely first: float32 (B, 1280), not normalised.

    Classes, and everyday wider terms whose classes add up: a picture may be certainly a dog
    and perhaps a collie. Empty if the network is likely to be wrong. `most` is the maximum number.
    """
    likely = probabilities(features)
    near = likely * (unit(features) @ class_vectors().T)
    chances, holds = _named(likely, near, _CLASS, _WIDER)
    found: list[list[tuple[str, float]]] = [[] for _ in features]
    for row, name in np.argwhere(holds):
        found[row].append((_names()[name], float(chances[row, name])))
    return [sorted(tags, key=lambda tag: -tag[1])[:most] for tags in found]


def common_tags(vectors: Floats) -> list[str]:
    """The tags that pictures have in common, the narrowest first, from unit vectors float32 (B, 1280)."""
    likely = probabilities(vectors * _USUAL_LENGTH)
    near = likely * (vectors @ class_vectors().T)
    mean_likely, mean_near = likely.mean(axis=0, keepdims=True), near.mean(axis=0, keepdims=True)
    _, holds = _named(mean_likely, mean_near, _CLASS_OF_GROUP, _WIDER_OF_GROUP)
    width = np.concatenate([np.ones(likely.shape[1]), _everyday_classes().sum(axis=1)])
    found = np.flatnonzero(holds[0])
    return [_names()[name] for name in found[np.argsort(width[found], kind="stable")]]


def presence(text: str, vectors: Floats) -> Floats:
    """How likely each picture shows what a text names, (B,) from 0 to 1; unit vectors float32 (B, 1280).

    The network's probability counts, and so does the cosine to the text: a probability alone is often high
    for pictures of things that the network was not trained on. A name sums the probabilities of its classes;
    of several names the lowest counts, times their number, because a picture that shows all of them divides
    its probability among them. Raises as `text_vector`.
    """
    likely = probabilities(vectors * _USUAL_LENGTH)
    names = [sorted({one for meaning in meanings for one in meaning.classes}) for meanings in meant(text)]
    least = np.min([likely[:, classes].sum(axis=1) for classes in names], axis=0)
    chance = np.clip(least * len(names), 1e-6, 1 - 1e-6)
    odds = np.log(chance / (1 - chance)) + _OF_COSINE[0] * (vectors @ text_vector(text)) + _OF_COSINE[1]
    return np.asarray(1 / (1 + np.exp(-odds)), np.float32)


def _named(
    likely: Floats, near: Floats, least: tuple[float, float], wider: tuple[float, float]
) -> tuple[Floats, NDArray[np.bool_]]:
    """The probability of each of `_names`, (B, 1000 + T), and whether it holds.

    `likely` (B, 1000) are probabilities, `near` the same times the cosines to the classes.
    """
    membership = _everyday_classes()
    chances = np.concatenate([likely, np.minimum(likely @ membership.T, 1)], axis=1)
    cosines = np.concatenate([near, near @ membership.T], axis=1) / np.maximum(chances, 1e-9)
    needed = np.repeat([least, wider], [likely.shape[1], len(membership)], axis=0)
    return chances, (chances >= needed[:, 0]) & (cosines >= needed[:, 1])


@lru_cache(maxsize=1)
def _names() -> tuple[str, ...]:
    return (*vocabulary().classes, *(word.replace("-", " ") for word in _EVERYDAY))


@lru_cache(maxsize=1)
def _everyday_classes() -> Floats:
    """(T, 1000) of 0 and 1: which classes are below each everyday term, in its commonest meaning.

    Less those of `_NOT_SHOWN`.
    """
    known = vocabulary()
    membership = np.zeros((len(_EVERYDAY), len(known.classes)), np.float32)
    for row, word in enumerate(_EVERYDAY):
        commonest = max(known.find(word), key=lambda meaning: meaning.count)  # a toy, though also a dog
        membership[row, list(commonest.classes)] = 1
        if word in _NOT_SHOWN:
            membership[row, known.classes.index(_NOT_SHOWN[word])] = 0
    return membership
