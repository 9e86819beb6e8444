"""Models turn pictures into unit vectors; one table names those that are built in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError, QueryError
from lookalike.images.decoding import load
from lookalike.images.fit import fit, region
from lookalike.images.picture import Box, ImageLike, Pixels
from lookalike.images.thumbnail import THUMBNAIL_PX

DEFAULT_MODEL = "efficientnet-lite0"

# name -> the module whose load(device) makes the model; imported when the model is asked for. One that learns
# from pictures has learn(pictures) too, and load(device, learned).
_BUILT_IN = {
    "efficientnet-lite0": "lookalike.models.efficientnet",
    "pixels": "lookalike.models.pixels",
    "colors": "lookalike.models.colors",
    "sift": "lookalike.models.sift",
}


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What has to be equal for two vectors to be comparable; a collection's manifest keeps it.

    `sha256` is that of the weights, or of what was learned in their place (of the recipe, for models
    without either). A picture is cut to its central square of `crop` times its shorter side and resized,
    bicubic, to `size_px`.
    """

    name: str
    sha256: str
    dim: int
    size_px: int
    crop: float


@dataclass(frozen=True)
class Model:
    """A model ready to run; safe to call from several threads.

    `features` maps uint8 (B, S, S, 3) RGB pixels to float32 (B, D), not yet of unit length. A model that
    knows words has `text_vector`, from words to a unit vector float32 (D,), `tags`, from features to the
    names and probabilities of what is in each picture, and `word_vectors`, those of many words (W, D).
    """

    spec: ModelSpec
    features: Callable[[Pixels], NDArray[np.float32]]
    device: str = "cpu"
    text_vector: Callable[[str], NDArray[np.float32]] | None = None
    tags: Callable[[NDArray[np.float32]], list[list[tuple[str, float]]]] | None = None
    word_vectors: Callable[[], NDArray[np.float32]] | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def sha256(self) -> str:
        return self.spec.sha256

    @property
    def dim(self) -> int:
        return self.spec.dim

    @property
    def size_px(self) -> int:
        return self.spec.size_px

    @property
    def crop(self) -> float:
        return self.spec.crop

    @property
    def cover_px(self) -> int:
        """The shorter side that a decoded picture needs: the crop is not enlarged, nor the thumbnail."""
        return max(int(np.ceil(self.size_px / self.crop)), THUMBNAIL_PX * 3 // 4)

    def embed_pixels(self, pixels: Pixels) -> NDArray[np.float32]:
        """uint8 (B, S, S, 3) RGB to float32 (B, D) of unit length."""
        return unit(self.features(pixels))

    def embed_text(self, text: str) -> NDArray[np.float32]:
        """Words to float32 (D,) of unit length; raises `QueryError` for words it does not know."""
        if self.text_vector is None:
            raise QueryError(f"the model {self.name} knows no words", "ask with a picture or id:…")
        return self.text_vector(text)

    def embed(self, images: Sequence[ImageLike]) -> NDArray[np.float32]:
        """Paths, encoded bytes, Pillow images or uint8 arrays to float32 (B, D) of unit length.

        Raises `ImageError` for one that is no picture.
        """
        vectors = np.empty((len(images), self.dim), np.float32)
        for row, image in enumerate(images):  # one at a time, so that memory stays flat
            vectors[row] = self.embed_pixels(self.pixels(image)[None])[0]
        return vectors

    def pixels(self, image: ImageLike, box: Box | None = None) -> Pixels:
        """What the network sees of a picture, or of the part in `box`: uint8 (S, S, 3) RGB.

        `box` is (left, top, right, bottom) in fractions from 0 to 1; its part is taken as though it were a
        picture of its own. Raises `ImageError` for what is no picture, and for a box that is no part of one.
        """
        if box is None:
            picture = load(image, self.cover_px)
            return fit(picture.pixels, self.size_px, self.crop, picture.box)
        # A small part of a large picture needs more of its pixels than the whole would.
        share = max(min(box[2] - box[0], box[3] - box[1]), 1e-3)
        picture = load(image, math.ceil(self.cover_px / share))
        return fit(picture.pixels, self.size_px, self.crop, region(picture, box))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors (..., D) as float32 of unit length."""
    # A picture without any feature has no direction; it gets the one in which all are equal.
    vectors = np.where(vectors.any(axis=-1, keepdims=True), vectors, np.float32(1))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)


def learner(name: str) -> Callable[[Sequence[Pixels]], bytes] | None:
    """How a model learns from pictures uint8 (S, S, 3), before it can embed; None where it need not."""
    return getattr(import_module(_BUILT_IN[name]), "learn", None) if name in _BUILT_IN else None


@lru_cache(maxsize=4)
def load_model(name: str = DEFAULT_MODEL, *, device: str = "cpu", learned: bytes | None = None) -> Model:
    """Load a model by name, on `cpu` or `cuda`; raises `ModelError` where it cannot run.

    `learned` is what `learner` gave, for a model that has one: without it, it knows its size, and embeds
    nothing.
    """
    if name not in _BUILT_IN:
        raise ModelError(f"unknown model {name!r}", f"known are: {', '.join(_BUILT_IN)}")
    if device not in ("cpu", "cuda"):
        raise ModelError(f"unknown device {device!r}", "known are: cpu, cuda")
    load = import_module(_BUILT_IN[name]).load
    model: Model = load(device) if learned is None else load(device, learned)
    return model
