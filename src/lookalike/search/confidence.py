"""Confidence: how likely a hit is what the query asked for.

A cosine of 0.6 is high among photographs of all kinds and low among portraits. So the cosines of random
pairs are kept as a background. What a cosine is worth was measured on labelled pictures: its confidence
is the share of such hits that have the label of the query picture (docs/confidence.md).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError
from lookalike.models.known import BUILT_IN
from lookalike.parallel import in_order
from lookalike.storage.files import write_bytes
from lookalike.storage.part_state import PartState
from lookalike.storage.snapshot import Snapshot

Floats = NDArray[np.float32]

FORMAT, FORMAT_VERSION = "lookalike-background", 1
# Up to 512 rows, 8 from each of 64 places: 130,000 pairs, and little to read.
_PLACES, _ROWS_A_PLACE = 64, 8
# Parts that are read at a time, and rows if they are large: most of what is read is not needed.
_READERS, _ROWS_AT_ONCE = 4, 32_768
_LEVELS = np.arange(100) / 100
_STEPS = 100_000  # of 1: five digits of a cosine are kept

# Log-odds by similarity: slope and intercept of a logistic regression, for the built-in network on the
# cosine, for any other on its rarity among random pairs. `benchmarks/confidence.py` fits them.
OF_COSINE, OF_RARITY = (9.93, -5.63), (0.706, 0.064)
_RAREST = 1e-12


@dataclass(frozen=True)
class Distribution:
    """Cosines of random pairs: `percentiles` 0 to 99, and `tail`, the mean excess over the last.

    Beyond a high threshold most tails fall exponentially (Pickands 1975), which also ranks hits that are
    more similar than any pair of the sample.
    """

    percentiles: Sequence[float]
    tail: float

    @staticmethod
    def of(cosines: Floats) -> Distribution:
        # Counted to the digits that are kept: that is several times as fast as to sort so many.
        steps = np.rint(np.clip(cosines, -1, 1) * _STEPS).astype(np.int64) + _STEPS
        ends = np.cumsum(np.bincount(steps))
        places = _LEVELS * (len(cosines) - 1)
        first = places.astype(int)
        low = np.searchsorted(ends, first, side="right") / _STEPS - 1
        high = np.searchsorted(ends, np.minimum(first + 1, len(cosines) - 1), side="right") / _STEPS - 1
        percentiles = low + (places - first) * (high - low)
        above = cosines[cosines > percentiles[-1]]
        tail = float((above - percentiles[-1]).mean()) if len(above) else 0.0
        return Distribution([round(float(one), 5) for one in percentiles], round(max(tail, 1e-4), 5))

    @cached_property
    def _knots(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The distinct percentiles, and the fraction of pairs below each."""
        values, first = np.unique(self.percentiles, return_index=True)
        return values, _LEVELS[first]

    def fraction_below(self, cosines: NDArray[np.floating]) -> NDArray[np.float64]:
        """The fraction of pairs, in [0, 1), that are less similar than each of (n,) cosines."""
        values, levels = self._knots
        within = np.interp(cosines, values, levels)
        excess = np.maximum(np.asarray(cosines, np.float64) - values[-1], 0)
        beyond = 1 - (1 - _LEVELS[-1]) * np.exp(-excess / self.tail)
        return np.asarray(np.where(excess > 0, beyond, within))


@dataclass(frozen=True, slots=True)
class Background:
    """The background of a collection of `count` items: of pairs of items, and of words with items.

    A word and a picture are less similar than two pictures; `words` is None if the model knows no words.
    `by_cosine` is true for the built-in network, whose cosines mean the same everywhere.
    """

    count: int
    items: Distribution
    words: Distribution | None = None
    by_cosine: bool = False

    def odds(
        self, cosines: Floats, *, of_words: bool = False, length: float = 1.0, weight: float = 1.0
    ) -> NDArray[np.float64]:
        """The log-odds (n,) that hits are of the kind that was asked for, from their cosines.

        For a query that is a sum of unit vectors, `length` is its length before it was scaled to 1 and
        `weight` the sum of their weights; its cosines count like equally unusual ones of a single picture.
        """
        pairs = self.words if of_words and self.words else self.items
        as_of_one = _as_of_one(cosines, pairs.percentiles[50], length, weight)
        if self.by_cosine and not of_words:
            return OF_COSINE[0] * np.asarray(as_of_one, np.float64) + OF_COSINE[1]
        return OF_RARITY[0] * self.rarity(as_of_one, pairs) + OF_RARITY[1]

    def rarity(self, cosines: NDArray[np.floating], pairs: Distribution) -> NDArray[np.float64]:
        """How rare cosines are, (n,): -log(-log(F^√N)), F being the fraction of less similar pairs.

        The best of M random pictures is less similar than a hit with a probability of F^M. M is not the
        number N of candidates, because these are related to each other: as a rule of thumb, a collection
        of N pictures has √N kinds of things.
        """
        beaten = np.clip(pairs.fraction_below(cosines) ** np.sqrt(self.count), _RAREST, 1 - _RAREST)
        return np.asarray(-np.log(-np.log(beaten)))

    def confidence(self, cosines: Floats, *, length: float = 1.0, weight: float = 1.0) -> NDArray[np.float64]:
        """The confidence of hits, (n,) in [0, 1], from similarity alone; see `odds`."""
        return probability(self.odds(cosines, length=length, weight=weight))


