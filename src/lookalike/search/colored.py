"""Colours as words: how much of each picture has a named colour, and searches for it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import QueryError
from lookalike.images.color_names import MOST_ITEMS, NAMES, color_shares, columns_of
from lookalike.search.evidence import confidence_of
from lookalike.search.query import Direction
from lookalike.search.results import Results
from lookalike.storage.derived_arrays import read_arrays, write_arrays
from lookalike.storage.snapshot import Snapshot

if TYPE_CHECKING:
    from lookalike.search.engine import Engine

Shares = NDArray[np.uint8]

FORMAT, FORMAT_VERSION = "lookalike-colors", 1
_FILE_NAME = "colors.npz"
_AT_ONCE = 1000
# Of a query with other words, as many of the nearest are sorted by colour too.
_CANDIDATES = 500
# A picture of which a fifth has a colour has it half of the time.
_ODDS_OF_COLOR = 4.0


def find_colored(
    engine: Engine,
    direction: Direction,
    k: int,
    *,
    mask: NDArray[np.bool_] | None,
    hidden: Collection[int],
    min_confidence: float,
) -> Results:
    """The k rows that are most likely what a query wants and of its colours, the likeliest first.

    Without anything but colours, these are all rows, and the score is the share of pixels. Else they are the
    500 nearest, and the score is the cosine; the order is that of both chances multiplied.
    """
    chances = _chances(engine, direction.colors)
    allowed = np.ones(len(engine), np.bool_) if mask is None else mask.copy()
    allowed[list(hidden)] = False
    if direction.vector.any():
        ((rows, scores),) = engine.nearest([direction.vector], max(k, _CANDIDATES), allowed)
        confidences = chances[rows]
        if engine.background is not None and len(rows):
            of_rest = replace(direction, colors=())
            vectors = engine.vectors_at(rows)
            confidences = confidences * confidence_of(
                engine.background, of_rest, scores, lambda: engine.snapshot.model, lambda: vectors
            )
    else:
        rows = np.flatnonzero(allowed)
        confidences = chances[rows]
        scores = np.asarray(confidences / (_ODDS_OF_COLOR - (_ODDS_OF_COLOR - 1) * confidences), np.float32)
    order = np.argsort(-confidences, kind="stable")[:k]
    order = order[confidences[order] >= min_confidence]
    return Results(
        engine.snapshot, rows[order], scores[order], confidences[order], direction.meant, direction.refined
    )


def _chances(engine: Engine, colors: tuple[str, ...]) -> NDArray[np.float64]:
    """How likely each picture has all of these colours, (N,): 4s / (1 + 3s) for a share s of its pixels."""
    shares = engine.kept("colors", "", lambda: shares_of(engine.snapshot))
    found = np.min([shares[:, columns_of(one)].sum(axis=1) for one in colors], axis=0) / 255
    share = np.minimum(found, 1)
    return np.asarray(_ODDS_OF_COLOR * share / (1 + (_ODDS_OF_COLOR - 1) * share))


def shares_of(snapshot: Snapshot) -> Shares:
    """The shares of named colours of each picture, uint8 (N, C) in 255ths: from `derived/`, else measured.

    Raises `QueryError` for a collection without thumbnails, or of which measuring would take too long.
    """
    heading = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "names": list(NAMES),
        "fingerprint": snapshot.fingerprint,
    }
    path = snapshot.root / "derived" / _FILE_NAME
    if stored := read_arrays(path, heading):
        shares: Shares | None = stored[1].get("shares")
        if shares is not None and shares.shape == (len(snapshot), len(NAMES)):
            return shares
    if len(snapshot) > MOST_ITEMS:
        raise QueryError(
            f"the colours of {len(snapshot):,} pictures are not known, the limit is {MOST_ITEMS:,}",
            "leave the colour out",
        )
    found = _measured(snapshot)
    if len(snapshot) and not found.any():
        raise QueryError(
            f"the colours of its pictures are unknown: {snapshot.name} has no thumbnails",
            "leave the colour out",
        )
    write_arrays(path, heading, shares=found)
    return found


def _measured(snapshot: Snapshot) -> Shares:
    rows = np.arange(len(snapshot))
    pieces = [rows[at : at + _AT_ONCE] for at in range(0, len(rows), _AT_ONCE)]
    found = [color_shares(jpeg) for piece in pieces for jpeg in snapshot.thumbnails(piece)]
    return np.stack(found) if found else np.zeros((0, len(NAMES)), np.uint8)
