"""Checks whether two pictures agree everywhere, up to what re-encoding, resizing and light can change.

Both pictures are laid on one grid. A change of light is the same everywhere: one gain and one offset, the
same for red, green and blue, clipped at the ends of the scale. The rest is judged cell by cell, because
another print on a shirt differs in one place while the rest agrees: encoding changes the mean of a cell by a
few grey levels, resizing changes it only at edges.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.images.picture import Pixels

Floats = NDArray[np.float32]

# A cell is about this many pixels of the smaller picture, close to a JPEG's blocks of 8, whose mean is exact
# to a grey level or two at quality 40. Each cell is sampled at this many places a side.
_CELL_PX, _SAMPLES = 7, 4
_LEAST_CELLS, _MOST_CELLS = 8, 64
# The shorter side: smaller pictures have too few cells to judge.
LEAST_SIDE_PX = 32
# From this size on a picture has the most cells.
ENOUGH_PX = _CELL_PX * _MOST_CELLS
# An edge of 100 grey levels that moves by a seventh of a cell, a pixel, changes the cell by 15.
_OF_EDGE = 0.15
# Measured on 235 photographs of flowers (docs/analysis.md): at most 16.4 for JPEGs of quality 40, 10.8 at
# half the size; replacing 5% of each side gives 24 or more in 95 of 100.
MOST_DIFFERENCE = 20.0
# Root mean square over all cells, relative to the standard deviation: at most 0.12 for the same picture.
MOST_RELATIVE = 0.2
_GAINS, _MOST_OFFSET = (0.6, 1.67), 60.0
# Encoding and resizing change nearly every edge a little: in copies of flowers, at most 0.34 of the cells
# with an edge stay equal. If more do, a cell that differs by over half the limit was drawn differently.
_EDGE_LEVELS, _EQUAL_LEVELS, _EQUAL_SHARE = 16.0, 1.0, 0.5
# What differs within cells, relative to what is there: below 0.4 for 100 flowers as JPEGs of quality 40, and
# above 0.5 for 4 in 10 pairs of a game's sprites in two poses.
_MOST_DETAIL, _LEAST_DETAIL_LEVELS = 0.5, 2.0
# Drawings: if half of the cells have no edge, some gain turns any two colours into each other.
_FLAT_LEVELS, _FLAT_SHARE = 4.0, 0.5
# In smaller pictures a few cells are a mouth, which makes another face.
_LEAST_OVERLAID_PX = _CELL_PX * _LEAST_CELLS
# The share of the picture that a watermark may change, and how much of that against its own direction.
_MOST_OVERLAID, _MOST_AGAINST = 0.3, 0.02
# Letters and signs: two colours, of 8 levels a channel, cover this share of the picture. That holds for none
# of 469 photographs of flowers, 2 in 1,000 of other photographs, and 37 in 100 drawn stamps.
_COLORS, _PLAIN_SHARE = 2, 0.8


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well two pictures agree.

    `difference` is the largest difference of a cell, in grey levels beyond what its edges explain.
    `relative` is the root mean square over all cells divided by the picture's standard deviation. `overlaid`
    is the share of cells changed by a watermark in one colour, lighter or darker than the picture, if one
    explains the difference; else None. `is_redrawn` if the cells agree and what is in them says that
    something was drawn differently: another icon of a set, or the next pose of a figure.
    """

    difference: float
    relative: float
    overlaid: float | None
    is_redrawn: bool = False

    @property
    def is_same(self) -> bool:
        """Whether encoding, resizing and light explain the whole difference."""
        return not self.is_redrawn and self.difference <= MOST_DIFFERENCE and self.relative <= MOST_RELATIVE


