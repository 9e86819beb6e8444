"""Chooses among recipes by held-out retrieval, in two steps: first how, then what of.

The folds are held out in turn; the last one stays out of the choice altogether, so that what it says of the
chosen recipe is not the luck of the best of many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.learning.discriminant import Basis, Part, Projected, Recipe
from lookalike.learning.judging import average_precisions
from lookalike.learning.labels import Question
from lookalike.learning.metric import LOSSES, Examples
from lookalike.learning.sums import Sums
from lookalike.models.head_model import Floats

Ints = NDArray[np.int64]
Results = NDArray[np.float64]
Parts = tuple[tuple[Part, float], ...]

FOLDS = 4
POWERS = (1.0, 0.5)
SHRINKAGES = (0.1, 0.3, 0.6, 0.8)
SHARPNESSES = (0.1, 0.3, 1.0)
MAX_SCORED = 512  # classes: more would make vectors longer than those of most networks
_MAX_QUERIES = 1000  # of a fold

# What each method may be made of. Weights between 0.3 and 1 were tried on flowers, clothing and groceries.
METHODS: Mapping[str, Sequence[Parts]] = {
    "lda": [(("discriminant", 1.0),)],
    "whitening": [
        (("whitening", 1.0),),
        (("whitening", 1.0), ("discriminant", 0.3)),
        (("whitening", 1.0), ("discriminant", 0.6)),
    ],
    "scores": [
        (("scores", 1.0), ("discriminant", 0.6)),
        (("scores", 1.0), ("discriminant", 0.6), ("whitening", 0.3)),
        (("scores", 1.0), ("discriminant", 0.6), ("vector", 0.3)),
        (("scores", 1.0), ("discriminant", 0.6), ("vector", 0.6)),
    ],
    "ridge": [(("ridge", 1.0), ("vector", 0.3)), (("ridge", 1.0), ("vector", 1.0))],
    "blend": [
        (("centered", 1.0),),
        (("vector", 1.0), ("discriminant", 0.5)),
        (("vector", 1.0), ("discriminant", 1.0)),
    ],
    "contrastive": [(("contrastive", 1.0),), (("scores", 1.0), ("contrastive", 0.6))],
    "triplet": [(("triplet", 1.0),), (("scores", 1.0), ("triplet", 0.6))],
    "proxy": [(("proxy", 1.0),), (("scores", 1.0), ("proxy", 0.6))],
}
CLOSED = tuple(name for name in METHODS if name not in LOSSES)
_OF_EACH_CLASS = ("scores", "ridge", "proxy")
# For new classes a loss is trained for few epochs: with more, it learns the known ones by heart.
_EPOCHS: Mapping[Question, int] = {"same": 12, "new": 2}
# What decides on power and shrinkage, if the method is open.
_FIRST: Mapping[Question, str] = {"same": "scores", "new": "whitening"}


@dataclass(frozen=True)
class Held:
    """N vectors (N, D) to try recipes on, with their `classes` and `folds` (N,); `sums` are of all items."""

    vectors: Floats
    classes: Ints
    folds: Ints
    sums: Mapping[float, Sequence[Sums]]
    question: Question
    seed: int

    @property
    def class_count(self) -> int:
        return len(self.sums[1.0][0].counts)

    @property
    def losses(self) -> Sequence[str]:
        """The losses that are tried beside the closed forms: for the same classes they gained nothing."""
        return ("contrastive",) if self.question == "new" else ()

    def basis(self, power: float, without: Sequence[int]) -> Basis:
        """What is learned from the folds that are not held out."""
        known = reduce(add, (one for fold, one in enumerate(self.sums[power]) if fold not in without))
        return Basis.of(known, partial(self.examples, without))

    def examples(self, without: Sequence[int]) -> Examples:
        """What a loss is trained on: the vectors of the folds that are not held out."""
        rows = np.flatnonzero(~np.isin(self.folds, without))
        return Examples(self.vectors[rows], self.classes[rows])

    def queries(self, fold: int) -> Ints:
        mine = np.flatnonzero(self.folds == fold)
        if len(mine) > _MAX_QUERIES:
            mine = np.sort(np.random.default_rng(self.seed).choice(mine, _MAX_QUERIES, replace=False))
        return np.asarray(mine)

    def gallery(self, fold: int, unseen: Sequence[int], alone: bool) -> Ints:
        """What the queries of a fold look through: the rows of the fold if `alone`, else all but `unseen`."""
        if alone:
            return np.flatnonzero(self.folds == fold)
        return np.flatnonzero(~np.isin(self.folds, [one for one in unseen if one != fold]))

    def judge(
        self, vectors: Floats, fold: int, unseen: Sequence[int] = (), alone: bool | None = None
    ) -> Results:
        """Average precision and precision at 1 of each query of a fold, (Q, 2); see `average_precisions`.

        New classes are looked for among themselves; the same ones among all other items but those `unseen`.
        """
        alone = self.question == "new" if alone is None else alone
        gallery = self.gallery(fold, unseen, alone)
        return average_precisions(vectors, self.classes, self.queries(fold), gallery)


def choose(held: Held, method: str) -> tuple[Recipe | None, list[tuple[str, float]]]:
    """The best recipe by all folds but the last, None if the old vectors are as good; and all mAPs."""
    kinds = _kinds(method, held)
    chooser = _Chooser(held)
    is_closed = method not in LOSSES
    # A loss starts from what the closed forms say: training for each power and shrinkage would take long.
    first = _FIRST[held.question] if _FIRST[held.question] in kinds or not is_closed else kinds[0]
    firsts = [
        Recipe(
            METHODS[first][-1 if first == "whitening" else 0],
            power,
            shrinkage,
            epochs=_EPOCHS[held.question],
        )
        for power in held.sums
        for shrinkage in SHRINKAGES
    ]
    best = chooser.best(firsts) or firsts[0]
    others = [replace(best, parts=parts) for kind in kinds for parts in METHODS[kind] if _fit(parts, held)]
    sharpened = [sharper for one in others for sharper in _sharpened(one)]
    chosen = chooser.best([*firsts, *sharpened] if is_closed else sharpened)
    tried = [(str(recipe), chooser.mean(recipe)) for recipe in chooser.found]
    return chosen, sorted(tried, key=lambda one: -one[1])


def _kinds(method: str, held: Held) -> list[str]:
    too_many = held.class_count > MAX_SCORED
    if method in _OF_EACH_CLASS and too_many:
        raise LookalikeError(
            f"{method} has numbers for each of {held.class_count:,} classes, the limit is {MAX_SCORED}",
            "use `method='lda'` or `method='whitening'`",
        )
    if method != "auto":
        return [method]
    known = (*CLOSED, *held.losses)
    fitting = [one for one in known if one not in _OF_EACH_CLASS or _fit(METHODS[one][0], held)]
    return sorted(fitting, key=lambda one: one != _FIRST[held.question])


def _fit(parts: Parts, held: Held) -> bool:
    """Whether these parts, or some of them, are not about classes that are new, or too many."""
    of_classes = not {"scores", "ridge"}.isdisjoint(dict(parts))
    return not of_classes or (held.question == "same" and held.class_count <= MAX_SCORED)


def _sharpened(recipe: Recipe) -> Iterable[Recipe]:
    return (replace(recipe, sharpness=one) for one in SHARPNESSES) if recipe.has("scores") else (recipe,)


class _Chooser:
    """Tries recipes on the folds but the last, each once."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._bases: dict[tuple[float, int], Basis] = {}
        self.found: dict[Recipe, Results] = {}
        self._raw = np.concatenate([held.judge(held.vectors, fold, [FOLDS - 1]) for fold in range(FOLDS - 1)])

    def mean(self, recipe: Recipe) -> float:
        found = self.found[recipe][:, 0]
        return float(np.nanmean(found)) if not np.isnan(found).all() else 0.0

    def best(self, recipes: Sequence[Recipe]) -> Recipe | None:
        """The recipe of the highest mAP, if that gains; one that loses no precision at 1 if there is one."""
        self._try([one for one in recipes if one not in self.found])
        gaining = [one for one in recipes if gains(self._raw, self.found[one])]
        safe = [one for one in gaining if not loses_first(self._raw, self.found[one])]
        return max(safe or gaining, key=self.mean, default=None)

    def _try(self, recipes: Sequence[Recipe]) -> None:
        held, results = self._held, dict[Recipe, list[Results]]()
        for fold in range(FOLDS - 1):
            for power in held.sums:
                mine = [one for one in recipes if one.power == power]
                if not mine:
                    continue
                if (power, fold) not in self._bases:
                    self._bases[power, fold] = held.basis(power, (fold, FOLDS - 1))
                projected = Projected.of(self._bases[power, fold], held.vectors, power)
                for recipe in mine:
                    judged = held.judge(projected.by(recipe), fold, [FOLDS - 1])
                    results.setdefault(recipe, []).append(judged)
        self.found |= {recipe: np.concatenate(judged) for recipe, judged in results.items()}


def gains(before: Results, after: Results, errors: float = 1) -> bool:
    """Whether mAP rises by more than so many of its standard errors."""
    gain, error = difference(before[:, 0], after[:, 0])
    return gain > errors * error


def loses_first(before: Results, after: Results, errors: float = 1) -> bool:
    """Whether precision at 1 falls by more than so many of its standard errors."""
    gain, error = difference(before[:, 1], after[:, 1])
    return gain < -errors * error


def difference(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float]:
    """The mean of the paired differences of (Q,) queries, and its standard error."""
    differences = (after - before)[~np.isnan(before)]
    if len(differences) < 2:
        return 0.0, 0.0
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))
