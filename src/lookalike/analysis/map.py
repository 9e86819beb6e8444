"""Maps: places every item in the plane, with similar items close together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from lookalike.analysis.map_picture import draw_map
from lookalike.analysis.projection import project, projection_bytes
from lookalike.checking import checked
from lookalike.errors import ExtraError, LookalikeError, counted
from lookalike.storage.derived import Derived, write_derived
from lookalike.storage.selection import Rows, Selection, Vectors
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.state import State

NAME = "map"
Method = Literal["pca", "umap"]

# UMAP on the first components takes less time and memory, and looks the same.
_UMAP_COMPONENTS, _UMAP_NEIGHBOURS = 50, 15
# Measured: the memory it needs at all, and for each item.
_UMAP_BYTES, _UMAP_ITEM_BYTES = 250_000_000, 4000


@dataclass(frozen=True, slots=True)
class Map:
    """The places of N items: `ids`, and `places` float32 (N, 2) from -1 to 1, y upwards, with equal scales.

    The items are the `rows` (N,) of the snapshot.
    """

    method: Method
    seed: int
    ids: list[str]
    places: Vectors
    snapshot: Snapshot = field(repr=False, compare=False)
    rows: Rows = field(repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Map({counted(len(self), 'image')} by {self.method})"

    def plot(self, color: str | None = None, *, size_px: int = 1600, thumbnails: bool = True) -> Image.Image:
        """The map as a picture, dots coloured by a column; a notebook shows it. Raises as `draw_map`."""
        return draw_map(
            self.snapshot, self.rows, self.places, color=color, size_px=size_px, thumbnails=thumbnails
        )


@checked
def make_map(
    snapshot: Snapshot,
    method: Method = "pca",
    *,
    rows: Rows | None = None,
    seed: int = 0,
    max_memory_bytes: int | None = None,
) -> Map:
    """Place every item, or those in `rows` (ascending), in the plane.

    `pca` shows the two directions in which the items differ most: it is fast, always the same, and large
    distances can be trusted. `umap` (McInnes, Healy & Melville 2018) keeps neighbours together and shows
    groups; sizes of gaps mean little. Uses at most `max_memory_bytes`, if given, beyond the program itself.
    Raises `LookalikeError` if that is not enough, or if all images are equal.
    """
    if method not in ("pca", "umap"):
        raise LookalikeError(f"unknown map method {method!r}", "known are: pca, umap")
    selection = Selection.of(snapshot, rows=rows, least=3)
    components = min(_UMAP_COMPONENTS, selection.dim) if method == "umap" else 2
    need = projection_bytes(selection, components)
    if method == "umap":
        need += _UMAP_BYTES + _UMAP_ITEM_BYTES * len(selection)
    selection.room(max_memory_bytes, need, f"a map by {method}")
    places = project(selection, components)
    if method == "umap":
        places = _umap(places, seed)
    places = places - (places.max(axis=0) + places.min(axis=0)) / 2
    extent = float(np.abs(places).max())
    if extent < 1e-6:
        raise LookalikeError("all images have the same vector, so there is nothing to map")
    return Map(method, seed, selection.ids, (places / extent).astype(np.float32), snapshot, selection.rows)


def write_map(state: State, placed: Map) -> None:
    """Store the places of all items as `derived/map.parquet` and `.json`; raises `ChangedError`."""
    rows = pa.table(
        {
            "id": pa.array(placed.ids, pa.string()),
            "x": pa.array(placed.places[:, 0], pa.float32()),
            "y": pa.array(placed.places[:, 1], pa.float32()),
        }
    )
    facts = {"method": placed.method, "seed": placed.seed}
    command = ["lookalike", "map", str(state.root), "--method", placed.method, "--seed", str(placed.seed)]
    write_derived(state, NAME, Derived(rows, facts), command)


def _umap(vectors: Vectors, seed: int) -> NDArray[np.float32]:
    """The places (N, 2) by UMAP; raises `ExtraError` without umap-learn."""
    if np.ptp(vectors, axis=0).max() < 1e-6:
        return vectors[:, :2]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about numba, and about TensorFlow, which is not needed
            import umap
    except ImportError:
        raise ExtraError("a map by UMAP needs umap-learn", "umap") from None
    neighbours = min(_UMAP_NEIGHBOURS, len(vectors) - 1)
    # A few points have no spectral layout to start from.
    start = "spectral" if len(vectors) > 2 * neighbours else "random"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says each time that a seed means one thread
        found = umap.UMAP(n_neighbors=neighbours, random_state=seed, init=start).fit_transform(vectors)
    return np.asarray(found, np.float32)
