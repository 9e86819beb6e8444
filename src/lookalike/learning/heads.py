"""Learns a head on stored vectors from the labels in a column, and keeps it only if it finds more."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError, NoGainError
from lookalike.learning import judging, sums
from lookalike.learning.choice import (
    FOLDS,
    METHODS,
    POWERS,
    Held,
    choose,
    is_better,
)
from lookalike.learning.discriminant import Recipe, branches
from lookalike.learning.familiar import Familiar
from lookalike.learning.judging import MAP, P_AT_1, P_AT_5
from lookalike.learning.labels import (
    Labelled,
    Question,
    check_question,
    folds_of_classes,
    folds_of_items,
    question_of,
    read_labelled,
)
from lookalike.learning.prototypes import calibrated_words
from lookalike.learning.report import Change, LabelReport
from lookalike.learning.trained import Trained
from lookalike.models.head_model import Floats, apply, keeps_base
from lookalike.storage.snapshot import Snapshot

Progress = Callable[[int, int], None]

# Of fewer pictures that are held out, a gain is luck too often.
_FEWEST_ASKED = 10
# To try all recipes takes about as long as to read the vectors that they are tried on so many times.
_TRIALS = 20
# Vectors that recipes are tried on, and copies of them at a time.
_MAX_TRIED, _LEAST_TRIED, _COPIES = 8192, 512, 6


def train_head(
    snapshot: Snapshot,
    label: str,
    *,
    method: str = "auto",
    for_: Question | None = None,
    rows: NDArray[np.int64] | None = None,
    seed: int = 0,
    max_memory_bytes: int | None = None,
    on_progress: Progress | None = None,
) -> Trained:
    """Learn a head from the labels in a column, from the stored vectors, read twice.

    `method` is `auto`, which tries what takes seconds, or one of `METHODS`. `for_` says what will be searched
    for: the `same` classes, or `new` ones; by default new ones if most items have fewer than 4 in their
    class. `rows`, ascending, limits what is learned from. A quarter of the items, or of the classes, is held
    out to judge the method; another model with the same method learns from all.
    Raises `NoGainError` if it does not find held-out pictures better, `LookalikeError` for labels that teach
    nothing and `MemoryLimitError` for a limit that is too low.
    """
    started_s = time.monotonic()
    if for_ is not None:
        check_question(for_)
    if method not in ("auto", *METHODS):
        known = ", ".join(("auto", *METHODS, "finetune"))
        raise LookalikeError(f"unknown method {method!r}", f"known are: {known}")
    labelled = read_labelled(snapshot, label, rows)
    question = for_ or question_of(labelled.classes, FOLDS)
    folds = _folds(labelled, question, seed)
    count = _tried(labelled, max_memory_bytes)
    reading, trying = _halves(on_progress, len(folds), count)
    found = sums.sums_of_folds(labelled.selection, labelled.classes, folds, POWERS, reading)
    chosen = np.arange(len(folds))
    if count < len(folds):
        chosen = np.sort(np.random.default_rng(seed).choice(len(folds), count, replace=False))
    vectors = labelled.selection.take(chosen)
    held = Held(vectors, labelled.classes[chosen], folds[chosen], found, question, seed)
    recipe, tried = choose(held, method, trying)
    judged = _judged(held, recipe)
    report = _report(label, labelled, held, recipe, judged=judged, tried=tried, started_s=started_s)
    if recipe is None or not report.kept:
        raise _no_gain(report, tried)
    made = branches(recipe, held.basis(recipe.power, ()))
    means = reduce(add, found[1.0]).means.astype(np.float32)
    words = calibrated_words(
        labelled.names,
        held.classes,
        vectors=apply(made, vectors),
        otherwise=apply(made, means),
        judged=judged,
        unseen=held.folds == FOLDS - 1,
    )
    base, path = snapshot.manifest.model, snapshot.manifest.model_path
    familiar = None
    if not keeps_base(made, base.dim):
        familiar = Familiar.of(snapshot, vectors, held.classes, labelled.names)
    return Trained(base, made, report, path, words, familiar=familiar)


def _halves(on_progress: Progress | None, items: int, tried: int) -> tuple[Progress | None, Progress | None]:
    """The progress of reading and of trying recipes, which counts as reading many times as many vectors."""
    if on_progress is None:
        return None, None
    trials = tried * _TRIALS

    def reading(done: int, total: int) -> None:
        on_progress(done, total + trials)

    def trying(done: int, total: int) -> None:
        on_progress(items + trials * done // total, items + trials)

    return reading, trying


def _folds(labelled: Labelled, question: Question, seed: int) -> NDArray[np.int64]:
    """The fold of each item, (N,), the last held out to judge; raises `LookalikeError` for too few labels."""
    sizes = np.bincount(labelled.classes)
    if question == "new" and (sizes > 1).sum() < 2 * FOLDS:
        raise LookalikeError(
            f"{(sizes > 1).sum():,} classes have two items or more; holding out whole ones needs {2 * FOLDS}",
            "label more, or learn for the same classes: `for_='same'`",
        )
    divide = folds_of_items if question == "same" else folds_of_classes
    folds = divide(labelled.classes, FOLDS, seed)
    asked = int(((folds == FOLDS - 1) & (sizes > 1)[labelled.classes]).sum())
    if asked < _FEWEST_ASKED:
        raise LookalikeError(
            f"{asked:,} of {len(folds):,} labelled items would be held out to judge what is learned; "
            f"fewer than {_FEWEST_ASKED} prove nothing",
            f"label at least {FOLDS * _FEWEST_ASKED}, two or more of each class",
        )
    return folds


def _tried(labelled: Labelled, limit: int | None) -> int:
    """How many vectors to try recipes on; raises `MemoryLimitError`."""
    selection = labelled.selection
    row_bytes = _COPIES * 4 * selection.dim
    most = min(_MAX_TRIED, len(selection))
    least = min(_LEAST_TRIED, most)
    need = sums.need_bytes(selection.dim, len(labelled.names), FOLDS, len(POWERS))
    need += judging.need_bytes(most) + least * row_bytes
    room = selection.room(limit, need, "learning")
    return most if room is None else min(most, least + room // row_bytes)


def _judged(held: Held, recipe: Recipe | None) -> Floats:
    """The vectors that a head gives which has not learned from the last fold."""
    if recipe is None:
        return held.vectors
    return apply(branches(recipe, held.basis(recipe.power, (FOLDS - 1,))), held.vectors)


def _report(
    label: str,
    labelled: Labelled,
    held: Held,
    recipe: Recipe | None,
    *,
    judged: Floats,
    tried: list[tuple[str, float]],
    started_s: float,
) -> LabelReport:
    """What a recipe is worth on the last fold, which it has not learned from."""
    before, after = held.judge(held.vectors, FOLDS - 1), held.judge(judged, FOLDS - 1)
    alone = [held.judge(vectors, FOLDS - 1, alone=True) for vectors in (held.vectors, judged)]
    return LabelReport(
        label=label,
        question=held.question,
        method=str(recipe) if recipe else "",
        kept=recipe is not None and is_better(before, after),
        items=len(labelled.classes),
        classes=len(labelled.names),
        unlabelled=labelled.unlabelled,
        singles=labelled.singles,
        queries=int((~np.isnan(before[:, MAP])).sum()),
        average_precision=Change.between(before[:, MAP], after[:, MAP]),
        precision_at_1=Change.between(before[:, P_AT_1], after[:, P_AT_1]),
        precision_at_5=Change.between(before[:, P_AT_5], after[:, P_AT_5]),
        alone=Change.between(alone[0][:, MAP], alone[1][:, MAP]),
        tried=tuple(tried),
        seconds=round(time.monotonic() - started_s, 2),
    )


def _no_gain(report: LabelReport, tried: list[tuple[str, float]]) -> NoGainError:
    """The error that nothing was kept, with the best that was tried."""
    change = report.average_precision
    at_1, at_5 = report.precision_at_1, report.precision_at_5
    said = (
        f"the best of {len(tried)} methods, {report.method}, changes their mAP by {change.gain:+.3f}, with a "
        f"standard error of {change.error:.3f}, precision at 1 by {at_1.gain:+.3f} and at 5 by "
        f"{at_5.gain:+.3f}"
        if report.method
        else f"none of {len(tried)} methods raises their mAP, {change.before:.3f}, by more than its error"
    )
    return NoGainError(
        f"nothing was kept: of pictures held out, {said}",
        "keep the old model; more labels, or others, may teach more",
        report,
    )
