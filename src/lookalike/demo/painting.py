"""The brush of the drawn flowers: rings of petals, painted on a clear sheet.

Every petal, leaf, stem and stamen is one shape: a half width `u**base * (1 - u)**tip` along its
length. For each pixel we compute which petal of a ring it is in and how far from the edge; from that follow
its coverage (hence no jagged edges), its colour, and the shadow on the layers below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Indices = NDArray[np.intp]
Point = tuple[float, float]
Points = tuple[Point, Point]
Pixels = tuple[Indices, Floats, Floats, Indices]  # flat index, x, y, number of the petal near it

COLOURS = {  # at the foot of a petal, a little before its middle, at its tip
    "crimson": "4f0418 9f1233 cf3a58", "yellow": "dd9408 fac924 ffea78",
    "orange": "b8400a f27d1c ffb650", "purple": "3e1668 7e40b8 b68ae0",
    "cream": "d9bd7c f7e8c0 fffbec", "peach": "dd6c54 f9a98a ffdcc6",
    "red": "8c0a18 d9202a f2523f", "rust": "7a2408 b9480f e88a2c", "pink": "b52c68 ee76a8 fcc6da",
    "gold": "a85a08 eeb01e ffe27a", "white": "c3c7b0 f1efe8 ffffff", "ink": "0d0a12 241a2c 4a3a52",
    "blush": "d8668c f7b9cd fff0f4", "blue": "1e2c92 4367da 93b0f5", "plum": "24103a 47205e 8a4c9c",
    "lilac": "6a55b2 aa98e2 ddd4f8", "leaf": "1f4a24 3f7d36 86b455", "sage": "4b6a4e 7f9c72 b4c79c",
    "bark": "2f211d 5b4238 8a6a58", "seed": "23120a 4a2813 8a5a22", "down": "b9b4a4 ebe8de ffffff",
}  # fmt: skip


@dataclass(frozen=True)
class Petals:
    """One ring of petals: lengths in radii of the head, half widths in lengths of the petal."""

    count: int = 1
    reach: float = 1.0  # where the tips are
    start: float = 0.0  # where the feet are
    width: float = 0.3  # half width at the widest place
    base: float = 0.7  # exponent at the foot: 0.3 is broad, 1.5 narrow
    tip: float = 0.45  # exponent at the tip: 0.3 is blunt, 1 pointed
    stalk: float = 0.0  # half width added everywhere
    lobes: float = 0.0  # 2 is a notched tip, 5 a toothed one ...
    depth: float = 0.0  # ... cut this deep
    turn: float = 0.0
    rise: float = 0.0  # how far the centre of the ring is moved along the head's direction
    bend: float = 0.0  # sideways curve
    veins: float = 0.05
    hollow: float = 0.2  # how dark the foot is
    ridge: float = 0.1  # how light the middle line is
    speckle: float = 0.0
    shade: float = 1.0
    opacity: float = 1.0
    shadow: float = 0.35  # on what lies below
    passes: int = 2  # petals of one pass must not overlap; those of the next lie on top
    jitter: float = 0.06  # how much the petals of a ring differ
    colour: str = ""  # the head's own if empty
    spirals: int = 0  # above 0: no petals, but a dome of florets in so many spirals


STEM = Petals(width=0, jitter=0, veins=0, ridge=0.25, hollow=0.1)
LEAF = Petals(reach=0.9, width=0.2, tip=0.8, ridge=0.25, jitter=0.01)


@dataclass(frozen=True)
class Scene:
    """The sheet being painted, with its light and its dice."""

    sheet: Floats  # (4, height, width): red, green and blue times coverage, and coverage; 0 to 1
    rng: np.random.Generator
    light: float  # the direction it comes from

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))


@dataclass(frozen=True)
class Head:
    """A flower's place and direction: `squash` is 1 seen from above, less when tilted away."""

    at: Point
    radius_px: float
    ramp: Floats  # the colour of its petals, as ramp_of returns it
    turn: float = 0.0
    axis: float = 0.0
    squash: float = 1.0

    def flatten(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Places in the picture as offsets in the flower's own plane."""
        x, y = x - np.float32(self.at[0]), y - np.float32(self.at[1])
        if self.squash == 1:
            return x, y
        c, s = math.cos(self.axis), math.sin(self.axis)
        along, across = x * c + y * s, (y * c - x * s) * (1 / self.squash)
        return along * c - across * s, along * s + across * c


@cache
def ramp_of(name: str, heart: str = "", extent: float = 0.0) -> Floats:
    """A colour ramp from foot to tip, with another colour at the foot if given; (3, 256), 0 to 1."""
    stops = np.array([list(bytes.fromhex(stop)) for stop in COLOURS[name].split()]) / 255
    u = np.linspace(0, 1, 256)
    ramp = np.stack([np.interp(u, (0, 0.45, 1), channel) for channel in stops.T])
    if heart:
        inner = np.clip((extent - u) / 0.12 + 0.5, 0, 1)
        ramp = ramp * (1 - inner) + ramp_of(heart) * inner
    return ramp.astype(np.float32)


@cache
def outline(base: float, tip: float) -> Floats:
    """The half width of a petal at 512 places along it, at most 1."""
    u = np.linspace(0, 1, 512)
    width = u**base * (1 - u) ** tip
    width /= width.max()
    return width.astype(np.float32)


def inwards(petals: Petals, place: Indices, v: Floats) -> tuple[Floats, Floats]:
    """How far inside N pixels are, a place (0 to 511) along and v across; and the half width there.

    The distance, in lengths of the petal, is f / |grad f| with f = width**power - |v|**power. Where
    a tip is blunt the width falls ever faster, and with power 1 its edge would be jagged.
    """
    doublings = 0 if not petals.width or petals.tip > 0.65 else 1 if petals.tip > 0.35 else 2
    width = outline(petals.base, petals.tip) * petals.width + petals.stalk
    level, across, growth = width, np.abs(v), np.ones(1, np.float32)
    for _ in range(doublings):
        level, across, growth = level * level, across * across, 2 * across * growth
    slope = np.diff(level, append=2 * level[-1] - level[-2]) * 511
    gradient = np.sqrt((slope * slope).take(place) + growth * growth) + np.float32(1e-9)
    return (level.take(place) - across) / gradient, width.take(place)


def within(scene: Scene, ends: Points, margin_px: float) -> tuple[Indices, Floats, Floats]:
    """The N pixels of the box around two points: flat indices into a plane of the sheet; x; y."""
    spans = []
    for size, a, b in zip(scene.sheet.shape[:0:-1], *ends, strict=True):  # across, then down
        low, high = int(min(a, b) - margin_px), int(max(a, b) + margin_px) + 1
        spans.append(np.arange(max(low, 0), min(max(high, 0), size)))
    column, row = spans
    where = (row[:, None] * scene.sheet.shape[2] + column).ravel()
    x, y = (span.astype(np.float32) + np.float32(0.5) for span in spans)
    return where, np.tile(x, len(y)), np.repeat(y, len(x))


def angle_of(x: Floats, y: Floats) -> Floats:
    """`arctan2(y, x)` by the half angle, in which numpy is ten times as fast."""
    return np.arctan(y / (np.sqrt(x * x + y * y) + x + np.float32(1e-6))) * 2


def lay(
    scene: Scene, where: Indices, colour: tuple[Floats, Floats, Floats], cover: Floats, dark: Floats
) -> None:
    """Darken N pixels, then lay on them a ramp's colour at `along` (N,), times `tone` (N,)."""
    ramp, along, tone = colour
    place, clear = (along * 255).astype(np.intp), 1 - cover
    for plane, values in zip(scene.sheet.reshape(4, -1)[:3], ramp, strict=True):
        # The shadow on a petal is its own deep colour: black would look like an ink line.
        below = plane.take(where) * (clear - clear * dark * (1 - 0.7 * values[0]))
        plane[where] = below + np.minimum(values.take(place) * tone, 1) * cover
    plane = scene.sheet.reshape(4, -1)[3]
    plane[where] = plane.take(where) * clear + cover


def paint_petals(scene: Scene, head: Head, petals: Petals) -> None:
    """Paint one ring of petals of a head."""
    n, jitter, turn = petals.count, petals.jitter, head.turn + petals.turn
    reach_px = head.radius_px * petals.reach
    ends, margin_px = (head.at, head.at), reach_px * (1 + jitter) + 3
    if n == 1:  # only the pixels around the one petal
        tip = (head.at[0] + math.cos(turn) * reach_px, head.at[1] + math.sin(turn) * reach_px)
        ends = (head.at, tip)
        margin_px = reach_px * (petals.width + petals.stalk + abs(petals.bend) + jitter * 4) + 3
    where, x, y = within(scene, ends, margin_px)
    x, y = head.flatten(x, y)
    noise = scene.rng.normal(0, jitter, (4, n))
    angle = turn + (np.arange(n) + 1.5 * noise[0]) * 2 * np.pi / n
    length = (reach_px - petals.start * head.radius_px) * (1 - np.minimum(abs(noise[1]), 0.4))
    bend = petals.bend + noise[2] * (n > 1)
    tone = petals.shade * (1 + 0.13 * np.cos(angle - scene.light) + noise[3] / 2)
    side = 0.1 * np.sin(scene.light - angle)
    each = np.stack([np.cos(angle), np.sin(angle), length, bend, tone, side]).astype(np.float32)
    parts = petals.passes  # with as many passes as petals, a pass is one petal for every pixel
    turns = (angle_of(x, y) - turn) * (n / (2 * np.pi * parts)) if n > parts else None
    for first in range(min(parts, n)):
        nearest = np.zeros(1) if turns is None else np.rint(turns - first / parts)
        mine = first + parts * nearest.astype(np.intp)
        paint_pass(scene, head, petals, (where, x, y, mine), each)


def paint_pass(scene: Scene, head: Head, petals: Petals, pixels: Pixels, each: Floats) -> None:
    """Paint petals that do not overlap; `each` (6, count) is what makes them differ."""
    where, x, y, mine = pixels
    cos, sin, length, bend = (row.take(mine, mode="wrap") for row in each[:4])
    u = (x * cos + y * sin - np.float32(petals.start * head.radius_px)) / length
    v = (y * cos - x * sin) / length - bend * u * u
    if petals.depth:
        waves = np.cos(v * (math.pi * petals.lobes / petals.width))
        u *= 1 + petals.depth * u * (0.5 + 0.5 * waves)
    inside = np.clip(u, 0, 1)
    place = (inside * 511).astype(np.intp)
    edge_px, width = inwards(petals, place, v)
    edge_px -= 2 * np.abs(u - inside)
    edge_px *= length  # above 0 inside the petal
    soft_px = 2 + 0.05 * head.radius_px
    near = np.nonzero(edge_px > (-soft_px if petals.shadow else -0.5))[0]
    where, mine = where.take(near), mine.take(near) if len(mine) > 1 else mine
    edge_px, u = edge_px.take(near), inside.take(near)
    q = np.clip(v.take(near) / (width.take(near) + np.float32(1e-3)), -1, 1)  # -1 to 1 across
    tone, side = (row.take(mine, mode="wrap") for row in each[4:])
    tone = shaded(petals, u, q, tone, side)
    cover = np.clip(edge_px + 0.5, 0, 1) * petals.opacity
    dark = petals.shadow * np.clip(1 + edge_px / soft_px, 0, 1)
    ramp = ramp_of(petals.colour) if petals.colour else head.ramp
    lay(scene, where, (ramp, u, tone), cover, dark)


def shaded(petals: Petals, u: Floats, q: Floats, tone: Floats, side: Floats) -> Floats:
    """The brightness (N,) of places along (u, 0 to 1) and across (q, -1 to 1) a petal."""
    tone = tone * (1.05 + side * q - 0.12 * q * q - petals.hollow * (1 - u) ** 2)
    tone += petals.ridge * np.maximum(1 - 9 * q * q, 0) * (1 - u)
    if petals.veins:
        tone += petals.veins * np.cos(q * 14) * (1 - u * u)
    if petals.speckle:
        dots = np.cos(u * 70 + 2 * np.sin(q * 9)) * np.cos(q * 11 + u * 12)
        tone -= petals.speckle * np.clip(dots * 6 - 3, 0, 1) * (u < 0.62)
    return tone


def paint_dome(scene: Scene, head: Head, petals: Petals) -> None:
    """Paint a domed centre, with the crossing spirals in which florets and seeds grow."""
    radius_px = petals.reach * head.radius_px
    where, x, y = within(scene, (head.at, head.at), radius_px + 1)
    x, y = (offset / np.float32(radius_px) for offset in head.flatten(x, y))
    r, theta = np.sqrt(x * x + y * y), angle_of(x, y)
    swirl = np.log(r + 0.12) * (petals.spirals * 0.62)
    one_way, other_way = (round(petals.spirals * part) * theta for part in (0.618, 0.382))
    dots: Floats = np.cos(one_way + swirl) * np.cos(other_way - swirl)
    lit = x * math.cos(scene.light) + y * math.sin(scene.light)
    tone: Floats = 1 + 0.25 * dots + 0.22 * lit - 0.3 * np.minimum(r, 1) ** 6
    along = np.clip(1 - r * r * 0.75 + 0.12 * dots, 0, 1)
    cover = np.clip((1 - r) * np.float32(radius_px) + 0.5, 0, 1)
    lay(scene, where, (ramp_of(petals.colour), along, tone), cover, 0 * r)


def paint_stem(scene: Scene, ends: Points, width_px: float, colour: str, bend: float) -> None:
    """Paint a stem or a branch from its foot to its top: a petal that is all stalk."""
    (foot_x, foot_y), (top_x, top_y) = ends
    turn = math.atan2(top_y - foot_y, top_x - foot_x) - math.atan(bend)
    length_px = math.dist(*ends) / math.hypot(1, bend)
    stem = replace(STEM, stalk=width_px / 2 / length_px, bend=bend)
    paint_petals(scene, Head(ends[0], length_px, ramp_of(colour), turn), stem)
