"""Own words: what a collection names itself becomes directions to search in, with any model.

A word's direction sets its pictures apart from the others; how it does is chosen on pictures held out, for
all words together, and so is what a cosine to it is worth. docs/words.md has the measurement.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import counted
from lookalike.models.model import unit
from lookalike.models.spelling import MAX_WORDS, PLURALS, STOP_WORDS, spelling
from lookalike.models.words import vocabulary
from lookalike.search.mentions import ORIGINS, Mention, mentions
from lookalike.search.spread import RIDGES, USUAL_RIDGE, Spread, sample_rows
from lookalike.search.taught import word_kinds
from lookalike.search.thumbs import average_precision
from lookalike.storage.derived_arrays import read_arrays, write_arrays
from lookalike.storage.snapshot import Snapshot

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]
Odds = NDArray[np.float64]

FORMAT, FORMAT_VERSION = "lookalike-own-words", 2
_FILE_NAME = "own_words.npz"

# All words together are learnt from this many pictures, each from at least eight of its own.
_LEARNT_ROWS, _LEAST_ROWS = 16_384, 8
_FOLDS, _NEWTON_STEPS = 5, 25
# The ridge is chosen on this many words, of at least so many pictures.
_CHOOSING_WORDS, _CHOOSING_ROWS = 40, 4


@dataclass(frozen=True, eq=False)
class OwnWord:
    """A word of the collection: a unit `vector` (D,); a cosine c has the log-odds `slope` * c + `intercept`.

    `count` pictures show it. A word of a single picture is that picture: nothing tells what its cosines are
    worth, so `slope` is None.
    """

    name: str
    origin: str
    column: str
    count: int
    vector: Vectors
    slope: float | None
    intercept: float

    def __repr__(self) -> str:
        return f"OwnWord({self})"

    def __str__(self) -> str:
        said = ORIGINS[self.origin]
        if self.origin == "column":
            said = f"{said} {self.column}"
        elif self.origin == "part" and self.column != "label":
            said = f"in your column {self.column}"
        return (
            f"{self.name}: {said}{' by' if self.origin == 'taught' else ','} {counted(self.count, 'picture')}"
        )


@dataclass(frozen=True, eq=False)
class OwnWords:
    """The words of a collection, those that precede first."""

    words: Sequence[OwnWord]

    @cached_property
    def by_spelling(self) -> dict[str, OwnWord]:
        """The words by every spelling that means them: their names, then singulars and plurals of these."""
        found = {spelling(one.name): one for one in self.words}
        for one in self.words:
            for form in vocabulary().forms(spelling(one.name)):
                found.setdefault(form, one)
        return found

    def find(self, phrase: str) -> OwnWord | None:
        """The word that a phrase in any case means, singular or plural."""
        forms = vocabulary().forms(spelling(phrase))
        return next((self.by_spelling[one] for one in forms if one in self.by_spelling), None)


def own_words(snapshot: Snapshot, vectors_at: Callable[[Rows], Vectors]) -> OwnWords:
    """The words of a snapshot and the marks now; learnt once for each state, then read from `derived/`."""
    key = words_key(snapshot)
    found = _read(snapshot, key)
    if found is None:
        found = learnt(mentions(snapshot), len(snapshot), vectors_at)
        _write(snapshot, key, found)
    return found


def own_tables(own: OwnWords) -> dict[str, Any]:
    """What another program needs to search for these words, ready for JSON; their vectors are kept apart."""
    place = {id(one): number for number, one in enumerate(own.words)}
    return {
        "words": [
            {"word": one.name, "origin": one.origin, "count": one.count, "said": str(one)}
            | {"slope": one.slope, "intercept": one.intercept}
            for one in own.words
        ],
        "spellings": {text: place[id(one)] for text, one in own.by_spelling.items()},
        "endings": PLURALS,
        "stop_words": sorted(STOP_WORDS),
        "most_words": MAX_WORDS,
    }


def learnt(said: Sequence[Mention], count: int, vectors_at: Callable[[Rows], Vectors]) -> OwnWords:
    """Learn the words mentioned in a collection of `count` rows, whose vectors `vectors_at` reads."""
    if not said:
        return OwnWords(())
    taught = _examples(said, count, vectors_at)
    spread = taught[0].spread
    ridge = _best_ridge(spread, [one for one in taught if len(one.shown) >= _CHOOSING_ROWS])
    several = [one for one in taught if len(one.shown) > 1]
    folds = dict(zip(several, _fold_directions(spread, several, ridge), strict=True))
    # Of all words at once: one by one takes ten times as long.
    directions = spread.apart(np.stack([one.difference for one in taught]), ridge)
    of_spread = (spread.vectors @ directions.T).T
    found = []
    line: tuple[float | None, float]
    for one, examples, direction, scores in zip(said, taught, directions, of_spread, strict=True):
        vector, line = unit(examples.shown[0]), (None, 0.0)
        if examples in folds:
            vector, held_out = direction, examples.held_out(folds[examples])
            line = calibrated(held_out, examples.scores_of_others(vector, scores), _share(one, count))
        found.append(OwnWord(one.name, one.origin, one.column, len(one.rows), vector, *line))
    return OwnWords(found)


def _examples(said: Sequence[Mention], count: int, vectors_at: Callable[[Rows], Vectors]) -> list[_Examples]:
    """The examples of each word, whose vectors are all read at once."""
    most = max(_LEAST_ROWS, _LEARNT_ROWS // len(said))
    pictures = [_some(one.rows, most) for one in said]
    evenly = sample_rows(count)
    rows = np.unique(np.concatenate([*pictures, *(one.unlike for one in said), evenly]))
    vectors = vectors_at(rows)

    def at(some: Rows) -> Vectors:
        return vectors[np.searchsorted(rows, some)]

    spread = Spread(evenly, at(evenly))
    return [
        _Examples(at(mine), at(one.unlike), _others(one, evenly), spread)
        for one, mine in zip(said, pictures, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class _Examples:
    """Vectors of pictures that show a word (n, D) and that are said not to (u, D); rows that don't."""

    shown: Vectors
    unlike: Vectors
    others: NDArray[np.bool_]
    spread: Spread

    @property
    def difference(self) -> Vectors:
        return self._difference(self.shown)

    @property
    def folds(self) -> list[Rows]:
        """Neighbours are held out together: a folder's pictures were often taken one after another."""
        return np.array_split(np.arange(len(self.shown)), min(_FOLDS, len(self.shown)))

    @property
    def fold_differences(self) -> Vectors:
        return np.stack([self._difference(np.delete(self.shown, fold, axis=0)) for fold in self.folds])

    def held_out(self, directions: Vectors) -> Vectors:
        """The cosines of the pictures that show the word with the direction learnt without them, (n,)."""
        folds = zip(self.folds, directions, strict=True)
        return np.concatenate([self.shown[fold] @ direction for fold, direction in folds])

    def scores_of_others(self, directions: Vectors, of_spread: Vectors) -> Vectors:
        """The cosines of pictures that don't show the word with directions (..., D), (m, ...).

        `of_spread` are those of all pictures of the spread.
        """
        return np.concatenate([of_spread[self.others], self.unlike @ directions.T])

    def _difference(self, shown: Vectors) -> Vectors:
        """From the mean, and half of it from what is said not to show it (Rocchio 1971)."""
        found = shown.mean(axis=0) - self.spread.mean
        if len(self.unlike):
            found = found - (self.unlike.mean(axis=0) - self.spread.mean) / 2
        return np.asarray(found)


