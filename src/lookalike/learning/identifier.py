"""What an identification is made of: a judge of labels that knows how often it is right, and what is strange.

Two questions are kept apart. Which of the known labels is likeliest? A discriminant answers, and its
probabilities are those that held-out pictures bore out. Is it any of them at all? A picture farther from its
label's pictures than nine in ten of theirs are is strange.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.learning.class_scores import (
    Discriminant,
    Floats,
    Ints,
    fit,
    probabilities,
    surprise,
)
from lookalike.learning.labels import folds_of_items

# Tuned on flowers (docs/identify.md). The nearest of the label whose mean cosine says how near a picture is:
_NEAREST = 5
# The share of a collection's own pictures that would be called strange.
STRANGE = 0.1
# Only a copy of a labelled picture is as near as this: it has its label, however odd it is.
ITSELF = 0.995
_FOLDS = 5
_SHRINKAGES = (0.3, 0.6, 0.9)
_TEMPERATURES = np.geomspace(0.1, 300, 30)
_BLOCK_ROWS = 512
# Fewer held-out pictures prove nothing.
LEAST = 10


@dataclass(frozen=True, slots=True)
class Trial:
    """How it did on `asked` held-out pictures: `accuracy` of the likeliest label, the share `answered`,
    and the share of the answers that was `right` (0 if there were none)."""

    asked: int
    accuracy: float
    answered: float
    right: float


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Of Q pictures: the likeliest class (Q,), its probability, and whether it is `strange` or `unsure`.

    `order` int64 (Q, C') are the likeliest classes, best first, and `chances` (Q, C') their probabilities.
    A copy of a labelled picture is neither.
    """

    order: Ints
    chances: Floats
    strange: NDArray[np.bool_]
    unsure: NDArray[np.bool_]
    copies: NDArray[np.bool_]

    @property
    def answered(self) -> NDArray[np.bool_]:
        return ~(self.strange | self.unsure)

    def judged_strange(self, strange: NDArray[np.bool_], seen: NDArray[np.bool_]) -> Verdicts:
        """The same, but those that were `seen` (Q,) otherwise are `strange` (Q,) as that said."""
        return replace(self, strange=np.where(seen, strange & ~self.copies, self.strange))


@dataclass(frozen=True, slots=True, eq=False)
class Identifier:
    """Judges vectors by labelled ones: `vectors` float32 (N, D), their `classes` (N,) and C class names.

    An answer needs at least the probability `least`, and a nearness to its class of at least `near`; a copy
    of a labelled picture, whose cosine is at least `itself`, needs neither.
    """

    names: Sequence[str]
    vectors: Floats
    classes: Ints
    discriminant: Discriminant
    temperature: float
    least: float
    near: float
    trial: Trial
    itself: float = ITSELF

    def judge(self, vectors: Floats, most: int = 3) -> Verdicts:
        """Judge unit vectors float32 (Q, D); the `most` likeliest classes of each are told."""
        blocks = [
            self._judge(vectors[start : start + _BLOCK_ROWS], most)
            for start in range(0, max(len(vectors), 1), _BLOCK_ROWS)
        ]
        return Verdicts(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))

    def _judge(self, vectors: Floats, most: int) -> tuple[NDArray[Any], ...]:
        chances = probabilities(self.discriminant.scores(vectors), self.temperature)
        order = np.argsort(-chances, axis=1, kind="stable")[:, :most]
        found = np.take_along_axis(chances, order, axis=1)
        cosines = vectors @ self.vectors.T
        near = nearness(cosines, self.classes, order[:, 0])
        nearest = cosines.argmax(axis=1)
        itself = (cosines.max(axis=1) >= self.itself) & (self.classes[nearest] == order[:, 0])
        return order, found, (near < self.near) & ~itself, (found[:, 0] < self.least) & ~itself, itself


