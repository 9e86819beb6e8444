"""The limit on the size of a picture."""

from __future__ import annotations

import math

from lookalike.errors import ImageError

MAX_MEGAPIXELS = 200.0


def check_limit(width: int, height: int, max_megapixels: float) -> None:
    """Raise `ImageError` for a picture with more megapixels than the limit."""
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise ImageError(
            f"{math.ceil(megapixels)} megapixels, the limit is {max_megapixels:g}",
            "raise `max_megapixels`",
        )
