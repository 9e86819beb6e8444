"""What an index's answers are measured against: held-out rows and their true neighbours."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.storage.part_state import PartState

NEIGHBOURS = 10  # recall counts the ten nearest

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]

_SAMPLE_PER_LIST, _SAMPLE_LEAST, _SAMPLE_MOST, _SAMPLE_PARTS = 32, 20_000, 100_000, 128
_QUERIES = 200
_KEPT = 64  # true neighbours kept for each query: more than ten, for ties and later removals


@dataclass
class Truth:
    """Queries (Q, D), their `rows` (Q,) in the collection or -1, and their nearest among rows seen so far."""

    queries: Vectors
    rows: Rows
    near: Rows
    scores: Vectors

    @staticmethod
    def of(queries: Vectors, rows: Rows) -> Truth:
        """Queries without any known neighbours yet."""
        none = (len(queries), 0)
        return Truth(queries, rows, np.empty(none, np.int64), np.empty(none, np.float32))

    def add(self, start: int, vectors: Vectors) -> None:
        """Take in the rows from `start` on, (n, D)."""
        scores = self.queries @ vectors.T
        numbers = np.arange(start, start + len(vectors))
        scores[self.rows[:, None] == numbers] = -np.inf
        if self.scores.shape[1] == _KEPT:  # soon hardly any row is nearer than the known ones
            nearer = np.flatnonzero((scores > self.scores[:, -1:]).any(axis=0))
            scores, numbers = scores[:, nearer], numbers[nearer]
        scores = np.concatenate([self.scores, scores], axis=1)
        near = np.concatenate([self.near, np.broadcast_to(numbers, (len(scores), len(numbers)))], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :_KEPT]
        self.scores = np.take_along_axis(scores, best, axis=1)
        self.near = np.take_along_axis(near, best, axis=1)

    def moved(self, moved: Rows) -> Truth:
        """The same truth after row i has become row `moved[i]`, or has gone if that is -1."""
        near = np.where(np.isfinite(self.scores), moved[self.near], -1)
        scores = np.where(near < 0, -np.inf, self.scores).astype(np.float32)
        best = np.argsort(-scores, axis=1, kind="stable")
        near, scores = np.take_along_axis(near, best, axis=1), np.take_along_axis(scores, best, axis=1)
        return Truth(self.queries, np.where(self.rows < 0, -1, moved[self.rows]), near, scores)

    def recall(self, found: Rows) -> float:
        """The share of the ten nearest that are in `found` (Q, 11), which may include the query itself."""
        return float(self._shares(found).mean())

    def reaches(self, found: Rows, wanted: float) -> bool:
        """Whether the recall very likely reaches `wanted` for other queries too.

        The mean minus two standard errors has to reach it: pictures from outside the collection are harder.
        """
        shares = self._shares(found)
        return bool(shares.mean() - 2 * shares.std() / len(shares) ** 0.5 >= wanted)

    def _shares(self, found: Rows) -> NDArray[np.float64]:
        """The recall of each query that has any neighbours."""
        shares = []
        for own, answer, near, scores in zip(self.rows, found, self.near, self.scores, strict=True):
            depth = min(NEIGHBOURS, int(np.isfinite(scores).sum()))
            if depth:
                true = near[scores >= scores[depth - 1] - 1e-6]
                shares.append(np.isin(answer[answer != own][:depth], true).sum() / depth)
        return np.array(shares or [1.0])

    def to_bytes(self) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, queries=self.queries, rows=self.rows, near=self.near, scores=self.scores)
        return buffer.getvalue()

    @staticmethod
    def read(path: Path) -> Truth:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            return Truth(**arrays)


def draw_sample(
    parts: Sequence[PartState], sizes: Sequence[int], dim: int, lists: int, max_bytes: int | None
) -> tuple[Vectors, Truth]:
    """Draw rows to train on (n, D), at most 32 a list, and others, held out, as queries.

    Reads at most 128 parts, evenly spaced, because neighbours in a folder look alike. `max_bytes` limits
    the rows.
    """
    rng = np.random.default_rng(0)
    places = np.unique(np.linspace(0, len(parts) - 1, min(len(parts), _SAMPLE_PARTS)).astype(int)).tolist()
    bounds = np.cumsum([0, *(sizes[place] for place in places)])
    starts = np.cumsum([0, *sizes])
    wanted = min(_SAMPLE_MOST, max(_SAMPLE_PER_LIST * lists, _SAMPLE_LEAST))
    if max_bytes is not None:
        wanted = min(wanted, max_bytes // (4 * dim) + 1)
    drawn = rng.choice(bounds[-1], min(wanted + _QUERIES, bounds[-1]), replace=False)
    asked = np.sort(drawn[:_QUERIES])
    # A tiny collection cannot spare any rows.
    learnt = np.sort(drawn[_QUERIES:] if len(drawn) >= 5 * _QUERIES else drawn)
    training, queries = (np.empty((len(chosen), dim), np.float32) for chosen in (learnt, asked))
    rows = np.empty(len(asked), np.int64)
    for place, start, end in zip(places, bounds, bounds[1:], strict=False):
        vectors = parts[place].embeddings()
        for chosen, target in ((learnt, training), (asked, queries)):
            here = slice(*np.searchsorted(chosen, [start, end]))
            target[here] = vectors[chosen[here] - start]
        here = slice(*np.searchsorted(asked, [start, end]))
        rows[here] = asked[here] - start + starts[place]
    return training, Truth.of(queries, rows)
