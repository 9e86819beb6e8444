"""Tells pictures of other things by the base of a learned model, which looks at them a second time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError
from lookalike.learning.familiar import Familiar, read_familiar
from lookalike.learning.finetune.pictures import Pictures
from lookalike.models.model import LoadedModel
from lookalike.models.registry import find_base
from lookalike.models.runner import batch_size
from lookalike.parallel import in_order
from lookalike.search.query import Id, Image, Query
from lookalike.storage.snapshot import Snapshot

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

# So many labelled pictures are looked at to see whether they are like those that the model learned from.
_TRIED = 30


@dataclass(frozen=True, slots=True)
class Strangers:
    """What a learned model keeps of its base, and that base, ready to run."""

    snapshot: Snapshot
    familiar: Familiar
    base: LoadedModel

    @staticmethod
    def of(snapshot: Snapshot, names: Sequence[str], rows: Ints) -> Strangers | None:
        """Those of the model of a collection with the labels `names`, which the items in `rows` have.

        None if the model keeps nothing of its base, which is not here, or has not learned one of the labels,
        or if most of the labelled pictures are unlike those that it learned from. Raises as `read_familiar`.
        """
        model, path = snapshot.manifest.model, snapshot.manifest.model_path
        familiar = read_familiar(Path(path), model.sha256) if path else None
        if familiar is None or not set(names) <= set(familiar.names):
            return None
        try:
            base = find_base(familiar.base, familiar.base_path)
        except ModelError:
            return None
        if base is None:
            return None
        found = Strangers(snapshot, familiar, base)
        strange, seen = found.among(np.unique(rows[np.linspace(0, len(rows) - 1, _TRIED).astype(int)]))
        return None if (strange & seen).sum() > seen.sum() / 2 else found

    def among(self, rows: Ints) -> tuple[Bools, Bools]:
        """Which of the items in N rows are strange, and of which there is a picture to tell by: (N,) each."""
        size = batch_size("cpu")
        blocks = [rows[start : start + size] for start in range(0, len(rows), size)]
        found = list(in_order(self._block, blocks, 2, ahead=2))
        empty = np.empty(0, bool)
        return (
            np.concatenate([empty, *(one[0] for one in found)]),
            np.concatenate([empty, *(one[1] for one in found)]),
        )

    def asked(self, queries: Sequence[Query]) -> tuple[Bools, Bools]:
        """The same of Q queries; there is nothing to tell by where one is a vector or a sum."""
        found = [self._one(query) for query in queries]
        return np.array([bool(one) for one in found], bool), np.array([one is not None for one in found])

    def _one(self, query: Query) -> bool | None:
        match query.terms:
            case ((Image(image, box), _),):
                vectors = self.base.embed_pixels(self.base.pixels(image, box)[None])
                return bool(self.familiar.is_strange(vectors)[0])
            case ((Id(id_), _),):
                strange, seen = self.among(self.snapshot.rows_of([id_]))
                return bool(strange[0]) if seen[0] else None
        return None

    def _block(self, rows: Ints) -> tuple[Bools, Bools]:
        pictures = Pictures(self.snapshot, rows, self.base.spec, holds=True)
        pictures.check(lambda _: None)
        vectors = self.base.embed_pixels(pictures.pixels(np.arange(len(rows))))
        return self.familiar.is_strange(vectors), pictures.readable
