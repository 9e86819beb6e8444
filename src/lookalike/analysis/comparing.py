"""Compares two pictures: is one a copy or an edit of the other? Only their pixels decide."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from lookalike.analysis.agreement import LEAST_SIDE_PX, Agreement, agreement
from lookalike.analysis.candidates import Candidate
from lookalike.analysis.geometry import Match, exact, laid, match
from lookalike.analysis.hashing import ORIENTATIONS, oriented
from lookalike.analysis.pictures import Original, Pictures, grey_of
from lookalike.errors import counted
from lookalike.images.picture import Pixels

_MOST_STRETCH = 0.05
# Relative to the standard deviation: edges change by this much for the pixel that RANSAC may be off.
_MOST_ROUGH = 0.6
_LEAST_OPACITY = 26  # a tenth: less can hardly be seen
_DEGREES = {0: "", 1: "turned by 90 degrees", 2: "turned by 180 degrees", 3: "turned by 270 degrees"}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows that show the same: their `tier`, the evidence for it (`reason`), and their cosine.

    `richer` is the row with transparency that the other lacks; None if neither has more.
    """

    rows: tuple[int, int]
    tier: str
    reason: str
    score: float
    richer: int | None = None


def copied(pictures: Pictures, candidate: Candidate, tiers: Collection[str]) -> Pair | None:
    """The pair if both have the same pixels, or one is the other re-encoded or resized; else None.

    Compares the thumbnails, then the originals if both can be read here; or the originals at once if they
    are hardly larger.
    """
    one, other = rows = candidate.rows
    is_quick = not all(pictures.is_whole(row) for row in rows) and all(map(pictures.is_quick, rows))
    small = None if is_quick else _agreement(pictures.color(one), pictures.color(other))
    if small is not None and not small.is_same:
        return None
    if "pixels" in tiers and pictures.size(one) == pictures.size(other) and _same_pixels(pictures, rows):
        return Pair(rows, "pixels", "all pixels are equal", candidate.score)
    if "copy" not in tiers or (small is None and not is_quick):
        return None
    found, richer = _as_originals(pictures, rows, small)
    if found is None or not found.is_same:
        return None
    return Pair(rows, "copy", f"every place agrees, {_beyond(found)}", candidate.score, richer)


def edited(pictures: Pictures, candidate: Candidate, *, details: bool) -> Pair | None:
    """The pair if one is the other mirrored, turned, watermarked, or cropped (with `details`); else None.

    Always None for pictures in two colours: `b` is not `d`.
    """
    if any(pictures.is_plain(row) for row in candidate.rows):
        return None
    found = _turned(pictures, candidate) or _overlaid(pictures, candidate)
    if found is None and details:
        found = _cropped(pictures, candidate.rows)
    return None if found is None else Pair(candidate.rows, "edit", found, candidate.score)


def _turned(pictures: Pictures, candidate: Candidate) -> str | None:
    one, other = candidate.rows
    for number in candidate.orientations:
        mirrored, quarters = ORIENTATIONS[number]
        if not (mirrored or quarters):
            continue
        found = _agreement(pictures.color(one), _laid(pictures.color(other), number))
        if found is not None and found.is_same:
            found, _ = _as_originals(pictures, candidate.rows, found, number)
        if found is not None and found.is_same:
            words = [*(["mirrored"] if mirrored else []), *([_DEGREES[quarters]] if quarters else [])]
            return f"{', '.join(words)}: every place agrees, {_beyond(found)}"
    return None


def _overlaid(pictures: Pictures, candidate: Candidate) -> str | None:
    found = _agreement(*(pictures.color(row) for row in candidate.rows))
    if found is not None and found.overlaid is not None:
        found, _ = _as_originals(pictures, candidate.rows, found)
    if found is None or found.overlaid is None:
        return None
    return f"all but {found.overlaid:.0%} agrees, and a watermark explains the rest"