def agreement(one: Pixels, other: Pixels, *, may_be_lit: bool = True) -> Agreement | None:
    """How well two pictures uint8 (H, W, C), in the same orientation, agree; None if one is too small.

    C is 3, or 1 for opacity. Their sizes may differ: both are stretched to one square. `may_be_lit` says
    whether a change of light may explain a difference.
    """
    shortest = min(*one.shape[:2], *other.shape[:2])
    if shortest < LEAST_SIDE_PX:
        return None
    cells = int(np.clip(shortest // _CELL_PX, _LEAST_CELLS, _MOST_CELLS))
    first, second = _sampled(one, cells), _sampled(other, cells)
    # Clipping at the end of the scale can be computed from the picture before it, not from the one after.
    there = _from(first, second, may_be_lit)
    if there.is_same:
        return there
    found = min((there, _from(second, first, may_be_lit)), key=lambda found: found.difference)
    return found if shortest >= _LEAST_OVERLAID_PX else replace(found, overlaid=None)


def is_plain(pixels: Pixels) -> bool:
    """Whether a picture uint8 (H, W, 3) has hardly more than two colours, like a letter on a page.

    Mirrored, such a picture is another letter; with one more stroke, another word.
    """
    levels = pixels.reshape(-1, 3).astype(np.int64) >> 5
    counts = np.sort(np.bincount(levels @ (64, 8, 1)))
    return bool(counts[-_COLORS:].sum() >= _PLAIN_SHARE * len(levels))


def _sampled(pixels: Pixels, cells: int) -> Floats:
    """float32 (S, S, C): the picture stretched to a square of S = cells * 4 samples a side."""
    size = cells * _SAMPLES, cells * _SAMPLES
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR), np.float32).reshape(*size, -1)


def _from(before: Floats, after: Floats, may_be_lit: bool) -> Agreement:
    """How well the second agrees with the first as it is, or else after a change of light, if that may be."""
    cells, wanted = _means(before), _means(after)
    edges, its_edges = _edges(cells), _edges(wanted)
    found = _explained(before, after, (cells, wanted), (edges, its_edges))
    if found.is_same or found.is_redrawn or not may_be_lit:
        return found
    if max(_flat_share(edges), _flat_share(its_edges)) >= _FLAT_SHARE:
        return found
    gain, offset = _light(cells.ravel(), wanted.ravel())
    made = np.clip(gain * before + offset, 0, 255)
    cells = _means(made)
    return _explained(made, after, (cells, wanted), (_edges(cells), its_edges))


def _explained(
    made: Floats, after: Floats, cells: tuple[Floats, Floats], edges: tuple[Floats, Floats]
) -> Agreement:
    """How two pictures agree, as samples, the means of their cells, and the edges of these."""
    residual = np.abs(cells[0] - cells[1])
    beyond = (residual - _OF_EDGE * np.maximum(*edges)).clip(0)
    contrast = max(1.0, float(cells[1].std(axis=(0, 1)).max()))
    relative = float(np.sqrt((residual**2).mean())) / contrast
    found = Agreement(float(beyond.max()), relative, None)
    if found.is_same:
        found = replace(
            found, is_redrawn=_is_another_drawing(made, after) or _differs_in_one_place(made, after)
        )
    if found.is_same:
        return found
    if found.is_redrawn:
        beyond = residual  # resizing explains nothing
    return replace(found, overlaid=_overlaid(made, after, beyond, residual, contrast))


def _is_another_drawing(one: Floats, other: Floats) -> bool:
    """Whether details differ by more than encoding, resizing and light can do, though the cells agree."""
    fine = [each - _means(each).repeat(_SAMPLES, axis=0).repeat(_SAMPLES, axis=1) for each in (one, other)]
    there = max(_LEAST_DETAIL_LEVELS, float(fine[0].std()), float(fine[1].std()))
    return float((fine[0] - fine[1]).std()) > _MOST_DETAIL * there


