"""Two towers in one space: an item is a linear map of its picture's vector, a user the mean of what it liked.

Because an item is made of its picture alone, one that nobody has seen has a vector too. Two objectives:

- Co-engagement: of all items, which one did somebody choose who also chose these? A softmax over a sample
  of the items, as two-tower models have it (Yi 2019, doi:10.1145/3298689.3346996).
- Bayesian personalised ranking (Rendle 2009, arXiv:1205.2618): what a user chose comes before what it did
  not choose. Here each user is a vector of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.learning.gradients import Adam, before_unit

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

CO_ENGAGEMENT, BPR = "co-engagement", "bpr"
OBJECTIVES = (CO_ENGAGEMENT, BPR)

# Tuned on clothing (docs/behaviour.md).
_INPUTS, _DIM = 256, 64
_TEMPERATURE = np.float32(0.1)
_RATE, _EPOCHS, _BATCH = 0.01, 8, 1024
_BIAS = 0.3
# Pulls the map towards zero, so that it says more about items that were not learned from.
_DECAY = np.float32(0.01)
_MOST_NEGATIVES, _MOST_FOR_AXES = 2_000, 5_000
_BPR_TEMPERATURE = np.float32(0.2)


@dataclass(frozen=True, slots=True)
class Liked:
    """E events of U users with M items: `user` (E,), `item` (E,) in [0, M) and `weight` (E,) above 0.

    `vectors` float32 (M, D) are those of the items.
    """

    user: Ints
    item: Ints
    weight: Floats
    vectors: Floats
    users: int


@dataclass(frozen=True, slots=True)
class Towers:
    """What was learned: `matrix` float32 (D, d) and `offset` (d,) for items, unit vectors `users` (U, d).

    A user without an event has the vector zero.
    """

    matrix: Floats
    offset: Floats
    users: Floats

    def items(self, vectors: Floats) -> Floats:
        """The unit vectors float32 (N, d) of items with these vectors (N, D)."""
        return unit(vectors @ self.matrix + self.offset)


def learn(liked: Liked, objective: str, correction: float, seed: int = 0) -> Towers:
    """Learn both towers, by co-engagement with the popularity of items taken out to the power `correction`.

    At 0 what is popular comes first, and an item that nobody has seen never does; at 1 an item counts for
    what users like about it alone (the logit adjustment of Menon 2021, arXiv:2007.07314).
    """
    rng = np.random.default_rng(seed)
    mean, axes = _axes(liked.vectors, rng)
    inputs = np.concatenate(
        [(liked.vectors - mean) @ axes, np.full((len(liked.vectors), 1), _BIAS, np.float32)], axis=1
    )
    weights = rng.normal(0, _DIM**-0.5, (inputs.shape[1], _DIM)).astype(np.float32)
    if objective == BPR:
        weights, users = _rank(liked, inputs, weights, rng)
    else:
        weights = _choose(liked, inputs, weights, correction, rng)
        users = unit(_sums(liked, inputs)[0] @ weights)
    matrix = axes @ weights[:-1]
    return Towers(matrix, _BIAS * weights[-1] - mean @ matrix, users)


def _axes(vectors: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The mean (D,) and the main directions (D, K), in which the vectors are halfway to equal spread."""
    some = vectors
    if len(vectors) > _MOST_FOR_AXES:
        some = vectors[rng.choice(len(vectors), _MOST_FOR_AXES, replace=False)]
    mean = some.mean(axis=0)
    _, sizes, directions = np.linalg.svd(some - mean, full_matrices=False)
    count = int(min(_INPUTS, (sizes > 1e-4 * max(float(sizes.max(initial=0)), 1e-9)).sum()))
    axes = directions[:count].T * sizes[:count] ** -0.5
    length = np.sqrt((((some - mean) @ axes) ** 2).sum(axis=1).mean()) if count else 1.0
    return np.asarray(mean, np.float32), np.asarray(axes / length, np.float32)


def _sums(liked: Liked, inputs: Floats) -> tuple[Floats, Floats]:
    """The weighted mean of the inputs of what each user liked, (U, K), and the weights' sums (U,)."""
    sums = np.zeros((liked.users, inputs.shape[1]), np.float32)
    np.add.at(sums, liked.user, inputs[liked.item] * liked.weight[:, None])
    total = np.bincount(liked.user, liked.weight, minlength=liked.users).astype(np.float32)
    return np.asarray(sums / np.maximum(total, 1e-9)[:, None], np.float32), total


