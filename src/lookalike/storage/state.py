"""The state of a collection: its manifest and the states of its parts, found without reading any row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import CollectionError, counted
from lookalike.storage.manifest import MANIFEST_NAME, Manifest, read_manifest
from lookalike.storage.part_state import NO_STAMP, PartState, changed, stamp_of
from lookalike.storage.parts import Part, list_parts
from lookalike.storage.stores import each

_ATTEMPTS = 3


@dataclass(frozen=True)
class State:
    """One state of the collection at `root`; its rows are numbered in the order of `parts`."""

    root: Path
    manifest: Manifest
    parts: tuple[PartState, ...]

    def __repr__(self) -> str:
        return f"State({str(self.root)!r}: {counted(self.count, 'image')}, {self.fingerprint[:12]})"

    @staticmethod
    def read(root: Path, known: Mapping[int, PartState] | None = None) -> State:
        """Read the current state of a collection.

        `known` are part states read before, by number: one whose stamp still matches its file is reused, and
        nothing is opened for it.
        Raises `CollectionError` if there is no collection or a part is damaged, `ChangedError` if the
        collection changes faster than it can be read.
        """
        known = known or {}

        def read(part: Part) -> PartState:
            before = known.get(part.number)
            if before is not None and before.stamp != NO_STAMP and before.stamp == stamp_of(part):
                return before
            return PartState.read(part)

        for _ in range(_ATTEMPTS):
            manifest, parts = read_manifest(root), list_parts(root)
            try:
                states = tuple(each(parts, read, root))
            except CollectionError:
                if all(part.items_path.exists() for part in parts):
                    raise
                continue  # a build has just removed it
            # A rebuild may have put other vectors under a new manifest.
            if Manifest.read(root / MANIFEST_NAME) == manifest:
                return State(root, manifest, states)
        raise changed(root)

    @cached_property
    def fingerprint(self) -> str:
        """A name for this state: the same rows and model give the same text."""
        state = hashlib.sha256(json.dumps(self.manifest.model.to_fields()).encode())
        for one in self.parts:
            state.update(f"{one.part.number} {one.checksum}\n".encode())
        return state.hexdigest()

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The number of each part's first row, then the number of all rows, (P + 1,)."""
        return np.cumsum([0, *(one.count for one in self.parts)], dtype=np.int64)

    @property
    def count(self) -> int:
        """The number of rows, N."""
        return int(self.starts[-1])

    def places_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The position in `parts` of each of these rows, (n,)."""
        return np.searchsorted(self.starts, rows, side="right") - 1
