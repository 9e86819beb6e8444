"""Makes up what visitors of a shop or a museum do: clicks with hidden tastes, because real ones are private.

What it assumes, so that nobody takes a figure for more than it is:

- A picture appeals by its looks, by its kind and by something that no picture shows, in the shares 5 : 3 : 2.
  Looks are a random nonlinear function of the stored vector; what a kind means to people is random.
- Visitors have one to three tastes, each near one of a few fashions; each click follows one of them.
- Popular things are clicked more often, whatever they look like, and new ones too at first. One click in ten
  is an accident. Nobody clicks a thing twice.
- A third of the things appear later. So the last fifth of the time has things that nobody has clicked before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
_DAYS = 180
_LOOKS, _KINDS, _PRIVATE = 24, 12, 8  # dimensions of each
_SHARES = (0.5, 0.3, 0.2)
_FASHIONS, _MOST_TASTES, _OWN = 10, 3, 0.6
_EAGERNESS, _POPULARITY, _NOVELTY, _NOVEL = 2.5, 0.7, 1.0, 0.05
_LATER, _ACCIDENTS = 1 / 3, 0.1


def make_events(
    ids: Sequence[str],
    vectors: NDArray[np.floating],
    labels: Sequence[str | None],
    *,
    users: int = 1500,
    events_per_user: int = 30,
    seed: int = 0,
) -> pa.Table:
    """Make a table of events about N items: user, item, time, weight and revenue, in the order of time.

    `vectors` (N, D) are of unit length, `labels` (N,) the kinds of things. On average a user has
    `events_per_user` events, and about the N-th part of them if there are few items. The same seed gives the
    same events.
    """
    rng = np.random.default_rng(seed)
    appeal = _appeal(np.asarray(vectors, np.float64), [str(label) for label in labels], rng)
    popularity = rng.normal(0, _POPULARITY, len(ids))
    born = np.where(rng.random(len(ids)) < _LATER, rng.uniform(0, 0.97, len(ids)), -1.0)
    price = np.exp(rng.normal(2.5, 0.8, len(ids)))
    fashions = rng.normal(size=(_FASHIONS, appeal.shape[1]))
    rows: list[tuple[float, str, int]] = []
    for user in range(users):
        tastes = fashions[rng.choice(_FASHIONS, rng.integers(1, _MOST_TASTES + 1), replace=False)]
        tastes = tastes + rng.normal(0, _OWN, tastes.shape)
        tastes /= np.linalg.norm(tastes, axis=1, keepdims=True)
        wishes = _EAGERNESS * (tastes @ appeal.T) + popularity
        most = max(1, min(int(rng.poisson(events_per_user)), len(ids) // 4))
        free = np.ones(len(ids), np.bool_)
        for time in np.sort(rng.random(most)).tolist():
            wish = wishes[rng.integers(len(tastes))] + _NOVELTY * ((time - born < _NOVEL) & (born >= 0))
            wish = wish if rng.random() >= _ACCIDENTS else np.zeros(len(ids))
            there = free & (born <= time)
            item = int(np.argmax(np.where(there, wish + rng.gumbel(size=len(ids)), -np.inf)))
            free[item] = False
            rows.append((time, f"u{user}", item))
    rows.sort()
    items = np.array([item for _, _, item in rows])
    return pa.table(
        {
            "user": [user for _, user, _ in rows],
            "item": [ids[item] for item in items.tolist()],
            "time": pa.array(
                [int((_START + time * _DAYS * 86_400) * 1e6) for time, _, _ in rows],
                pa.timestamp("us", tz="UTC"),
            ),
            "weight": 1 + rng.poisson(0.5, len(rows)).astype(np.float64),
            "revenue": np.round(price[items], 2),
        }
    )


def _appeal(vectors: Floats, labels: Sequence[str], rng: np.random.Generator) -> Floats:
    """What people feel about each item: looks, kind, and what no picture shows; unit variance together."""
    looks = (vectors - vectors.mean(axis=0)) @ rng.normal(size=(vectors.shape[1], _LOOKS))
    looks = np.tanh(1.5 * _standard(looks)) + 0.5 * np.cos(2 * _standard(looks)[:, ::-1])
    names, kinds = np.unique(list(labels), return_inverse=True)
    parts = (looks, rng.normal(size=(len(names), _KINDS))[kinds], rng.normal(size=(len(labels), _PRIVATE)))
    return np.concatenate(
        [
            _standard(part) * np.sqrt(share / part.shape[1]) * np.sqrt(24)
            for part, share in zip(parts, _SHARES, strict=True)
        ],
        axis=1,
    )


def _standard(values: Floats) -> Floats:
    return np.asarray((values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9))
