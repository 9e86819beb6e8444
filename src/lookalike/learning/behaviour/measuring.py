"""Judges recommendations as they would have been: learned from the past, asked about what came later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.learning.behaviour.events import Events

Floats = NDArray[Any]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
# The scores (B, N) of all items for some users (B,).
Scorer = Callable[[Ints], Floats]

K = 20
_BLOCK_USERS = 256
# A sample of so many users says enough.
_MOST_USERS = 2_000


@dataclass(frozen=True, slots=True)
class Measured:
    """How well some users' later choices were foreseen: means over users.

    `recall` is the share of what a user chose later that is among the 20 recommended, `warm` that of items
    with earlier events and `cold` that of items without, NaN if there are none. `ndcg` counts early places
    more (Järvelin and Kekäläinen 2002). `weighted` is the share of the weight of all that was chosen.
    `coverage` is the share of all items that anybody is recommended.
    """

    recall: float
    warm: float
    cold: float
    ndcg: float
    weighted: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Judged:
    """The measures, and the recall of each of Q users."""

    measured: Measured
    recalls: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Later:
    """What `asked` users (Q,) chose later, as a list of item arrays with their weights, and what they had.

    `count` is the number N of all items; `cold` (N,) marks those without an earlier event.
    """

    asked: Ints
    chosen: list[Ints]
    weights: list[Floats]
    seen: list[Ints]
    cold: Mask
    count: int


def split(events: Events, share: float) -> int:
    """How many events, in the order of time, are the earlier ones; those of one moment stay together."""
    at = int(len(events) * share)
    return int(np.searchsorted(events.when, events.when[at], side="left")) if at < len(events) else at


def later(events: Events, start: int, end: int, count: int) -> Later:
    """What users who had events before the one numbered `start` chose from then until `end`.

    `count` is the number of items. An item that the user had before is not asked for.
    """
    before, after = slice(0, start), slice(start, end)
    cold = np.ones(count, np.bool_)
    cold[events.item[before]] = False
    had = _by_user(events.user[before], events.item[before])
    now = _by_user(events.user[after], np.arange(start, end))
    people = np.array(sorted(had.keys() & now.keys()), np.int64)
    if len(people) > _MOST_USERS:
        people = np.sort(np.random.default_rng(0).choice(people, _MOST_USERS, replace=False))
    asked: list[int] = []
    chosen, weights, seen = [], [], []
    for person in people.tolist():
        numbers = now[person]
        new = numbers[~np.isin(events.item[numbers], had[person])]
        if len(new):
            items, place = np.unique(events.item[new], return_inverse=True)
            asked.append(person)
            chosen.append(items)
            weights.append(np.bincount(place, events.weight[new]))
            seen.append(np.unique(had[person]))
    return Later(np.array(asked, np.int64), chosen, weights, seen, cold, count)


def judge(wanted: Later, scorer: Scorer) -> Judged:
    """Recommend 20 items to each user, without those that the user had, and compare with what was chosen."""
    k = min(K, wanted.count)
    found = np.zeros(wanted.count, np.bool_)
    recalls, gains = [], []
    apart: tuple[list[float], list[float]] = ([], [])
    weight_found = weight_all = 0.0
    for start in range(0, len(wanted.asked), _BLOCK_USERS):
        scores = np.array(scorer(wanted.asked[start : start + _BLOCK_USERS]), np.float32)
        for at, row in enumerate(scores, start):
            row[wanted.seen[at]] = -np.inf
            best = _best(row, k)
            found[best] = True
            chosen = wanted.chosen[at]
            hits = np.isin(best, chosen)
            recalls.append(hits.sum() / len(chosen))
            discounts = 1 / np.log2(np.arange(2, k + 2))
            gains.append((hits * discounts).sum() / discounts[: len(chosen)].sum())
            weight_found += float(wanted.weights[at][np.isin(chosen, best)].sum())
            weight_all += float(wanted.weights[at].sum())
            for values, cold in zip(apart, (False, True), strict=True):
                mine = chosen[wanted.cold[chosen] == cold]
                if len(mine):
                    values.append(float(np.isin(mine, best).mean()))
    measured = Measured(
        recall=_mean(recalls),
        warm=_mean(apart[0]),
        cold=_mean(apart[1]),
        ndcg=_mean(gains),
        weighted=weight_found / weight_all if weight_all else float("nan"),
        coverage=float(found.mean()),
    )
    return Judged(measured, np.array(recalls))


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _best(scores: Floats, k: int) -> Ints:
    """The k highest, best first; among equals the lower row first."""
    candidates = np.argpartition(-scores, k - 1)[:k]
    return np.asarray(candidates[np.lexsort((candidates, -scores[candidates]))])


def _by_user(users: Ints, values: Ints) -> dict[int, Ints]:
    """The values of each user."""
    order = np.argsort(users, kind="stable")
    names, starts = np.unique(users[order], return_index=True)
    return dict(zip(names.tolist(), np.split(values[order], starts[1:]), strict=True))
