"""The identity of a model: what has to be equal for vectors to be comparable."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lookalike.images.thumbnail import THUMBNAIL_PX


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The identity of a model: two vectors are comparable if it is equal; a collection's manifest stores it.

    `sha256` is that of the weights, or of what was learned instead (of the recipe, for models
    without either). A picture is cropped to its central square of `crop` times its shorter side and resized,
    bicubic, to `size_px`.
    """

    name: str
    sha256: str
    dim: int
    size_px: int
    crop: float

    @property
    def cover_px(self) -> int:
        """The shorter side that a decoded picture needs, so that neither crop nor thumbnail is enlarged."""
        return max(math.ceil(self.size_px / self.crop), THUMBNAIL_PX * 3 // 4)
