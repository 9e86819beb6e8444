"""What the built-in network makes of drawn flowers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import lookalike
from lookalike.demo.flowers import draw_flower
from lookalike.images.decoding import load
from lookalike.images.fit import fit

Floats = NDArray[np.float32]


def drawn_features(species: str, count: int) -> Floats:
    """float32 (count, 1280), not normalised, of drawn flowers."""
    model = lookalike.load_model("efficientnet-lite0")
    pictures = [load(draw_flower(species, seed), model.cover_px).pixels for seed in range(count)]
    return np.concatenate([model.features(fit(p, model.size_px, model.crop)[None]) for p in pictures])
