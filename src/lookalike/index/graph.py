"""A graph is made in memory, since each row is linked with rows all over it; then it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.index.faiss_library import faiss
from lookalike.index.info import Slot


class Graph:
    """As `Filling`, for an index that grows in memory; `index` holds the rows that are kept already."""

    slots: tuple[Slot, ...] = ()

    def __init__(self, path: Path, index: Any) -> None:
        self._path, self._index = path, index

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, *_: object) -> None:
        self._index = None

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """What `add` takes: the rows as they are."""
        return vectors

    def add(self, vectors: NDArray[np.float32]) -> None:
        """The next rows, (n, D)."""
        self._index.add(vectors)

    def keep(self, old_start: int, count: int) -> None:
        """The next rows are in it: a graph keeps all its rows in their order, or is built again."""

    def finish(self) -> None:
        """All rows have come: write the file."""
        with self._path.open("wb") as file:
            faiss().write_index(self._index, faiss().PyCallbackIOWriter(file.write))
