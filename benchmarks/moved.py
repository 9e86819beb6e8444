"""Which pictures a head moves: queries that were not learned from, and their five nearest before and after.

    python benchmarks/moved.py clothing.lookalike docs/moved.jpg

Of each label, the last quarter of its pictures asks among the other three quarters, which a head has learned
from. Draws the query of each kind whose precision@5 rises most, and below them those that lose most; a frame
is green where the label is that of the query, else red.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

import lookalike
from lookalike.learning.heads import train_head
from lookalike.storage.snapshot import Snapshot

Ints = NDArray[np.int64]

_NEAREST, _RISING, _FALLING = 5, 5, 2
_SIDE_PX, _FRAME_PX, _GAP_PX = 76, 4, 16
_RIGHT, _WRONG, _ASKED, _GROUND = "#2a9d4a", "#d43d2f", "#888888", "white"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("collection", help="with labels and thumbnails")
    parser.add_argument("out", type=Path, help="the JPEG to write")
    parser.add_argument("--label", default="label", help="the column of labels")
    options = parser.parse_args()
    snapshot = lookalike.open(options.collection).snapshot
    labels = np.array(snapshot.column(options.label).to_pylist())
    asks = np.zeros(len(labels), bool)
    for one in np.unique(labels):
        mine = np.flatnonzero(labels == one)
        asks[mine[-len(mine) // 4 :]] = True
    gallery, queries = np.flatnonzero(~asks), np.flatnonzero(asks)
    head = train_head(snapshot, options.label, rows=gallery)
    print(head.report)
    before = snapshot.vectors(np.arange(len(labels))).astype(np.float32)
    near = [_nearest(vectors, queries, gallery) for vectors in (before, head.from_base(before))]
    right = [labels[some] == labels[queries][:, None] for some in near]
    gain = right[1].sum(axis=1) - right[0].sum(axis=1)
    print(f"precision@{_NEAREST}: {right[0].mean():.3f} -> {right[1].mean():.3f}; of {len(queries)} queries")
    print(f"{(gain > 0).sum()} rise, {(gain < 0).sum()} fall and {(gain == 0).sum()} stay")
    shown = [*_of_each(-gain, labels[queries], _RISING), *_of_each(gain, labels[queries], _FALLING)]
    for at in shown:
        names = [", ".join(labels[some[at]].tolist()) for some in near]
        print(f"{labels[queries[at]]}: {names[0]} -> {names[1]}")
    rows = [[int(queries[at]), *near[0][at].tolist(), *near[1][at].tolist()] for at in shown]
    _sheet(snapshot, labels, rows).save(options.out, quality=75)


def _nearest(vectors: NDArray[np.float32], queries: Ints, gallery: Ints) -> Ints:
    cosines = vectors[queries] @ vectors[gallery].T
    return gallery[np.argsort(-cosines, axis=1, kind="stable")[:, :_NEAREST]]


def _of_each(order: Ints, labels: NDArray[np.str_], most: int) -> list[int]:
    """The first query of each label by this order, the first `most` of them."""
    found: dict[str, int] = {}
    for at in np.argsort(order, kind="stable").tolist():
        found.setdefault(str(labels[at]), at)
    return list(found.values())[:most]


def _sheet(snapshot: Snapshot, labels: NDArray[np.str_], rows: Sequence[list[int]]) -> Image.Image:
    """A line for each query: the query, its nearest before, and after."""
    step = _SIDE_PX + 2 * _FRAME_PX
    width = step * len(rows[0]) + 2 * _GAP_PX
    sheet = Image.new("RGB", (width, step * len(rows)), _GROUND)
    for line, row in enumerate(rows):
        for place, (one, jpeg) in enumerate(zip(row, snapshot.thumbnails(row), strict=True)):
            assert jpeg
            color = _ASKED if place == 0 else _RIGHT if labels[one] == labels[row[0]] else _WRONG
            picture = ImageOps.fit(Image.open(io.BytesIO(jpeg)).convert("RGB"), (_SIDE_PX, _SIDE_PX))
            framed = ImageOps.expand(picture, _FRAME_PX, color)
            gaps = _GAP_PX * ((place > 0) + (place > _NEAREST))
            sheet.paste(framed, (place * step + gaps, line * step))
    return sheet


if __name__ == "__main__":
    main()