def learn(vectors: Floats, classes: Ints, names: Sequence[str], *, right: float = 0.9) -> Identifier:
    """Learn from N labelled vectors, in the order of their rows; answers are meant to be right that often.

    Every picture is held out once, with its neighbours in the order of rows. What follows is chosen so that
    it fits them: the shrinkage, the temperature of the probabilities, the least probability that is an answer
    and what is strange. A class of one can be an answer, but nothing is learned about it by holding it out.
    Raises `LookalikeError` if too few pictures share a label.
    """
    held = np.flatnonzero(np.bincount(classes)[classes] > 1)
    if len(held) < LEAST:
        raise LookalikeError(
            f"only {len(held):,} pictures share a label with another",
            f"label at least {LEAST}, two or more of each kind",
        )
    scores, near = _held_out(vectors, classes, len(names))
    chosen = [_honest(one[held], classes[held]) for one in scores]
    best = min(range(len(chosen)), key=lambda place: chosen[place][0])
    temperature = chosen[best][1]
    chances = probabilities(scores[best][held], temperature)
    first = chances.argmax(axis=1)
    correct, sure = first == classes[held], chances.max(axis=1)
    usual = near[best][held][correct]
    nearest = float(np.quantile(usual, STRANGE)) if len(usual) else np.inf
    familiar = near[best][held] >= nearest
    least = least_probability(sure[familiar], correct[familiar], right)
    answered = familiar & (sure >= least)
    trial = Trial(
        len(held),
        float(correct.mean()),
        float(answered.mean()),
        float(correct[answered].mean()) if answered.any() else 0.0,
    )
    (discriminant,) = fit(vectors, classes, len(names), _SHRINKAGES[best : best + 1])
    return Identifier(names, vectors, classes, discriminant, temperature, least, nearest, trial)


def _held_out(vectors: Floats, classes: Ints, count: int) -> tuple[Floats, Floats]:
    """For each shrinkage the scores (S, N, C) and the nearness to the likeliest class (S, N) of held-out."""
    scores = np.empty((len(_SHRINKAGES), len(vectors), count), np.float32)
    near = np.empty(scores.shape[:2], np.float32)
    folds = folds_of_items(classes, _FOLDS, seed=0)
    for fold in range(_FOLDS):
        out, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if not len(out) or not len(rest):
            continue
        for place, one in enumerate(fit(vectors[rest], classes[rest], count, _SHRINKAGES)):
            found = scores[place, out] = one.scores(vectors[out])
            near[place, out] = nearness(vectors[out] @ vectors[rest].T, classes[rest], found.argmax(axis=1))
    return scores, near


def _honest(scores: Floats, classes: Ints) -> tuple[float, float]:
    """The least surprise that a temperature gives, and that temperature (Guo 2017, arXiv:1706.04599)."""
    return min((surprise(scores, classes, one), float(one)) for one in _TEMPERATURES)


def nearness(cosines: Floats, classes: Ints, wanted: Ints) -> Floats:
    """The mean (Q,) of the 5 highest `cosines` (Q, N) with pictures, of `classes` (N,), of a wanted class."""
    mine = np.where(classes[None, :] == wanted[:, None], cosines, -np.inf)
    best = -np.partition(-mine, min(_NEAREST, len(classes)) - 1, axis=1)[:, :_NEAREST]
    there = np.isfinite(best)
    return np.asarray(np.where(there, best, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1), np.float32)


def least_probability(chances: NDArray[np.floating], correct: NDArray[np.bool_], right: float) -> float:
    """The least probability from which on the share of correct answers is `right`, less what chance may add.

    `chances` and `correct` are (n,). A share of n answers must be above `right` by its standard error.
    Returns a number above 1 if there is no such probability: then nothing is an answer.
    """
    order = np.argsort(-chances, kind="stable")
    count = np.arange(1, len(order) + 1)
    share = np.cumsum(correct[order]) / count
    enough = np.flatnonzero(share - np.sqrt(right * (1 - right) / count) >= right)
    # Among equal probabilities all answer or none.
    ends = [
        at for at in enough.tolist() if at + 1 == len(order) or chances[order[at + 1]] < chances[order[at]]
    ]
    return float(chances[order[ends[-1]]]) if ends else 2.0
