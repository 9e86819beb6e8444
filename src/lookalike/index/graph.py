"""A graph is built in memory, because each row is linked to rows all over it, and then written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.index.faiss_library import faiss
from lookalike.index.info import Slot


class Graph:
    """Like `Filling`, for an index that grows in memory; `index` holds the rows kept so far."""

    slots: tuple[Slot, ...] = ()

    def __init__(self, path: Path, index: Any) -> None:
        self._path, self._index = path, index

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, *_: object) -> None:
        self._index = None

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the rows as they are, which is what `add` takes."""
        return vectors

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Add the next rows, (n, D)."""
        self._index.add(vectors)

    def keep(self, old_start: int, count: int) -> None:
        """The next rows are already in it: a graph keeps all its rows in order, or is built again."""

    def finish(self) -> None:
        """Write the file, after all rows have been added."""
        with self._path.open("wb") as file:
            faiss().write_index(self._index, faiss().PyCallbackIOWriter(file.write))
