"""What a recommendation has to beat: popularity, the mean of what one liked, and item-to-item filtering."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.learning.behaviour.events import Events
from lookalike.learning.behaviour.measuring import Scorer
from lookalike.learning.behaviour.towers import unit

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_BLOCK_USERS = 2048


def popularity(events: Events, end: int, count: int) -> Scorer:
    """Everybody is recommended what has the most weight among the first `end` events."""
    scores = np.bincount(events.item[:end], events.weight[:end], minlength=count)
    return lambda users: np.tile(scores, (len(users), 1))


def mean_of_liked(events: Events, end: int, vectors: Floats) -> Scorer:
    """The cosines with the mean of what each user had, in the stored vectors (N, D)."""
    had = _History(events, end)
    return lambda users: unit(np.stack([vectors[had.items(user)].mean(axis=0) for user in users])) @ vectors.T


def item_to_item(events: Events, end: int, count: int) -> Scorer:
    """Item-to-item collaborative filtering (Sarwar 2001): the cosine of two items is that of who liked them.

    The score of an item is the sum of its cosines with what the user had. It knows nothing of cold items.
    """
    had = _History(events, end)
    similar = item_cosines(events.user[:end], events.item[:end], len(events.users), count)
    return lambda users: np.stack([similar[had.items(user)].sum(axis=0) for user in users])


def item_cosines(user: Ints, item: Ints, users: int, count: int) -> Floats:
    """The cosines (N, N) of items by their users, each of whom counts once; 0 with itself."""
    together = np.zeros((count, count), np.float32)
    for start in range(0, users, _BLOCK_USERS):
        here = (user >= start) & (user < start + _BLOCK_USERS)
        liked = np.zeros((_BLOCK_USERS, count), np.float32)
        liked[user[here] - start, item[here]] = 1
        together += liked.T @ liked
    lengths = np.sqrt(np.maximum(np.diag(together), 1))
    together /= lengths[:, None] * lengths[None, :]
    np.fill_diagonal(together, 0)
    return np.asarray(together, np.float32)


class _History:
    """What each user had among the first `end` events."""

    def __init__(self, events: Events, end: int) -> None:
        order = np.argsort(events.user[:end], kind="stable")
        self._items = events.item[:end][order]
        self._starts = np.searchsorted(events.user[:end][order], np.arange(len(events.users) + 1))

    def items(self, user: int) -> Ints:
        return np.unique(self._items[self._starts[user] : self._starts[user + 1]])
