"""The one place where images become a model's input, and batches of inputs its features."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.images.decoding import MAX_MEGAPIXELS, Box, ImageLike, Picture, Pixels, fit, load, region
from lookalike.models.spec import ModelSpec

Floats = NDArray[np.float32]
Features = Callable[[Pixels], Floats]


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