def _choose(
    liked: Liked, inputs: Floats, weights: Floats, correction: float, rng: np.random.Generator
) -> Floats:
    """Co-engagement by a sampled softmax: from the others that a user liked, tell the one left out."""
    means, total = _sums(liked, inputs)
    rest = total[liked.user] - liked.weight
    usable = np.flatnonzero(rest > 1e-6 * total[liked.user])
    popular = np.bincount(liked.item, liked.weight, minlength=len(inputs))
    known = (correction * np.log(np.maximum(popular, popular[popular > 0].min()))).astype(np.float32)
    adam = Adam(weights)
    for batch in _batches(usable, liked.weight, rng):
        user, item = liked.user[batch], liked.item[batch]
        own = inputs[item]
        others = means[user] * total[user, None] - own * liked.weight[batch, None]
        asked = others / rest[batch, None]
        negatives = _sample(len(inputs), rng)
        query, target, other = asked @ weights, own @ weights, inputs[negatives] @ weights
        q, t, o = unit(query), unit(target), unit(other)
        scores = np.concatenate([(q * t).sum(axis=1, keepdims=True), q @ o.T], axis=1) / _TEMPERATURE
        scores += np.concatenate([known[item, None], np.tile(known[negatives], (len(batch), 1))], axis=1)
        scores[:, 1:][negatives[None, :] == item[:, None]] = -np.inf
        chance = np.exp(scores - scores.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        chance[:, 0] -= 1
        chance /= np.float32(len(batch)) * _TEMPERATURE
        slope = asked.T @ before_unit(query, q, chance[:, :1] * t + chance[:, 1:] @ o)
        slope += own.T @ before_unit(target, t, chance[:, :1] * q)
        slope += inputs[negatives].T @ before_unit(other, o, chance[:, 1:].T @ q)
        adam.step(weights, slope + _DECAY * weights, _RATE)
    return weights


def _rank(liked: Liked, inputs: Floats, weights: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Bayesian personalised ranking with a vector for each user; returns the map and the users."""
    users = _sums(liked, inputs)[0] @ weights
    adam, adam_users = Adam(weights), Adam(users)
    pairs = np.unique(liked.user * len(inputs) + liked.item)
    for batch in _batches(np.arange(len(liked.user)), liked.weight, rng):
        user, item = liked.user[batch], liked.item[batch]
        other = rng.integers(len(inputs), size=len(batch))
        there = ~np.isin(user * len(inputs) + other, pairs)
        user, item, other = user[there], item[there], other[there]
        if not len(user):
            continue
        person, good, bad = users[user], inputs[item] @ weights, inputs[other] @ weights
        p, g, b = unit(person), unit(good), unit(bad)
        lead = (p * (g - b)).sum(axis=1) / _BPR_TEMPERATURE
        pull = -1 / (1 + np.exp(lead)) / (np.float32(len(user)) * _BPR_TEMPERATURE)
        slope = inputs[item].T @ before_unit(good, g, pull[:, None] * p)
        slope -= inputs[other].T @ before_unit(bad, b, pull[:, None] * p)
        of_users = np.zeros_like(users)
        np.add.at(of_users, user, before_unit(person, p, pull[:, None] * (g - b)))
        adam.step(weights, slope + _DECAY * weights, _RATE)
        adam_users.step(users, of_users, _RATE)
    there = np.bincount(liked.user, minlength=liked.users) > 0
    return weights, np.asarray(unit(users) * there[:, None], np.float32)


def _batches(usable: Ints, weight: Floats, rng: np.random.Generator) -> list[Ints]:
    """Batches of events, drawn as often as they weigh: what is heavy is learned from more often."""
    if not len(usable):
        return []
    share = weight[usable] / weight[usable].sum()
    drawn = rng.choice(
        usable, _EPOCHS * len(usable), p=share.astype(np.float64) / share.sum(dtype=np.float64)
    )
    return [drawn[start : start + _BATCH] for start in range(0, len(drawn), _BATCH)]


def _sample(count: int, rng: np.random.Generator) -> Ints:
    """The items that the softmax compares with: all, or a uniform sample, which needs no correction."""
    return np.arange(count) if count <= _MOST_NEGATIVES else rng.choice(count, _MOST_NEGATIVES, replace=False)


def unit(vectors: Floats) -> Floats:
    """Vectors scaled to unit length; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)
