"""Other views of a picture: cropped, mirrored, turned a little, in another light and other colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Draws = NDArray[np.float32]

LEAST_AREA, MOST_AREA = 0.45, 0.95  # of the picture that a crop shows
_STRETCH = 0.25  # of a crop: e to the power of this at most, and at least 1 / that
_TURN = 0.25  # radians to either side
_LIGHT = 0.3  # brightness and saturation change by this share to either side
_TINT = 0.1  # so does each colour
_NUMBERS = 11


def draws(seed: int, view: int, places: Sequence[int] | NDArray[np.int64]) -> Draws:
    """Random numbers from 0 to 1 for one view of each picture, (B, 11); they depend on nothing else."""
    found = [np.random.default_rng([seed, view, int(one)]).random(_NUMBERS, np.float32) for one in places]
    return np.array(found, np.float32).reshape(len(found), _NUMBERS)


def augmented(pixels: Tensor, drawn: Draws) -> Tensor:
    """A view of each picture: uint8 (B, S, S, 3) to float32 (B, 3, S, S), 0 to 255."""
    numbers = torch.from_numpy(drawn).to(pixels.device)
    planes = pixels.permute(0, 3, 1, 2).float()
    grid = F.affine_grid(_transforms(numbers), list(planes.shape), align_corners=False)
    seen = F.grid_sample(planes, grid, padding_mode="reflection", align_corners=False)
    factors = 1 + _LIGHT * (2 * numbers[:, 6:8] - 1)
    seen = seen * factors[:, 0, None, None, None]
    grey = seen.mean(dim=1, keepdim=True)
    seen = grey + (seen - grey) * factors[:, 1, None, None, None]
    seen = seen * (1 + _TINT * (2 * numbers[:, 8:11, None, None] - 1))
    return seen.clamp(0, 255)


def _transforms(numbers: Tensor) -> Tensor:
    """Where each view lies in its picture, (B, 2, 3): sides and centre of a crop, mirrored or not, turned."""
    area = LEAST_AREA + (MOST_AREA - LEAST_AREA) * numbers[:, 0]
    stretch = torch.exp(_STRETCH * (2 * numbers[:, 1] - 1))
    width, height = (area.sqrt() * stretch).clamp(max=1), (area.sqrt() / stretch).clamp(max=1)
    x, y = (2 * numbers[:, 2] - 1) * (1 - width), (2 * numbers[:, 3] - 1) * (1 - height)
    mirrored = torch.where(numbers[:, 4] < 0.5, -1.0, 1.0)
    angle = _TURN * (2 * numbers[:, 5] - 1)
    rows = [
        torch.stack([width * mirrored * angle.cos(), -height * angle.sin(), x], dim=1),
        torch.stack([width * mirrored * angle.sin(), height * angle.cos(), y], dim=1),
    ]
    return torch.stack(rows, dim=1)
