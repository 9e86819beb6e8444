"""What is a confidence worth: of hits of a confidence of 0.8 to 0.9, do 85% have the label of the query?

    python benchmarks/confidence.py --flowers FOLDER --clothing FOLDER --grocery FOLDER --stamps FOLDER

Each picture asks for its ten nearest others; a hit is right where the labels are equal. Pictures that are the
only one of their label do not ask. Each data set is reported with what was fitted on all the others; the last
lines are what is fitted on all, which is what `lookalike.search` has.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from labels import collections, parser_of
from numpy.typing import NDArray

import lookalike
from lookalike.search.confidence import background_of, probability
from lookalike.search.evidence import NEIGHBOURS, STRANGER, odds_of_share, shares
from lookalike.search.results import WEAK

Floats = NDArray[np.float64]
Line = tuple[float, float]

# Pictures of other data sets that ask count so much beside its own: nothing there is like them. Not those of
# stamps, which show fruit, clothes and flowers, nor drawn flowers among photographs of them.
_STRANGERS, _ALIKE = 0.2, ({"flowers", "drawn"}, {"stamps"})
_BINS = 10


@dataclass(frozen=True)
class Asked:
    """The hits of some queries, (Q, 10) each: cosine, rarity, odds of the label's share, if it is right."""

    cosine: Floats
    rarity: Floats
    share: Floats
    right: NDArray[np.bool_]


def main() -> None:
    options = parser_of(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sets = {name: (made, labels) for name, made, labels in collections(options, Path(folder))}
        own = {name: _own(*sets[name]) for name in sets}
        strangers = {name: _strangers(name, sets) for name in sets}
        for name, asked in own.items():
            others = [one for one in sets if one != name]
            print(f"\n{name}: {len(asked.right):,} queries; tuned on: {', '.join(others)}")
            print(f"first hits that are right: {asked.right[:, 0].mean():.3f}")
            by_cosine, by_rarity, by_share = _fits(
                [own[one] for one in others], [strangers[one] for one in others]
            )
            alone = _of(by_cosine, asked.cosine)
            _report("labels hidden", alone, asked.right)
            _report("labels hidden, as for another model", _of(by_rarity, asked.rarity), asked.right)
            _report("labels known", _sharpened(by_share, alone, asked), asked.right)
            if len(strangers[name].right):
                strange = strangers[name]
                found = _sharpened(by_share, _of(by_cosine, strange.cosine), strange)[:, 0]
                print(
                    f"  asked with pictures of other sets: {np.mean(found < WEAK):.2f} of first hits are weak"
                )
        names = ("OF_COSINE", "OF_RARITY", "OF_SHARE")
        print("\ntuned on all:", dict(zip(names, _fits(own.values(), strangers.values()), strict=True)))


def _own(collection: lookalike.Collection, labels: list[str]) -> Asked:
    vectors = collection.embeddings()
    count = Counter(labels)
    rows = np.array([row for row, label in enumerate(labels) if count[label] > 1])
    scores = vectors[rows] @ vectors.T
    scores[np.arange(len(rows)), rows] = -2
    return _asked(collection, labels, scores, [labels[row] for row in rows])


def _strangers(name: str, sets: Mapping[str, tuple[lookalike.Collection, list[str]]]) -> Asked:
    """Pictures of the other data sets that ask, every seventh."""
    collection, labels = sets[name]
    far = [one for one in sets if one != name and not any(alike & {one, name} == alike for alike in _ALIKE)]
    far = [] if name == "stamps" else [one for one in far if one != "stamps"]
    vectors = [sets[one][0].embeddings()[::7] for one in far]
    queries = np.concatenate([np.empty((0, collection.snapshot.dim), np.float32), *vectors])
    return _asked(collection, labels, queries @ collection.embeddings().T, [""] * len(queries))


def _asked(collection: lookalike.Collection, labels: list[str], scores: Floats, wanted: list[str]) -> Asked:
    background = background_of(collection.snapshot)
    assert background is not None
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :NEIGHBOURS]
    cosine = np.take_along_axis(scores, rows, axis=1)
    found = np.array(labels)[rows].reshape(rows.shape)
    votes = [shares(mine.tolist(), near, mine.tolist()) for mine, near in zip(found, cosine, strict=True)]
    share = odds_of_share(np.array(votes).reshape(rows.shape))
    rarity = background.rarity(cosine.ravel(), background.items).reshape(rows.shape)
    return Asked(cosine, rarity, share, found == np.array(wanted)[:, None])