def probability(odds: NDArray[np.floating]) -> NDArray[np.float64]:
    """Convert log-odds to probabilities."""
    return np.asarray(1 / (1 + np.exp(-np.asarray(odds, np.float64))))


def _as_of_one(cosines: Floats, usual: float, length: float, weight: float) -> Floats:
    """Convert cosines with a sum to those with one term that are as many standard deviations from the usual.

    Let every vector be a common part, of squared length `usual`, and a rest that points anywhere. The cosines
    c with the terms then have the mean `usual`, and a covariance that grows with the terms' similarity. So
    length * cosine, which is the sum of weight * c, has the mean weight * usual and a variance in proportion
    to length^2 - usual * weight^2; for a single term that is 1 - usual.
    """
    spread = max(length**2 - usual * weight**2, (1 - usual) * length**2 / 100)
    if usual >= 1 or spread <= 0:  # all are equal
        return cosines
    excess = np.asarray(cosines, np.float64) * length - usual * weight
    return np.asarray(usual + excess * np.sqrt((1 - usual) / spread), np.float32)


def background_of(snapshot: Snapshot) -> Background | None:
    """The background of this state: the stored one, or a new sample; None for fewer than two items."""
    by_cosine = snapshot.manifest.model.name == BUILT_IN
    try:
        fields = json.loads(_path(snapshot).read_bytes())
        if _heading(snapshot).items() <= fields.items():
            words = fields["words"] and Distribution(**fields["words"])
            return Background(fields["count"], Distribution(**fields["items"]), words, by_cosine)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # missing or not a background: it is quick to sample again
    return _sampled(snapshot, by_cosine)


def write_background(snapshot: Snapshot) -> None:
    """Sample and store the background, unless this state has one; call with the lock held."""
    found = background_of(snapshot)
    if found is not None:
        fields = {
            **_heading(snapshot),
            "count": found.count,
            "items": _fields(found.items),
            "words": found.words and _fields(found.words),
        }
        data = (json.dumps(fields) + "\n").encode()
        if not _path(snapshot).exists() or _path(snapshot).read_bytes() != data:
            write_bytes(_path(snapshot), data)


def _fields(pairs: Distribution) -> dict[str, Any]:
    return {"percentiles": pairs.percentiles, "tail": pairs.tail}


def _path(snapshot: Snapshot) -> Path:
    return snapshot.root / "derived" / "background.json"


def _heading(snapshot: Snapshot) -> dict[str, Any]:
    return {"format": FORMAT, "version": FORMAT_VERSION, "fingerprint": snapshot.fingerprint}


def _sampled(snapshot: Snapshot, by_cosine: bool) -> Background | None:
    if len(snapshot) < 2:
        return None
    vectors = np.concatenate(list(_some_rows(snapshot.parts, snapshot.state.starts[1:])))
    pairs = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    words = _word_vectors(snapshot)
    return Background(
        len(snapshot),
        Distribution.of(pairs),
        None if words is None else Distribution.of((words @ vectors.T).ravel()),
        by_cosine,
    )


def _some_rows(parts: Sequence[PartState], ends: NDArray[np.int64]) -> Iterator[Floats]:
    """Rows at evenly spaced places, because neighbours in a folder are similar; parts stop before `ends`."""
    places = np.linspace(0, ends[-1] - 1, min(ends[-1], _PLACES)).astype(int)
    found = Counter(np.searchsorted(ends, places, side="right").tolist())
    wanted = [(parts[number], count * _ROWS_A_PLACE) for number, count in found.items()]
    readers = max(1, min(_READERS, _ROWS_AT_ONCE // max(part.count for part, _ in wanted)))
    return in_order(_rows_of, wanted, readers, ahead=readers)


def _rows_of(wanted: tuple[PartState, int]) -> Floats:
    """So many rows of a part, evenly spaced, or all of them."""
    part, count = wanted
    vectors = part.embeddings()
    some: Floats = vectors[np.linspace(0, len(vectors) - 1, min(len(vectors), count)).astype(int)]
    return some


def _word_vectors(snapshot: Snapshot) -> Floats | None:
    if not snapshot.manifest.model.sha256:  # made elsewhere
        return None
    try:
        words = snapshot.model.word_vectors
    except ModelError:  # made by a model that is not available
        return None
    return None if words is None else words()
