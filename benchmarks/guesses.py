"""What guesses by WordNet's relatives find: words that the network does not know, each hidden in turn.

    python benchmarks/guesses.py --flowers FOLDER --clothing FOLDER --grocery FOLDER --stamps FOLDER

The words are those of folders and file names, of at least four pictures (of stamps: of one). A guess is by
the network's own kinds of things, or, for a model without words, by the other words of the collection. The
bounds of a guess were chosen on stamps.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
from labels import collections, parser_of
from numpy.typing import NDArray

import lookalike
from lookalike.errors import LookalikeError
from lookalike.models.registry import load_model
from lookalike.models.spelling import STOP_WORDS
from lookalike.models.words import vocabulary
from lookalike.search.lexicon import Lexicon, Meant
from lookalike.search.own_words import OwnWords

_K, _LEAST = 10, 4
# Words of names of shops and kinds of things that the dictionary takes for something else.
_NO_NOUNS = frozenset(
    "bravo fat granny kaiser lady low natural regular royal smith shelf red mild fresh valio arla garant "
    "golden".split()
)


def main() -> None:
    options = parser_of(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, collection, _ in collections(options, Path(folder)):
            if name != "drawn":
                print(f"\n{name}: {len(collection):,} pictures")
                _measure(collection, least=1 if name == "stamps" else _LEAST)


def _measure(collection: lookalike.Collection, least: int) -> None:
    ids = collection.items(["id"])["id"].to_pylist()
    vectors = collection.embeddings()
    network = Lexicon(OwnWords(()), load_model(), vectors.shape[1])
    shown = {word: rows for word, rows in _words(ids).items() if len(rows) >= least}
    unknown = [word for word in shown if not vocabulary().find(word) and word not in _NO_NOUNS]
    own = collection.words()
    found: dict[str, list[tuple[float, float]]] = {}
    for word in unknown:
        right = np.isin(np.arange(len(ids)), shown[word])
        others = [one for one in own if not _overlap(shown.get(_singular(one.name), []), shown[word])]
        found.setdefault("chance", []).append((right.mean(), right.mean()))
        for by, lexicon in (
            ("the network", network),
            ("own words", Lexicon(OwnWords(others), None, vectors.shape[1])),
        ):
            if meant := _guess(lexicon, word):
                found.setdefault(by, []).append(_ranked(vectors @ meant.vector, right))
    for by, some in found.items():
        print(f"  {by:12} {len(some):3} words: P@10 {np.mean(some, 0)[0]:.3f}, mAP {np.mean(some, 0)[1]:.3f}")
    _kinds(vectors, own, shown)


def _kinds(vectors: NDArray[np.float32], own: list, shown: dict[str, list[int]]) -> None:
    """Wider terms by the collection's words for kinds of them, as for a model without words."""
    lexicon = Lexicon(OwnWords([one for one in own if _singular(one.name) in shown]), None, vectors.shape[1])
    some = []
    for term, meanings in vocabulary().terms.items():
        if len(meanings[0].classes) > 1 and term not in shown and (meant := _guess(lexicon, term)):
            rows = sorted({row for one in meant.own for row in shown[_singular(one.name)]})
            if "of it" in meant.parts[0].said:
                some.append(_ranked(vectors @ meant.vector, np.isin(np.arange(len(vectors)), rows)))
    if some:
        precision, average = np.mean(some, 0)
        print(f"  {len(some)} wider terms by own words: P@10 {precision:.3f}, mAP {average:.3f}")


def _guess(lexicon: Lexicon, word: str) -> Meant | None:
    try:
        meant = lexicon.meant(word)
    except LookalikeError:
        return None
    return meant if meant.most < 1 else None


def _words(ids: list[str]) -> dict[str, list[int]]:
    """The rows whose folders or names have a word, by its singular."""
    found: dict[str, list[int]] = {}
    for row, id_ in enumerate(ids):
        for word in dict.fromkeys(map(_singular, re.findall("[a-z]{3,}", id_.lower()))):
            if word not in STOP_WORDS:
                found.setdefault(word, []).append(row)
    return {word: rows for word, rows in found.items() if len(rows) < len(ids) / 2}


def _singular(word: str) -> str:
    known = vocabulary()
    return next(
        (one for one in known.forms(word.lower()) if one in known.related or one in known.terms), word.lower()
    )


def _overlap(some: list[int], others: list[int]) -> bool:
    """Whether two words are about the same pictures."""
    return len({*some} & {*others}) > min(len(some), len(others)) / 2


def _ranked(scores: NDArray[np.float32], right: NDArray[np.bool_]) -> tuple[float, float]:
    """Precision of the first ten, or of as many as are right; average precision."""
    order = right[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(order) / np.arange(1, len(order) + 1)
    return float(order[: min(_K, int(right.sum()))].mean()), float(precision[order].mean())


if __name__ == "__main__":
    main()
