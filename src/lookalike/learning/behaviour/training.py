"""Learns a model from events, and keeps it if it foresees later choices better than the mean of liked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError, MemoryLimitError, NoGainError, counted
from lookalike.learning.behaviour.baselines import item_to_item, mean_of_liked, popularity
from lookalike.learning.behaviour.events import Events, read_events
from lookalike.learning.behaviour.measuring import Judged, K, Later, Measured, Scorer, judge, later, split
from lookalike.learning.behaviour.towers import BPR, CO_ENGAGEMENT, OBJECTIVES, Liked, Towers, learn
from lookalike.learning.trained import Trained
from lookalike.models.head_model import Layer
from lookalike.models.users import Users, user_files
from lookalike.storage.snapshot import Snapshot

Floats = NDArray[np.float32]
# An objective, and how much of the popularity is taken out.
Way = tuple[str, float]

# The first four fifths of the events are learned from, and the rest is asked about; to choose how to learn,
# the first four fifths of those.
_PAST = 0.8
# How much of the popularity is taken out: what is left is good for old items, what is out for new ones.
_CORRECTIONS = (0.3, 0.5, 0.7)
_LEAST_EVENTS, _LEAST_USERS = 100, 10
# The matrix of item-to-item filtering has a number for each pair of items.
_MOST_PAIRS = 10_000
_LEAST_RECALL = 1e-3

OURS, LIKED = "this model", "mean of liked"


@dataclass(frozen=True)
class BehaviourReport:
    """What was learned from events: `measured` has this model and what it has to beat.

    `events` of `users` with `items` were used; `unknown`, `future` and `invalid` ones were left out. `asked`
    users were asked about the last fifth, which has `cold` events with items that had none before. `gain` is
    by how much the recall is above that of the mean of liked items, and `error` its standard error.
    """

    objective: str
    correction: float
    events: int
    users: int
    items: int
    unknown: int
    future: int
    invalid: int
    asked: int
    cold: int
    gain: float
    error: float
    measured: Mapping[str, Measured]

    @property
    def is_better(self) -> bool:
        """Whether the gain is more than two standard errors: by chance, one in forty is."""
        return self.gain > 2 * self.error

    def __str__(self) -> str:
        ours, liked = self.measured[OURS].recall, self.measured[LIKED].recall
        return (
            f"{self.objective}: recall@{K} of {self.asked:,} users' later choices {ours:.3f}, "
            f"of the {LIKED} {liked:.3f} (gain {self.gain:+.3f}, standard error {self.error:.3f})"
        )


def train_behaviour(
    snapshot: Snapshot,
    events: str | Path,
    *,
    objective: str = "auto",
    user_column: str = "",
    item_column: str = "",
    when_column: str = "",
    weight_column: str = "",
    seed: int = 0,
    max_memory_bytes: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Learn a head, and a vector for each user, from a Parquet or CSV file of events about a collection.

    `objective` is `co-engagement`, `bpr`, or `auto`, which takes the better one. What is heavy by the column
    of weights is learned from more often. Holds all vectors in memory. Raises `NoGainError` if later
    choices are not foreseen better than by the mean of what users liked, `MemoryLimitError` if the limit is
    too low, `LookalikeError` for events that cannot be learned from.
    """
    if objective != "auto" and objective not in OBJECTIVES:
        raise LookalikeError(f"unknown objective {objective!r}", f"known are: auto, {', '.join(OBJECTIVES)}")
    found = read_events(
        snapshot, events, user=user_column, item=item_column, when=when_column, weight=weight_column
    )
    _check(found)
    _check_memory(found, len(snapshot), snapshot.dim, max_memory_bytes)
    vectors = snapshot.vectors(np.arange(len(snapshot))).astype(np.float32)
    end = split(found, _PAST)
    wanted = later(found, end, len(found), len(vectors))
    if len(wanted.asked) < 2:
        raise LookalikeError(
            "no user has events both before and in the last fifth of the time, so nothing can be measured",
            "give events of a longer time",
        )
    ways = _ways(objective)
    tell = _Counting(on_progress, len(ways) + 2)
    study = Study(found, vectors, seed)
    way = study.choose(end, ways, tell)
    judged = study.judged(end, wanted, study.learn(end, way))
    tell()
    report = _report(found, end, way, wanted, judged)
    if not report.is_better:
        raise NoGainError(
            f"the {LIKED} foresees later choices as well: {report}",
            "nothing was written; recommend by what somebody liked, or bring more events",
            report,
        )
    whole = study.learn(len(found), way)
    tell()
    return Trained(
        snapshot.manifest.model,
        [Layer(whole.matrix, whole.offset)],
        report,
        base_path=snapshot.manifest.model_path,
        files=user_files(_users(snapshot, found, whole.users)),
    )


def _ways(objective: str) -> list[Way]:
    """What is tried for an objective, or for both with `auto`."""
    ways = [(CO_ENGAGEMENT, one) for one in _CORRECTIONS if objective in ("auto", CO_ENGAGEMENT)]
    return [*ways, (BPR, 0.0)] if objective in ("auto", BPR) else ways


