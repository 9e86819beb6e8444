"""What own words are worth: words of half the pictures of each label search the other half.

    python benchmarks/own_words.py --flowers FOLDER --clothing FOLDER --grocery FOLDER

P@10 (or at the number there are, if fewer) and mean average precision of all words over the other half; how
well the confidences of the ten best are calibrated (ECE, ten bins). Then one pile of all data sets, where
half of one has labels: how often the best picture of another data set, which does not show the word, has a
confidence of a half or more.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

import numpy as np

import lookalike
from lookalike.search.mentions import Mention
from lookalike.search.own_words import OwnWord, learnt
from lookalike.search.thumbs import average_precision

NAMES = ("flowers", "clothing", "grocery")
SEEDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in NAMES:
        parser.add_argument(f"--{name}", type=Path)
    options = parser.parse_args()
    piles = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            if getattr(options, name) is not None:
                made = lookalike.build(getattr(options, name), f"{folder}/{name}.lookalike")
                piles[name] = made.embeddings(), np.array([_label(name, id_) for id_ in made.ids])
    for name, (vectors, labels) in piles.items():
        others = [other for key, (other, _) in piles.items() if key != name]
        _report(name, vectors, labels)
        _report_strangers(vectors, labels, others)


def _label(name: str, id_: str) -> str:
    found = re.search(r"_([a-z]+)_", id_) if name == "flowers" else re.search(r"([^/]+)/[^/]+$", id_)
    assert found is not None
    return found[1]


def _report(name: str, vectors: np.ndarray, labels: np.ndarray) -> None:
    ten, precisions, chances, right = [], [], [], []
    for seed in range(SEEDS):
        taught = np.random.default_rng(seed).random(len(labels)) < 0.5
        held_out, answers = vectors[~taught], labels[~taught]
        for word in _words(vectors, labels, taught):
            wanted = answers == word.name
            if word.slope is None or not wanted.any():
                continue
            scores = held_out @ word.vector
            best = np.argsort(-scores, kind="stable")[:10]
            ten.append(wanted[best].sum() / min(10, wanted.sum()))
            precisions.append(average_precision(scores[wanted], scores[~wanted]))
            chances += _chance(word, scores[best]).tolist()
            right += wanted[best].tolist()
    print(
        f"{name}: P@10 {np.mean(ten):.3f}, mAP {np.mean(precisions):.3f}, "
        f"ECE {_calibration_error(np.array(chances), np.array(right)):.3f}"
    )


def _report_strangers(vectors: np.ndarray, labels: np.ndarray, others: list[np.ndarray]) -> None:
    """How often the best of pictures without labels that show something else is believed."""
    every = np.concatenate([vectors, *others])
    padded = np.concatenate([labels, np.full(len(every) - len(labels), "")])
    taught = np.arange(len(every)) < len(labels)
    taught &= np.random.default_rng(0).random(len(every)) < 0.5
    believed = [
        _chance(word, (other @ word.vector).max()) >= 0.5
        for word in _words(every, padded, taught)
        if word.slope is not None
        for other in others
    ]
    print(f"  best of another data set at 0.5 or more: {np.mean(believed):.3f} of {len(believed)}")


def _words(vectors: np.ndarray, labels: np.ndarray, taught: np.ndarray) -> list[OwnWord]:
    said = [
        Mention(label, "label", np.flatnonzero(taught & (labels == label)), taught)
        for label in np.unique(labels[taught]).tolist()
    ]
    return list(learnt(said, len(labels), lambda rows: vectors[rows]).words)


def _chance(word: OwnWord, scores: np.ndarray) -> np.ndarray:
    assert word.slope is not None
    return 1 / (1 + np.exp(-(word.slope * scores + word.intercept)))


def _calibration_error(chances: np.ndarray, right: np.ndarray) -> float:
    bins = np.minimum((chances * 10).astype(int), 9)
    gaps = [abs(chances[bins == one].mean() - right[bins == one].mean()) for one in np.unique(bins)]
    return float(np.average(gaps, weights=[np.sum(bins == one) for one in np.unique(bins)]))


if __name__ == "__main__":
    main()