def _best_ridge(spread: Spread, taught: Sequence[_Examples]) -> float | None:
    """The ridge with which pictures held out rank highest among others: mean average precision."""
    chosen = [taught[at] for at in _some(np.arange(len(taught)), _CHOOSING_WORDS).tolist()]
    if not chosen:
        return USUAL_RIDGE
    scores = {}
    for ridge in RIDGES:
        directions = _fold_directions(spread, chosen, ridge)
        scores[ridge] = np.mean([_precision(one, mine) for one, mine in zip(chosen, directions, strict=True)])
    return max(scores, key=lambda ridge: scores[ridge])


def _fold_directions(spread: Spread, taught: Sequence[_Examples], ridge: float | None) -> list[Vectors]:
    """For each word the directions (folds, D) learnt without one of its folds."""
    if not taught:
        return []
    ends = np.cumsum([len(one.folds) for one in taught])[:-1]
    differences = np.concatenate([one.fold_differences for one in taught])
    return np.split(spread.apart(differences, ridge), ends)


def _precision(examples: _Examples, directions: Vectors) -> float:
    """The average precision of the pictures held out of each fold among the others, averaged over folds."""
    found = []
    of_others = examples.scores_of_others(directions, examples.spread.vectors @ directions.T)
    for fold, direction, scores in zip(examples.folds, directions, of_others.T, strict=True):
        found.append(average_precision(examples.shown[fold] @ direction, scores))
    return float(np.mean(found))


