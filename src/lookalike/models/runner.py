"""The only place where images become a model's input, and batches of inputs become features."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lookalike.images.decoding import load
from lookalike.images.fit import Cut, fit, fit_whole_pixels, region, square_cut, whole_pixel_cut
from lookalike.images.limit import MAX_MEGAPIXELS
from lookalike.images.picture import Box, ImageLike, Picture, Pixels
from lookalike.models.spec import ModelSpec

Floats = NDArray[np.float32]
Features = Callable[[Pixels], Floats]

# A call with more pictures is hardly faster for each, and all of them wait until it ends.
MAX_BATCH = 16


@dataclass(frozen=True, slots=True)
class Input:
    """A decoded picture, and what a model sees of it: `pixels` uint8 (S, S, 3) RGB."""

    picture: Picture
    pixels: Pixels


def input_of(
    image: ImageLike, spec: ModelSpec, *, box: Box | None = None, max_megapixels: float = MAX_MEGAPIXELS
) -> Input:
    """Decode a picture and cut out what a model sees of it, or of the part in `box`.

    `box` is (left, top, right, bottom) in fractions from 0 to 1; that part is treated like a picture
    of its own. Raises `ImageError` for anything that is not a picture or has more than `max_megapixels`,
    and for an invalid box.
    """
    # A small part of a large picture needs more of its pixels than the whole would.
    share = 1.0 if box is None else max(min(box[2] - box[0], box[3] - box[1]), 1e-3)
    picture = load(image, math.ceil(spec.cover_px / share), max_megapixels)
    part = picture.box if box is None else region(picture, box)
    if spec.resize == "square":
        is_sized = picture.pixels.shape[:2] == (spec.size_px, spec.size_px)  # and may be taken as it is
        return Input(
            picture, fit(picture.pixels if is_sized else picture.image, spec.size_px, spec.crop, part)
        )
    across, down = (1.0, 1.0) if box is None else (box[2] - box[0], box[3] - box[1])
    seen = fit_whole_pixels(
        picture.image,
        spec.size_px,
        spec.crop,
        squash=spec.resize == "squash",
        interpolation=spec.interpolation,
        offset=spec.offset,
        box=part,
        original=(picture.width * across, picture.height * down),
    )
    return Input(picture, seen)


def cut_of(spec: ModelSpec, width: int, height: int) -> Cut:
    """What a model sees of a picture that was decoded whole."""
    box = (0.0, 0.0, float(width), float(height))
    if spec.resize == "square":
        return square_cut(box, spec.size_px, spec.crop)
    return whole_pixel_cut(box, spec.size_px, spec.crop, squash=spec.resize == "squash", offset=spec.offset)


def grey_pictures(size_px: int) -> Pixels:
    """Two grey pictures, uint8 (2, S, S, 3), on which a model is tried before anything is made by it."""
    return np.full((2, size_px, size_px, 3), 128, np.uint8)


def run(features: Features, inputs: Sequence[Pixels]) -> Floats:
    """Compute the features float32 (B, D) of B >= 1 inputs uint8 (S, S, 3) in one call of the model."""
    return features(np.stack(inputs))


def batch_size(device: str) -> int:
    """Images in one call: on a CPU the calls run side by side, other devices want large batches."""
    return 4 if device == "cpu" else 256


@dataclass(eq=False, slots=True)
class _Waiting:
    """A picture uint8 (S, S, 3) that waits for a model, and its future features (1, D)."""

    features: Features
    pixels: Pixels
    found: Future[Floats] = field(default_factory=Future)


class Gathering:
    """Pictures that wait for a model, first come, first served; those for one model share a call.

    `calls` is the number of calls that run side by side; each takes its share. `observe` is called for each
    model call with its number of pictures.
    """

    def __init__(self, calls: int, observe: Callable[[int], None]) -> None:
        self._calls, self._observe = calls, observe
        self._waiting: list[_Waiting] = []
        self._lock = threading.Lock()

    def add(self, features: Features, pixels: Pixels) -> Future[Floats]:
        """The future features (1, D) of a picture uint8 (S, S, 3); call `run_next` once for each picture."""
        mine = _Waiting(features, pixels)
        with self._lock:
            self._waiting.append(mine)
        return mine.found

    def run_next(self) -> None:
        """Run one call for waiting pictures; there may be none left if an earlier call took them."""
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
        """One call's share of the pictures that wait for the same model as the first picture."""
        with self._lock:
            alike = [one for one in self._waiting if one.features is self._waiting[0].features]
            batch = alike[: min(MAX_BATCH, math.ceil(len(alike) / self._calls))]
            self._waiting = [one for one in self._waiting if one not in batch]
        return [one for one in batch if one.found.set_running_or_notify_cancel()]
