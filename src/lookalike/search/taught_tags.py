"""Taught words as tags: a derived column with the words that each picture shows, to filter and name by."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.search.engine import Engine
from lookalike.search.own_words import OwnWord
from lookalike.search.taught import lessons
from lookalike.storage.derived import Derived, write_derived

# A picture gets the tag if it shows the word more likely than not. A single example does not say what the
# word is about: half of the pictures that are so much alike show something else, at 0.9 a tenth.
_LEAST, _LEAST_LIKE_ONE = 0.5, 0.9


def taught_tags(engine: Engine) -> Derived:
    """The taught words of each item, a list: those people say it shows, and those it probably shows."""
    words = {one.name: one for one in engine.own_words.words if one.origin == "taught"}
    shown: list[list[str]] = [[] for _ in range(len(engine))]
    for lesson in lessons(engine.snapshot):
        if lesson.name not in words:  # another word is spelled alike
            continue
        holds = _probable(engine, words[lesson.name])
        holds[lesson.liked], holds[lesson.unliked] = True, False
        for row in np.flatnonzero(holds).tolist():
            shown[row].append(lesson.name)
    column = pa.array([one or None for one in shown], pa.list_(pa.string()))
    return Derived(pa.table({"taught": column}), {"words": sorted(words)})


def write_taught_tags(engine: Engine) -> None:
    """Store the tags in `derived/`; raises as `write_derived`."""
    command = ["lookalike", "teach", str(engine.snapshot.root)]
    write_derived(engine.snapshot.state, "taught", taught_tags(engine), command)


def _probable(engine: Engine, word: OwnWord) -> NDArray[np.bool_]:
    """The rows that probably show a word, bool (N,)."""
    if word.slope is None:
        background = engine.background
        if background is None:
            return np.zeros(len(engine), np.bool_)
        scores = np.concatenate([block @ word.vector for block in engine.snapshot.blocks()])
        return np.asarray(background.confidence(scores) >= _LEAST_LIKE_ONE)
    least = np.log(_LEAST / (1 - _LEAST))
    odds = [word.slope * (block @ word.vector) + word.intercept for block in engine.snapshot.blocks()]
    return np.asarray(np.concatenate(odds) >= least)
