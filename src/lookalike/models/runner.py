"""The one place where images become a model's input, and batches of inputs its features."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lookalike.images.decoding import load
from lookalike.images.fit import fit, region
from lookalike.images.limit import MAX_MEGAPIXELS
from lookalike.images.picture import Box, ImageLike, Picture, Pixels
from lookalike.models.spec import ModelSpec

Floats = NDArray[np.float32]
Features = Callable[[Pixels], Floats]

# A call for more pictures is hardly faster for each, and all of them wait for its end.
MAX_BATCH = 16


@dataclass(frozen=True, slots=True)
class Input:
    """A decoded picture, and what a model sees of it: `pixels` uint8 (S, S, 3) RGB."""

    picture: Picture
    pixels: Pixels


def input_of(
    image: ImageLike, spec: ModelSpec, *, box: Box | None = None, max_megapixels: float = MAX_MEGAPIXELS
) -> Input:
    """What a model sees of a picture, or of the part in `box`.

    `box` is (left, top, right, bottom) in fractions from 0 to 1; its part is taken as though it were a
    picture of its own. Raises `ImageError` for what is no picture or has more than `max_megapixels`, and
    for a box that is no part of one.
    """
    # A small part of a large picture needs more of its pixels than the whole would.
    share = 1.0 if box is None else max(min(box[2] - box[0], box[3] - box[1]), 1e-3)
    picture = load(image, math.ceil(spec.cover_px / share), max_megapixels)
    part = picture.box if box is None else region(picture, box)
    return Input(picture, fit(picture.pixels, spec.size_px, spec.crop, part))


def run(features: Features, inputs: Sequence[Pixels]) -> Floats:
    """The features float32 (B, D) of B inputs uint8 (S, S, 3), at least one, by one call of the model."""
    return features(np.stack(inputs))


def batch_size(device: str) -> int:
    """How many images a call takes: on a CPU the calls run side by side, others want them together."""
    return 4 if device == "cpu" else 64


@dataclass(eq=False, slots=True)
class _Waiting:
    """A picture uint8 (S, S, 3) that waits for a model, and what will come of it: (1, D)."""

    features: Features
    pixels: Pixels
    found: Future[Floats] = field(default_factory=Future)


class Gathering:
    """Pictures that wait for a model, first come, first served; those of one model share a call.

    `calls` is how many calls run side by side: each takes its share. `observe` is told of each call how
    many pictures it is for.
    """

    def __init__(self, calls: int, observe: Callable[[int], None]) -> None:
        self._calls, self._observe = calls, observe
        self._waiting: list[_Waiting] = []
        self._lock = threading.Lock()

    def add(self, features: Features, pixels: Pixels) -> Future[Floats]:
        """What the features of one picture uint8 (S, S, 3) will be, (1, D); call `run_next` once for each."""
        mine = _Waiting(features, pixels)
        with self._lock:
            self._waiting.append(mine)
        return mine.found

    def run_next(self) -> None:
        """One call for those that wait; there may be none left, where an earlier one took them along."""
        batch = self._taken()
        if not batch:
            return
        self._observe(len(batch))
        try:
            found = run(batch[0].features, [one.pixels for one in batch])
        except Exception as error:
            for one in batch:
                one.found.set_exception(error)
        else:
            for row, one in enumerate(batch):
                one.found.set_result(found[row : row + 1])

    def _taken(self) -> list[_Waiting]:
        """The share of one call of those that wait for the same model as the first does."""
        with self._lock:
            alike = [one for one in self._waiting if one.features is self._waiting[0].features]
            batch = alike[: min(MAX_BATCH, math.ceil(len(alike) / self._calls))]
            self._waiting = [one for one in self._waiting if one not in batch]
        return [one for one in batch if one.found.set_running_or_notify_cancel()]