def calibrated(shown: Vectors, others: Vectors, share: float) -> tuple[float, float]:
    """The slope and intercept of the log-odds that a cosine's picture shows the word, in a share of pictures.

    Logistic regression with Platt's targets, which expect mistakes where there are few examples (Platt,
    Probabilistic outputs for support vector machines, 1999). A word that the vectors don't show, with a slope
    below 0, has its share as the chance of every picture.
    """
    usual = float(np.log(share / (1 - share)))
    if not len(others) or float(np.std(others)) < 1e-9:
        return 0.0, usual
    middle, scale = float(np.mean(others)), float(np.std(others))
    x = (np.concatenate([shown, others]).astype(np.float64) - middle) / scale
    n, m = len(shown), len(others)
    target = np.repeat([(n + 1) / (n + 2), 1 / (m + 2)], [n, m])
    weight = np.repeat([share * (n + m) / n, (1 - share) * (n + m) / m], [n, m])
    slope, intercept = _logistic(x, target, weight, usual)
    return (slope / scale, intercept - slope * middle / scale) if slope > 0 else (0.0, usual)


def _logistic(x: Odds, target: Odds, weight: Odds, start: float) -> tuple[float, float]:
    """The slope and intercept with the least weighted log-loss, by Newton's method with halved steps."""

    def loss(line: Odds) -> float:
        odds = line[0] * x + line[1]
        return float(weight @ (np.logaddexp(0, odds) - target * odds))

    line = np.array([0.0, start])
    best = loss(line)
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(line[0] * x + line[1], -500, 500)))
        error, bend = weight * (chance - target), weight * chance * (1 - chance) + 1e-12
        gradient = np.array([error @ x, error.sum()])
        curvature = np.array([[bend @ x**2, bend @ x], [bend @ x, bend.sum()]]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while (now := loss(line - step)) > best and np.abs(step).max() > 1e-9:
            step = step / 2
        if best - now < 1e-9 * len(x):
            break
        line, best = line - step, now
    return float(line[0]), float(line[1])


def _share(said: Mention, count: int) -> float:
    """The share of pictures that show a word; of a taught one nobody counted them."""
    known = count if said.known is None else int(said.known.sum())
    share = len(said.rows) / known
    if said.origin == "taught":
        share = max(share, 1 / np.sqrt(count))
    return float(np.clip(share, 1 / (known + 1), 0.5))


def _others(said: Mention, rows: Rows) -> NDArray[np.bool_]:
    """Which of the rows are known not to show a word, or probably don't."""
    known = True if said.known is None else said.known[rows]
    return ~np.isin(rows, np.concatenate([said.rows, said.unlike])) & known


def _some(rows: Rows, most: int) -> Rows:
    """At most so many of the rows, evenly spaced."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def words_key(snapshot: Snapshot) -> str:
    """A name for what the words depend on: the rows, the labels that people gave, and what was taught."""
    said = [
        (kind, one.ids, one.sha256s, one.value)
        for kind in word_kinds(snapshot.marks)
        for one in snapshot.marks.of(kind)
    ]
    state = [snapshot.fingerprint, snapshot.labels_key, said]
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _read(snapshot: Snapshot, key: str) -> OwnWords | None:
    stored = read_arrays(_path(snapshot), _heading(key))
    if stored is None:
        return None
    heading, arrays = stored
    try:
        vectors = arrays["vectors"]
        if vectors.shape[1:] != (snapshot.dim,):
            return None
        words = zip(heading["words"], vectors.astype(np.float32), strict=True)
        return OwnWords([OwnWord(**about, vector=vector) for about, vector in words])
    except (ValueError, KeyError, TypeError):
        return None  # damaged: it is learnt again


def _write(snapshot: Snapshot, key: str, found: OwnWords) -> None:
    """Store the words, even if there are none; a collection that cannot be written learns them again."""
    names = ("name", "origin", "column", "count", "slope", "intercept")
    words: list[dict[str, Any]] = [{name: getattr(one, name) for name in names} for one in found.words]
    vectors = np.reshape([one.vector for one in found.words], (-1, snapshot.dim)).astype(np.float32)
    write_arrays(_path(snapshot), {**_heading(key), "words": words}, vectors=vectors)


def _path(snapshot: Snapshot) -> Path:
    return snapshot.root / "derived" / _FILE_NAME


def _heading(key: str) -> dict[str, Any]:
    return {"format": FORMAT, "version": FORMAT_VERSION, "key": key}