def _cropped(pictures: Pictures, rows: tuple[int, int]) -> str | None:
    """How much one shows of the other, by their details; as they are, or with one mirrored."""
    first, second = (pictures.points(row) for row in rows)
    colors = [pictures.color(row) for row in rows]
    for mirrored in (False, True):
        found = match(first.mirrored if mirrored else first, second)
        if found is None:
            continue
        sides = [colors[0][:, ::-1] if mirrored else colors[0], colors[1]]
        share = found.scale * first.grey.size / second.grey.size
        if share > 1:
            sides, share, found = sides[::-1], 1 / share, found.inverse
        agreed = _placed(found, *(np.ascontiguousarray(side) for side in sides))
        if agreed is not None and agreed.is_same:
            words = f"{'mirrored, ' if mirrored else ''}one is {share:.0%} of the other"
            return f"{words}: {found.inliers} details agree, {_beyond(agreed)}"
    return None


def _placed(found: Match, inner: Pixels, outer: Pixels) -> Agreement | None:
    """How well the first agrees with the same place in the second; None if it is not inside the second."""
    rough = _shown(found, inner, outer)
    # A fraction of a pixel does not make very different pictures the same.
    if rough is None or rough.is_same or rough.relative > _MOST_ROUGH:
        return rough
    return _shown(exact(found, grey_of(inner), grey_of(outer)), inner, outer)


def _shown(found: Match, inner: Pixels, outer: Pixels) -> Agreement | None:
    shown = laid(found, inner, outer)
    return None if shown is None else agreement(inner, shown)


def _agreement(one: Pixels, other: Pixels, *, may_be_lit: bool = True) -> Agreement | None:
    """How well two pictures agree; None if they are too small, or their shapes differ."""
    shapes = [height / width for height, width in (one.shape[:2], other.shape[:2])]
    if abs(np.log(shapes[0] / shapes[1])) >= _MOST_STRETCH:
        return None
    return agreement(one, other, may_be_lit=may_be_lit)


def _as_originals(
    pictures: Pictures, rows: tuple[int, int], thumbnails: Agreement | None, orientation: int = 0
) -> tuple[Agreement | None, int | None]:
    """How well the originals agree, including their transparency, and the row that alone has some.

    If one of them cannot be read here, the thumbnails decide.
    """
    if all(pictures.is_whole(row) for row in rows):
        return thumbnails, None
    one: Original | None = pictures.original(rows[0])
    other: Original | None = pictures.original(rows[1])
    if one is None or other is None:
        return thumbnails, None
    pixels = _laid(other.pixels, orientation)
    if one.opacity is None or other.opacity is None:
        has_more = one.opacity is not None, other.opacity is not None
        return _agreement(one.pixels, pixels), rows[has_more.index(True)] if any(has_more) else None
    if _visible_px(one.opacity) < LEAST_SIDE_PX or _visible_px(other.opacity) < LEAST_SIDE_PX:
        return None, None
    # A lighter cut-out is another one: a button that is pressed, a tile at night.
    found = _agreement(one.opacity, _laid(other.opacity, orientation), may_be_lit=False)
    if found is None or not found.is_same:
        return None, None
    return _agreement(one.pixels, pixels, may_be_lit=False), None


def _visible_px(opacity: Pixels) -> int:
    """The shorter side of the box around all that can be seen, by its opacity uint8 (H, W, 1)."""
    seen = opacity[:, :, 0] >= _LEAST_OPACITY
    sides = [np.flatnonzero(seen.any(axis=axis)) for axis in (0, 1)]
    return int(min(np.ptp(side) + 1 if len(side) else 0 for side in sides))


def _laid(pixels: Pixels, orientation: int) -> Pixels:
    return np.ascontiguousarray(oriented(pixels, *ORIENTATIONS[orientation]), np.uint8)


def _same_pixels(pictures: Pictures, rows: tuple[int, int]) -> bool:
    one: Original | None = pictures.original(rows[0])
    other: Original | None = pictures.original(rows[1])
    width, height = pictures.size(rows[0])
    if one is not None and other is not None and one.pixels.shape[:2] == (height, width):
        return one.is_equal(other)  # neither was reduced
    checksum = pictures.pixels_checksum(rows[0])
    return checksum is not None and checksum == pictures.pixels_checksum(rows[1])


def _beyond(found: Agreement) -> str:
    levels = round(found.difference)
    return f"within {counted(levels, 'grey level')}"