def _users(snapshot: Snapshot, events: Events, vectors: Floats) -> Users:
    """The users with what they had in the events."""
    rows, items = np.unique(events.item, return_inverse=True)
    pairs = np.unique(np.stack([events.user, items], axis=1), axis=0)
    ends = np.searchsorted(pairs[:, 0], np.arange(1, len(events.users)))
    had = [one.tolist() for one in np.split(pairs[:, 1], ends)]
    return Users(events.users, vectors, snapshot.ids(rows), had)


def _report(
    events: Events, end: int, way: Way, wanted: Later, judged: Mapping[str, Judged]
) -> BehaviourReport:
    """What was learned from the first `end` events, and how it was judged by the others."""
    gains = judged[OURS].recalls - judged[LIKED].recalls
    objective, correction = way
    return BehaviourReport(
        objective=objective,
        correction=correction,
        events=len(events),
        users=len(events.users),
        items=len(np.unique(events.item)),
        unknown=events.unknown,
        future=events.future,
        invalid=events.invalid,
        asked=len(wanted.asked),
        cold=int(wanted.cold[events.item[end:]].sum()),
        gain=float(gains.mean()),
        error=float(gains.std(ddof=1) / np.sqrt(len(gains))),
        measured={name: one.measured for name, one in judged.items()},
    )


def _check_memory(events: Events, count: int, dim: int, limit: int | None) -> None:
    """Raise `MemoryLimitError` if the vectors, and what is computed of them, do not fit."""
    pairs = 3 * 4 * count**2 if count <= _MOST_PAIRS else 0
    need = 4 * 4 * count * dim + pairs + 64 * len(events) + 4 * 4 * 512 * (len(events.users) + count)
    if limit is not None and need > limit:
        raise MemoryLimitError("learning from events", need, limit)


def _check(events: Events) -> None:
    if len(events) < _LEAST_EVENTS or len(events.users) < _LEAST_USERS:
        raise LookalikeError(
            f"{counted(len(events), 'event')} by {counted(len(events.users), 'user')} "
            "are too few to learn from",
            f"give at least {_LEAST_EVENTS} events of {_LEAST_USERS} users",
        )
    if len(np.unique(events.item)) < 2:
        raise LookalikeError("all events are about one item", "give events about several items")


@dataclass(frozen=True, slots=True)
class Study:
    """The events, the vectors float32 (N, D) of all items, and the seed of what is learned from them."""

    events: Events
    vectors: Floats
    seed: int

    def learn(self, end: int, way: Way) -> Towers:
        """Learn from the first `end` events; items without one are not among those that it compares with."""
        events = self.events
        rows, item = np.unique(events.item[:end], return_inverse=True)
        liked = Liked(events.user[:end], item, events.weight[:end], self.vectors[rows], len(events.users))
        return learn(liked, *way, self.seed)

    def choose(self, end: int, ways: Sequence[Way], tell: Callable[[], None]) -> Way:
        """The way that best foresees the last of the first `end` events, cold items as much as others."""
        before = int(np.searchsorted(self.events.when[:end], self.events.when[int(end * _PAST)], side="left"))
        wanted = later(self.events, before, end, len(self.vectors))
        if len(ways) == 1 or len(wanted.asked) < 2:
            return ways[0]
        base = judge(wanted, mean_of_liked(self.events, before, self.vectors)).measured
        values = []
        for way in ways:
            ours = judge(wanted, self.scorer(self.learn(before, way))).measured
            values.append(_gain(ours.warm, base.warm) + _gain(ours.cold, base.cold))
            tell()
        return ways[int(np.argmax(values))]

    def judged(self, end: int, wanted: Later, towers: Towers) -> dict[str, Judged]:
        """What was learned from the first `end` events, and what it has to beat."""
        events, count = self.events, len(self.vectors)
        scorers = {
            OURS: self.scorer(towers),
            LIKED: mean_of_liked(events, end, self.vectors),
            "popularity": popularity(events, end, count),
        }
        if count <= _MOST_PAIRS:
            scorers["item to item"] = item_to_item(events, end, count)
        return {name: judge(wanted, scorer) for name, scorer in scorers.items()}

    def scorer(self, towers: Towers) -> Scorer:
        items = towers.items(self.vectors).T
        return lambda users: towers.users[users] @ items


def _gain(ours: float, base: float) -> float:
    """The logarithm of how many times better; 0 if there is nothing to compare."""
    if not np.isfinite(ours) or not np.isfinite(base):
        return 0.0
    return float(np.log(max(ours, _LEAST_RECALL) / max(base, _LEAST_RECALL)))


class _Counting:
    """Tells the progress, one step a call."""

    def __init__(self, on_progress: Callable[[int, int], None] | None, total: int) -> None:
        self.on_progress, self.total, self.done = on_progress, total, 0

    def __call__(self) -> None:
        self.done += 1
        if self.on_progress:
            self.on_progress(self.done, self.total)
