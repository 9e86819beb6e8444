"""The evidence for a hit: its similarity to what is wanted, the words it shows, and the labels around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UnknownWordError
from lookalike.models.model import LoadedModel
from lookalike.search.confidence import Background, probability
from lookalike.search.query import Direction, Side

Vectors = NDArray[np.float32]
Odds = NDArray[np.float64]

# The number of nearest pictures whose labels vote for the query's label.
NEIGHBOURS = 10
# Farther neighbours count less: by a factor of e for each 0.05 of cosine behind the nearest.
_SHARPNESS = 20.0
# Log-odds of a label from the log-odds of its share: `benchmarks/confidence.py` fits them.
OF_SHARE, _SMOOTHING = (1.32, 0.036), 0.02
# Of pictures found by words, this many nearest are ordered by confidence, then as many again (docs/words.md).
ORDERED = 100
# Below this confidence, even the nearest are so unlike the query that their labels say little.
STRANGER = 0.3


def confidence_of(
    background: Background,
    direction: Direction,
    scores: Vectors,
    model: Callable[[], LoadedModel],
    vectors: Callable[[], Vectors],
) -> Odds:
    """How likely each hit is what the query wants and not what it doesn't want, (n,) in [0, 1].

    `scores` are the hits' cosines; `vectors` returns their vectors (n, D), and `model` the collection's
    model. Both are called only if the query is more than a likeness.
    """
    wanted = direction.wanted
    if wanted and direction.is_likeness:
        return background.confidence(scores, length=wanted.length, weight=wanted.weight)
    unwanted = [_odds(background, side, model, vectors()) for side in direction.unwanted]
    against = np.exp(np.max(unwanted, axis=0)) if unwanted else np.zeros(len(scores))
    if wanted is None:
        return np.asarray(1 / (1 + against))
    return np.asarray(1 / (1 + (1 + against) * np.exp(-_odds(background, wanted, model, vectors()))))


def _odds(background: Background, side: Side, model: Callable[[], LoadedModel], vectors: Vectors) -> Odds:
    """The log-odds of one side, (n,): the weighted mean of those of its likeness and its words."""
    parts, weights = [], []
    if side.likeness is not None:
        cosines = vectors @ side.likeness
        parts.append(background.odds(cosines, length=side.length, weight=side.weight))
        weights.append(side.weight)
    for text, weight in side.texts:
        parts.append(_odds_of_words(background, text, model(), vectors))
        weights.append(weight)
    for meant, weight in side.meant:
        parts.append(
            meant.odds(
                vectors, background.odds, lambda text, some: _odds_of_words(background, text, model(), some)
            )
        )
        weights.append(weight)
    return np.asarray(np.average(parts, axis=0, weights=weights))


def _odds_of_words(background: Background, text: str, model: LoadedModel, vectors: Vectors) -> Odds:
    """The log-odds that pictures show what a text names, (n,)."""
    if model.presence is None:
        return background.odds(vectors @ model.embed_text(text), of_words=True)
    chance = np.clip(model.presence(text, vectors).astype(np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(chance / (1 - chance)))


def by_confidence(confidences: Odds) -> NDArray[np.int64]:
    """The order of hits (n,) of words: the likelier first among the first `ORDERED`, and so on.

    In blocks, so that the first hits stay the same if more are asked for.
    """
    return np.lexsort((-confidences, np.arange(len(confidences)) // ORDERED))


def known_here(error: UnknownWordError, shows: Callable[[str], bool]) -> UnknownWordError:
    """The same error, suggesting only words of which the collection has a picture."""
    words = [word for word in error.nearest if shows(word)]
    hint = f"did you mean {' or '.join(words)}?" if words else "try another word or a picture"
    return UnknownWordError(error.message, hint, words)


def sharpened(
    confidences: Odds,
    labels: Sequence[str | None],
    near_scores: Vectors,
    near_labels: Sequence[str | None],
) -> Odds:
    """Improve the confidences (n,) of hits with these `labels`, using the labels nearest to the query.

    The `NEIGHBOURS` nearest vote with their labels, nearer ones with more weight; the confidence of a hit is
    how likely its label is the query's. Hits without a label keep theirs.
    """
    share = shares(labels, near_scores, near_labels)
    if share is None:
        return confidences
    of_label = probability(OF_SHARE[0] * odds_of_share(share) + OF_SHARE[1])
    labelled = np.array([label is not None for label in labels], bool)
    return np.where(labelled, of_label * np.minimum(1, confidences / STRANGER), confidences)


def shares(
    labels: Sequence[str | None], near_scores: Vectors, near_labels: Sequence[str | None]
) -> Odds | None:
    """Each label's share of the votes of the nearest, (n,); None if none of them has a label."""
    weights = np.exp(_SHARPNESS * (np.asarray(near_scores, np.float64) - np.max(near_scores, initial=-1.0)))
    votes: dict[str, float] = {}
    for label, weight in zip(near_labels, weights.tolist(), strict=True):
        if label is not None:
            votes[label] = votes.get(label, 0.0) + weight
    total = sum(votes.values())
    if not total:
        return None
    return np.array([votes.get(label, 0.0) / total if label is not None else 0.0 for label in labels])


def odds_of_share(share: Odds) -> Odds:
    """The log-odds of a share of votes, smoothed so that they are finite."""
    return np.asarray(np.log((share + _SMOOTHING) / (1 + _SMOOTHING - share)))
