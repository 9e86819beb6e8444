"""What names a model, and has to be equal for two vectors to be comparable."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lookalike.images.thumbnail import THUMBNAIL_PX


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

    @property
    def cover_px(self) -> int:
        """The shorter side that a decoded picture needs: the crop is not enlarged, nor the thumbnail."""
        return max(math.ceil(self.size_px / self.crop), THUMBNAIL_PX * 3 // 4)
