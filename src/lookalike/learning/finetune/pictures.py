"""The pictures of examples as a network sees them, from the originals, or the thumbnails of missing ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from lookalike.analysis.pictures import local_path
from lookalike.errors import ImageError
from lookalike.images.picture import Pixels
from lookalike.models.runner import input_of
from lookalike.models.spec import ModelSpec
from lookalike.parallel import cores
from lookalike.storage.snapshot import Snapshot

Ints = NDArray[np.int64]
Progress = Callable[[int], None]

_AT_ONCE = 64


class Pictures:
    """The pictures of N rows of a snapshot; `readable` (N,) says of which there are any, after `check`.

    An original is read if it is a local file that still has the bytes of its row. Otherwise its thumbnail is
    read, of at most 256 px a side: enough for crops of 224 px, and the same for a shard, a URL or a store.
    All are held in memory if `holds`, else they are read each time.
    """

    def __init__(self, snapshot: Snapshot, rows: Ints, spec: ModelSpec, *, holds: bool) -> None:
        self._snapshot, self._rows, self._spec = snapshot, rows, spec
        self._uris = snapshot.values("uri", rows)
        self._sha256s = snapshot.values("sha256", rows)
        self.readable = np.ones(len(rows), bool)
        self.originals = 0
        self._held: Pixels | None = np.empty((len(rows), *self._shape), np.uint8) if holds else None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def _shape(self) -> tuple[int, int, int]:
        return (self._spec.size_px, self._spec.size_px, 3)

    def check(self, on_progress: Progress) -> None:
        """Read every picture once, and hold it if there is memory for all; otherwise it is read again."""
        with ThreadPoolExecutor(cores()) as pool:
            for start in range(0, len(self), _AT_ONCE):
                places = np.arange(start, min(start + _AT_ONCE, len(self)))
                thumbnails = self._snapshot.thumbnails(self._rows[places])
                read = list(pool.map(self._read, places.tolist(), thumbnails))
                for place, (pixels, is_original) in zip(places.tolist(), read, strict=True):
                    self.readable[place] = pixels is not None
                    self.originals += is_original
                    if self._held is not None and pixels is not None:
                        self._held[place] = pixels
                on_progress(len(places))

    def pixels(self, places: Ints) -> Pixels:
        """The pictures uint8 (B, S, S, 3) at some of the N places; black for one that cannot be read."""
        if self._held is not None:
            return np.asarray(self._held[places])
        thumbnails = self._snapshot.thumbnails(self._rows[places])
        with ThreadPoolExecutor(cores()) as pool:
            read = list(pool.map(self._read, places.tolist(), thumbnails))
        black = np.zeros(self._shape, np.uint8)
        return np.stack([black if pixels is None else pixels for pixels, _ in read])

    def _read(self, place: int, thumbnail: bytes) -> tuple[Pixels | None, bool]:
        """The pixels of a picture, and whether they are from the original."""
        path = local_path(self._uris[place])
        if path is not None:
            try:
                data = path.read_bytes()
                if hashlib.sha256(data).hexdigest() == self._sha256s[place]:
                    return input_of(data, self._spec).pixels, True
            except (OSError, ValueError, ImageError):
                pass
        try:
            return input_of(thumbnail, self._spec).pixels, False
        except ImageError:
            return None, False