def _fits(own: Iterable[Asked], strangers: Iterable[Asked]) -> tuple[Line, Line, Line]:
    """Slope and intercept of the odds by cosine, by rarity, and by the share of the label."""
    parts = [(one, 1.0) for one in own]
    both = parts + [(one, _STRANGERS) for one in strangers if len(one.right)]
    return (
        _logistic([(one.cosine, one.right, weight) for one, weight in both]),
        _logistic([(one.rarity, one.right, weight) for one, weight in both]),
        _logistic([(one.share, one.right, weight) for one, weight in parts]),
    )


def _logistic(parts: list[tuple[Floats, NDArray[np.bool_], float]]) -> Line:
    """Logistic regression by Newton's method; parts weigh the same, and a hit less the later it comes."""
    ranks = 1 / np.arange(1, NEIGHBOURS + 1)
    x = np.concatenate([values.ravel() for values, _, _ in parts])
    y = np.concatenate([right.ravel() for _, right, _ in parts]).astype(float)
    w = np.concatenate([np.tile(ranks, len(right)) * weight / len(right) for _, right, weight in parts])
    design, line = np.stack([x, np.ones_like(x)], axis=1), np.zeros(2)
    for _ in range(50):
        p = probability(design @ line)
        curvature = (design * (w * p * (1 - p))[:, None]).T @ design + 1e-6 * np.eye(2)
        line -= np.linalg.solve(curvature, design.T @ (w * (p - y)) + 1e-6 * line)
    return round(float(line[0]), 3), round(float(line[1]), 3)


def _of(line: Line, values: Floats) -> Floats:
    return probability(line[0] * values + line[1])


def _sharpened(by_share: Line, alone: Floats, asked: Asked) -> Floats:
    return _of(by_share, asked.share) * np.minimum(1, alone / STRANGER)


def _report(what: str, confidence: Floats, right: NDArray[np.bool_]) -> None:
    first, first_right = confidence[:, 0], right[:, 0]
    weak = [
        f"{np.mean(some < WEAK):.3f}" if len(some) else "none"
        for some in (first[first_right], first[~first_right])
    ]
    print(f"  {what}:")
    print(f"    ECE {_error(first, first_right):.3f} of first hits, {_error(confidence, right):.3f} of ten")
    print(f"    weak (below {WEAK:.2f}): {weak[0]} of the right first hits, {weak[1]} of the wrong")
    bins = np.minimum((first * _BINS).astype(int), _BINS - 1)
    rows = [(one, bins == one) for one in range(_BINS) if (bins == one).any()]
    print("    confidence  " + "  ".join(f"{one / _BINS:5.1f}" for one, _ in rows))
    print("    mean        " + "  ".join(f"{first[mine].mean():5.2f}" for _, mine in rows))
    print("    right       " + "  ".join(f"{first_right[mine].mean():5.2f}" for _, mine in rows))
    print("    hits        " + "  ".join(f"{mine.sum():5}" for _, mine in rows))


def _error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """The expected calibration error: |confidence - share of right hits|, the mean over ten bins by hits."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    parts = [bins == one for one in range(_BINS)]
    return float(
        sum(abs(confidence[one].mean() - right[one].mean()) * one.mean() for one in parts if one.any())
    )


if __name__ == "__main__":
    main()
