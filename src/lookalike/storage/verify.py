"""Verification: reads every byte of a collection and reports what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from lookalike.errors import ModelError
from lookalike.storage.learned import read_learned
from lookalike.storage.manifest import Manifest
from lookalike.storage.marks import marks_problems
from lookalike.storage.parts import Part, list_parts
from lookalike.storage.stores import each


def problems(root: Path, manifest: Manifest) -> Iterator[str]:
    """Read every byte of the rows, thumbnails, marks and learned file; yield one line for each problem."""
    try:
        read_learned(root, manifest.model)
    except ModelError as error:
        yield str(error)
    yield from marks_problems(root)
    seen: set[str] = set()
    parts = sorted({*list_parts(root, "items"), *list_parts(root, "failures")}, key=lambda part: part.number)
    for part, found in zip(parts, each(parts, Part.problems, root), strict=True):
        yield from found
        if not found and part.items_path.exists():
            yield from _row_problems(part, manifest.model.dim, seen)


def _row_problems(part: Part, dim: int, seen: set[str]) -> Iterator[str]:
    """The problems of rows in an undamaged file: duplicate ids, invalid vectors."""
    rows = part.items(["id", "thumb_offset", "thumb_size"])
    ids = rows["id"].to_pylist()
    for id_ in ids:
        if id_ in seen:
            yield f"{part.items_path}: the id {id_} occurs twice"
        seen.add(id_)
    vectors = part.embeddings()
    if vectors.shape[1] != dim:
        yield f"{part.items_path}: {vectors.shape[1]} dimensions, the model has {dim}"
    norms = np.linalg.norm(vectors, axis=1)
    for row in np.flatnonzero(~(np.abs(norms - 1) < 0.01)):
        yield f"{part.items_path}: the embedding of {ids[row]} is not of unit length"
    tar_size = part.thumbnails_path().stat().st_size
    ends = pc.add(rows["thumb_offset"], rows["thumb_size"])
    starts = [pc.min(rows[name]).as_py() or 0 for name in ("thumb_offset", "thumb_size")]
    if min(starts) < 0 or (pc.max(ends).as_py() or 0) > tar_size:
        yield f"{part.items_path}: a thumbnail lies outside its tar"