def _differs_in_one_place(one: Floats, other: Floats) -> bool:
    """Whether some cell differs and most cells with an edge are equal, as after no encoding."""
    ranges = [_by_cell(each, np.maximum) - _by_cell(each, np.minimum) for each in (one, other)]
    has_edge = np.maximum(*ranges).max(axis=2) >= _EDGE_LEVELS
    is_equal = _by_cell(np.abs(one - other), np.maximum).max(axis=2) < _EQUAL_LEVELS
    equal_edges = np.logical_and(has_edge, is_equal).sum()
    if not has_edge.any() or equal_edges < _EQUAL_SHARE * has_edge.sum():
        return False
    return bool(np.abs(_means(one) - _means(other)).max() > MOST_DIFFERENCE / 2)


def _means(samples: Floats) -> Floats:
    """The mean of each cell, (cells, cells, C)."""
    return _by_cell(samples, np.add) / np.float32(_SAMPLES**2)


def _by_cell(samples: Floats, combine: np.ufunc) -> Floats:
    """Reduce the samples of each cell with `combine`: (cells, cells, C)."""
    found = samples
    for axis in (0, 1):  # slices, because a reduction of two axes takes three times as long
        cut = [slice(None)] * axis
        found = combine.reduce([found[(*cut, slice(start, None, _SAMPLES))] for start in range(_SAMPLES)])
    return found


def _edges(cells: Floats) -> Floats:
    """The range of each cell and its eight neighbours."""
    return _around(cells, np.maximum) - _around(cells, np.minimum)


def _around(cells: Floats, choose: np.ufunc) -> Floats:
    """Reduce each cell and its eight neighbours with `choose`."""
    found = cells
    for axis in (0, 1):
        later, earlier = ((slice(None),) * axis + (cut,) for cut in (slice(1, None), slice(None, -1)))
        chosen = found.copy()
        choose(chosen[later], found[earlier], out=chosen[later])
        choose(chosen[earlier], found[later], out=chosen[earlier])
        found = chosen
    return found


def _flat_share(edges: Floats) -> float:
    return float((edges.max(axis=2) < _FLAT_LEVELS).mean())


def _light(before: Floats, after: Floats) -> tuple[float, float]:
    """The gain and offset that turn the first into the second: a robust fit, which ignores a few cells."""
    seen = (before > 4) & (before < 251) & (after > 4) & (after < 251)
    x, y = before[seen], after[seen]
    if seen.mean() < 0.1 or x.std() < 5:
        return 1.0, 0.0
    gain, offset, weights = 1.0, 0.0, np.ones_like(x)
    for _ in range(4):
        total = weights.sum()
        mean_x, mean_y = weights @ x / total, weights @ y / total
        beside = weights * (x - mean_x)
        gain = min(max(float(beside @ (y - mean_y) / (beside @ (x - mean_x))), _GAINS[0]), _GAINS[1])
        offset = min(max(float(mean_y - gain * mean_x), -_MOST_OFFSET), _MOST_OFFSET)
        residual = np.abs(gain * x + offset - y)
        middle = float(np.partition(residual, len(residual) // 2)[len(residual) // 2])
        weights = 1 / np.maximum(1, residual / max(2.0, 2 * middle))
    return gain, offset


def _overlaid(made: Floats, after: Floats, beyond: Floats, residual: Floats, contrast: float) -> float | None:
    """The share of cells that an overlay has changed; None if no overlay explains the difference.

    A lighter overlay makes nothing darker, and a darker one nothing lighter. Around it, all must agree.
    """
    changed = (beyond > MOST_DIFFERENCE / 2).any(axis=2)
    share = float(changed.mean())
    if not 0 < share <= _MOST_OVERLAID:
        return None
    rest = float(np.sqrt((residual[~changed] ** 2).mean()))
    moved = (after - made)[changed.repeat(_SAMPLES, axis=0).repeat(_SAMPLES, axis=1)]
    up, down = float((moved.clip(0) ** 2).sum()), float((moved.clip(max=0) ** 2).sum())
    against = min(up, down) / max(1e-9, up + down)
    return share if rest <= MOST_RELATIVE * contrast and against <= _MOST_AGAINST else None
