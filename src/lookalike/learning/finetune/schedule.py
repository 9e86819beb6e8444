"""How fast a network learns: slowly at first, then fast, then ever more slowly."""

from __future__ import annotations

import math

_RISE = 0.25  # of all steps
_FIRST, _LAST = 1 / 25, 1e-4  # of the highest rate


def one_cycle(step: int, steps: int) -> float:
    """The share of the highest learning rate in a step from 0: up and down along half waves of a cosine.

    Smith, Super-Convergence, 2018 (arXiv:1708.07120).
    """
    rise = max(1, round(_RISE * steps))
    if step < rise:
        return _between(_FIRST, 1, step / rise)
    return _between(1, _LAST, (step - rise) / max(1, steps - rise - 1))


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1))) / 2
