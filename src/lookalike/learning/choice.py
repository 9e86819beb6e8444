"""Chooses among recipes by held-out retrieval, in two steps: first how, then what of.

The whole ranking and its top count the same, among all other items and among those held out: by average
precision alone, recipes won that gave away what a person sees first; among all others, of which most were
learned from, those that fit these too closely.

The folds are held out in turn; the last one stays out of the choice altogether, so that what it says of the
chosen recipe is not the luck of the best of many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.learning.discriminant import Basis, Part, Projected, Recipe
from lookalike.learning.judging import MAP, P_AT_1, P_AT_5, retrieval
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
# By how many of its standard errors held-out retrieval has to rise, and its top may fall. Of 40 collections
# with labels that mean nothing, 1 to 4 passed with one or two errors, and none with three.
_GAIN_ERRORS, _LOSS_ERRORS = 3, 2

# What each method may be made of. Weights between 0.3 and 1 were tried on flowers, clothing and groceries;
# the first parts of a method decide on power and shrinkage.
METHODS: Mapping[str, Sequence[Parts]] = {
    "lda": [(("discriminant", 1.0),)],
    "whitening": [
        (("whitening", 1.0), ("discriminant", 0.6)),
        (("whitening", 1.0), ("discriminant", 0.3)),
        (("whitening", 1.0),),
    ],
    "scores": [
        (("scores", 1.0), ("discriminant", 0.6), ("vector", 0.6)),
        (("scores", 1.0), ("discriminant", 0.3), ("vector", 0.3)),
        (("scores", 1.0), ("discriminant", 0.6), ("vector", 1.0)),
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
# What has a number for each class, and so needs classes and not too many of them.
OF_CLASSES = ("scores", "ridge", "proxy")
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
        """How early each query of a fold finds others of its class, (Q, 3); see `retrieval`.

        New classes are looked for among themselves; the same ones among all other items but those `unseen`.
        """
        alone = self.question == "new" if alone is None else alone
        gallery = self.gallery(fold, unseen, alone)
        return retrieval(vectors, self.classes, self.queries(fold), gallery)

    def weigh(self, vectors: Floats, fold: int) -> Results:
        """What the choice goes by, (Q, 3): the mean over both galleries, or that which the question has."""
        found = [
            self.judge(vectors, fold, [FOLDS - 1], alone)
            for alone in ((True,) if self.question == "new" else (False, True))
        ]
        # A query may have others of its class in one gallery only.
        return np.where(np.isnan(found[-1]), found[0], (found[0] + found[-1]) / 2)


def choose(
    held: Held, method: str, on_progress: Callable[[int, int], None] | None = None
) -> tuple[Recipe | None, list[tuple[str, float]]]:
    """The best recipe by all folds but the last, None if the old vectors are as good; and all figures.

    `on_progress` gets the numbers of trials done and to do, one for each recipe and fold.
    """
    kinds = _kinds(method, held)
    is_closed = method not in LOSSES
    # A loss starts from what the closed forms say: training for each power and shrinkage would take long.
    first = _FIRST[held.question] if _FIRST[held.question] in kinds or not is_closed else kinds[0]
    epochs = _EPOCHS[held.question]
    firsts = [
        Recipe(METHODS[first][0], power, shrinkage, epochs=epochs)
        for power in held.sums
        for shrinkage in SHRINKAGES
    ]
    after = set(_others(firsts[0], kinds, held)).difference(firsts)  # as many as after any other
    chooser = _Chooser(held, (FOLDS - 1) * (len(firsts) + len(after)), on_progress)
    best = chooser.best(firsts) or firsts[0]
    sharpened = _others(best, kinds, held)
    chosen = chooser.best([*firsts, *sharpened] if is_closed else sharpened)
    tried = [(str(recipe), chooser.mean(recipe)) for recipe in chooser.found]
    return chosen, sorted(tried, key=lambda one: -one[1])


def _others(best: Recipe, kinds: Sequence[str], held: Held) -> list[Recipe]:
    """What else is tried with the power and the shrinkage of the best of the first."""
    others = [replace(best, parts=parts) for kind in kinds for parts in METHODS[kind] if _fit(parts, held)]
    return [sharper for one in others for sharper in _sharpened(one)]


def _kinds(method: str, held: Held) -> list[str]:
    too_many = held.class_count > MAX_SCORED
    if method in OF_CLASSES and too_many:
        raise LookalikeError(
            f"{method} has numbers for each of {held.class_count:,} classes, the limit is {MAX_SCORED}",
            "use `method='lda'` or `method='whitening'`",
        )
    if method != "auto":
        return [method]
    known = (*CLOSED, *held.losses)
    fitting = [one for one in known if one not in OF_CLASSES or _fit(METHODS[one][0], held)]
    return sorted(fitting, key=lambda one: one != _FIRST[held.question])


def _fit(parts: Parts, held: Held) -> bool:
    """Whether these parts, or some of them, are not about classes that are new, or too many."""
    of_classes = not {"scores", "ridge"}.isdisjoint(dict(parts))
    return not of_classes or (held.question == "same" and held.class_count <= MAX_SCORED)


def _sharpened(recipe: Recipe) -> Iterable[Recipe]:
    return (replace(recipe, sharpness=one) for one in SHARPNESSES) if recipe.has("scores") else (recipe,)


class _Chooser:
    """Tries recipes on the folds but the last, each once."""

    def __init__(self, held: Held, trials: int, on_progress: Callable[[int, int], None] | None) -> None:
        self._held, self._trials, self._on_progress = held, trials, on_progress
        self._done = 0
        self._bases: dict[tuple[float, int], Basis] = {}
        self.found: dict[Recipe, Results] = {}
        self._raw = np.concatenate([held.weigh(held.vectors, fold) for fold in range(FOLDS - 1)])

    def mean(self, recipe: Recipe) -> float:
        """The mean of mAP and precision at 5."""
        found = self.found[recipe][:, [MAP, P_AT_5]]
        return float(np.nanmean(found)) if not np.isnan(found).all() else 0.0

    def best(self, recipes: Sequence[Recipe]) -> Recipe | None:
        """The best recipe of which mAP gains; one that loses nothing at the top if there is one."""
        self._try([one for one in recipes if one not in self.found])
        gaining = [one for one in recipes if gains(self._raw, self.found[one])]
        safe = [one for one in gaining if not loses_top(self._raw, self.found[one])]
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
                    judged = held.weigh(projected.by(recipe), fold)
                    results.setdefault(recipe, []).append(judged)
                    self._done += 1
                    if self._on_progress:
                        self._on_progress(self._done, self._trials)
        self.found |= {recipe: np.concatenate(judged) for recipe, judged in results.items()}


def is_better(before: Results, after: Results) -> bool:
    """Whether it is proved that mAP rises, and not that the first answers get worse."""
    return gains(before, after, _GAIN_ERRORS) and not loses_top(before, after, _LOSS_ERRORS)


def gains(before: Results, after: Results, errors: float = 1) -> bool:
    """Whether mAP rises by more than so many of its standard errors."""
    gain, error = difference(before[:, MAP], after[:, MAP])
    return gain > errors * error


def loses_top(before: Results, after: Results, errors: float = 1) -> bool:
    """Whether precision at 1 or at 5 falls by more than so many of its standard errors."""
    found = [difference(before[:, one], after[:, one]) for one in (P_AT_1, P_AT_5)]
    return any(gain < -errors * error for gain, error in found)


def difference(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float]:
    """The mean of the paired differences of (Q,) queries, and its standard error."""
    differences = (after - before)[~np.isnan(before)]
    if len(differences) < 2:
        return 0.0, 0.0
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))
