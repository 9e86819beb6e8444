"""Flowers drawn by arithmetic: labelled pictures for the demo and the tests, with no download.

A species is a list of rings of petals. They are painted on a clear sheet, the sheet is laid over a
background, and the whole is graded like a photograph: light from one side, a glow, darker corners,
grain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from lookalike.demo.painting import (
    LEAF,
    Floats,
    Head,
    Petals,
    Scene,
    paint_dome,
    paint_petals,
    paint_stem,
    ramp_of,
)

SIZES_PX = ((320, 240), (240, 320), (256, 256), (300, 200), (300, 240))
UP = -math.pi / 2  # angles are in radians, clockwise from the right, as y grows downwards

BACKGROUNDS = {  # above, in the middle, below; then the lights out of focus
    "sky": "4f92d8 98c6ec e9f3f6 ffffff f4f8ff", "dusk": "4a3f78 c86f80 f6b678 ffe0a0 ffb080",
    "meadow": "dfeba8 86b45e 2f5f34 fff6c0 c8e890 f8d0e0", "paper": "f6efe2 f1e8d8 e8dcc8",
    "morning": "fbe8c8 e8cc90 8fa860 fffbe0 ffe8a0 e0f0b0", "mint": "dff0e8 cfe6da b4d2c4",
    "shade": "3a5f48 1f4030 0e2018 a8d0a0 e8f0b0 88b8c0", "rosy": "fbe6e2 f4d5d0 e2b8b6",
    "studio": "3c3c48 24242c 121216",
}  # fmt: skip


@dataclass(frozen=True)
class Species:
    """A species to draw: the rings of a head, from back to front, and how the plant grows."""

    colours: str
    rings: tuple[Petals, ...]
    heart: tuple[str, float] = ("", 0.0)  # a colour at the foot of each petal, and how far it goes
    heads: tuple[int, int] = (1, 3)
    size: tuple[float, float] = (0.3, 0.42)  # radius of a head, of the picture's shorter side
    squash: tuple[float, float] = (0.7, 1.0)
    upright: bool = False  # seen from the side
    stem: str = "leaf"
    leaf: Petals = LEAF
    places: str = " ".join(BACKGROUNDS)


def rings(petals: Petals, *reaches: float) -> tuple[Petals, ...]:
    """The same ring at several sizes, each turned by half a petal and a little lighter."""
    last, step = len(reaches) - 1, math.pi / petals.count
    return tuple(
        replace(petals, reach=reach, turn=i * step, shade=1 - 0.2 * (last - i) / (last + 1))
        for i, reach in enumerate(reaches)
    )


def varied(petals: Petals, names: str, rows: Iterable[tuple[float, ...]]) -> tuple[Petals, ...]:
    """The same petals several times, with the named fields as in each row."""
    fields = [dict(zip(names.split(), row, strict=True)) for row in rows]
    return tuple(replace(petals, **changed) for changed in fields)  # type: ignore[arg-type]


STRAP = Petals(reach=2.4, width=0.07, base=0.4, tip=0.7, ridge=-0.15, veins=0.08, jitter=0.01)
STAMENS = Petals(count=12, reach=0.5, start=0.03, width=0.06, base=9, tip=0.4, stalk=0.018,
                 jitter=0.12, shadow=0.2, colour="gold")  # fmt: skip
DAISY = Petals(count=26, start=0.15, width=0.13, base=0.6, tip=0.3)
SUNFLOWER = Petals(count=24, start=0.3, width=0.22, tip=0.75)
TULIP = Petals(rise=-0.8, base=0.55, tip=0.6, veins=0.04, ridge=-0.1, jitter=0, shadow=0.4)
ROSE = Petals(width=0.72, base=0.5, tip=0.28, veins=0, ridge=0, hollow=0.75, shadow=0.6,
              jitter=0.02)  # fmt: skip
POPPY = Petals(count=2, width=0.74, base=0.5, tip=0.22, lobes=5, depth=0.05, shadow=0.45)
FLORETS = Petals(count=7, passes=1, jitter=0.2, width=0.36, shadow=0.3, veins=0, base=0.6, tip=0.4)
LILY = Petals(count=3, width=0.25, base=0.75, tip=0.75, ridge=0.3, bend=0.1, passes=3, speckle=0.35)
DAHLIA = Petals(count=18, width=0.26, tip=0.7, ridge=-0.1, jitter=0.04, hollow=0.4)
RAYS = Petals(count=40, reach=0.85, width=0, stalk=0.008, jitter=0.1, shadow=0, opacity=0.6)
DOWN = Petals(width=0.45, base=1.2, tip=0.12, shadow=0, opacity=0.24, lobes=7, depth=0.25)
BLOSSOM = Petals(count=5, width=0.42, tip=0.3, lobes=2, depth=0.14, passes=1)
TRUMPET = Petals(count=10, start=0.12, base=1.5, tip=0.2, lobes=4, depth=0.4, jitter=0.1)
IRIS = Petals(width=0.36, base=0.8, tip=0.32, lobes=7, depth=0.05, veins=0.08, ridge=0, jitter=0.01)
BEARD = Petals(reach=0.42, width=0.16, base=0.5, veins=0.2, shadow=0.2, jitter=0.01, colour="gold")

DRAWN = {
    "daisy": Species("white cream blush yellow lilac", (
        DAISY, Petals(reach=0.27, colour="gold", spirals=34))),
    "sunflower": Species("yellow orange rust", (
        *rings(SUNFLOWER, 1, 0.93), Petals(reach=0.48, colour="seed", spirals=55)),
        heads=(1, 2), squash=(0.75, 1)),
    "tulip": Species("red pink yellow purple white orange", varied(
        TULIP, "turn reach width shade bend", (
            (-0.16, 1.62, 0.3, 0.78, -0.1), (0.16, 1.6, 0.3, 0.78, 0.1),
            (-0.35, 1.6, 0.27, 0.93, 0.22), (0.35, 1.6, 0.27, 0.93, -0.22),
            (0.02, 1.5, 0.36, 1.05, 0))),
        leaf=STRAP, size=(0.24, 0.34), heads=(1, 4), squash=(1, 1), upright=True),
    "rose": Species("red crimson pink peach white yellow", varied(
        ROSE, "turn reach shade",  # 2.4 is the golden angle: no petal lies straight on another
        ((2.4 * i, 0.1 + 0.9 * (1 - i / 16) ** 0.85, 1 - 0.01 * i) for i in range(16))),
        heads=(1, 2), size=(0.3, 0.4), squash=(0.85, 1)),
    "poppy": Species("red orange yellow white blush lilac", (
        *rings(POPPY, 1, 0.96), Petals(reach=0.13, colour="sage", spirals=13),
        replace(STAMENS, count=44, reach=0.36, start=0.1, colour="ink")), heart=("ink", 0.2),
        squash=(0.6, 1), leaf=replace(LEAF, width=0.17, lobes=5, depth=0.4)),
    "lavender": Species("purple lilac blue pink", varied(
        FLORETS, "rise reach",
        ((i * 0.25 - 0.9, 0.28 - 0.03 * abs(i - 2) + 0.01 * i) for i in range(8))),
        heads=(3, 6), size=(0.26, 0.36), squash=(0.7, 0.7), upright=True, stem="sage",
        leaf=replace(STRAP, reach=1.4)),
    "lily": Species("white pink orange yellow red blush", (
        *rings(LILY, 1, 0.96), replace(STAMENS, count=6, reach=0.55, colour="rust")),
        heart=("sage", 0.12), size=(0.34, 0.48), leaf=replace(LEAF, width=0.12)),
    "dahlia": Species("red pink orange yellow purple white crimson peach",
        rings(DAHLIA, 1, 0.88, 0.76, 0.63, 0.5, 0.37, 0.25), heads=(1, 2)),
    "dandelion": Species("down", (
        RAYS, Petals(reach=0.13, colour="seed", spirals=13), *varied(DOWN, "reach start count", (
            (1, 0.7, 38), (0.82, 0.5, 30), (0.62, 0.3, 24), (0.42, 0.1, 16)))),
        heads=(1, 2), places="sky meadow shade dusk studio", squash=(0.92, 1),
        leaf=replace(STRAP, reach=1.4, width=0.1, lobes=5, depth=0.1)),
    "cherry blossom": Species("blush pink white", (BLOSSOM, replace(STAMENS, count=16)),
        heart=("pink", 0.1), heads=(5, 9), size=(0.15, 0.22), stem="bark"),
    "cornflower": Species("blue purple pink white", (
        Petals(reach=0.4, colour="plum", spirals=21), TRUMPET, replace(TRUMPET, reach=0.7),
        replace(STAMENS, count=24, reach=0.36, colour="plum")),
        leaf=replace(LEAF, reach=1.2, width=0.08)),
    "iris": Species("purple blue yellow white lilac", (
        *varied(IRIS, "turn bend shade", (
            (-0.55, 0.35, 0.9), (0.55, -0.35, 0.9), (0, 0, 1.06),
            (-2, -0.35, 0.9), (2, 0.35, 0.9), (3.1, 0.05, 1))),
        *varied(BEARD, "turn bend", ((-2, -0.35), (2, 0.35), (3.1, 0.05)))),
        leaf=STRAP, size=(0.28, 0.38), heads=(1, 2), squash=(1, 1), upright=True),
}  # fmt: skip
SPECIES: tuple[str, ...] = tuple(DRAWN)


def paint_head(scene: Scene, plan: Species, head: Head) -> None:
    """Paint the rings of one head, each a little wider and more curved than planned, or less."""
    turn = UP + scene.between(-0.15, 0.15) if plan.upright else scene.between(0, 6.28)
    axis = 0.0 if plan.upright else scene.between(-0.5, 0.5)
    head = replace(head, turn=turn, axis=axis, squash=scene.between(*plan.squash))
    wider, curl = scene.between(0.86, 1.14), scene.between(0.7, 1.3)
    for ring in plan.rings:
        rise_px = ring.rise * head.radius_px
        place = (head.at[0] + math.cos(turn) * rise_px, head.at[1] + math.sin(turn) * rise_px)
        shape = replace(ring, width=ring.width * wider, bend=ring.bend * curl)
        (paint_dome if ring.spirals else paint_petals)(scene, replace(head, at=place), shape)


def place_heads(scene: Scene, plan: Species, ramp: Floats) -> list[Head]:
    """Heads not too close together, the far and small ones first."""
    height, width = scene.sheet.shape[1:]
    count = int(scene.rng.integers(plan.heads[0], plan.heads[1] + 1))
    near_px = min(height, width) * scene.between(*plan.size)
    sizes = [*sorted(scene.between(0.55, 0.9) for _ in range(count - 1)), 1.15 if count == 1 else 1]
    margin = 0.36 if count == 1 else 0.14
    heads: list[Head] = []
    for size in sizes:
        across = scene.rng.uniform(margin, 1 - margin, 9)
        down = scene.rng.uniform(max(0.26, 0.92 * near_px * size / height), 0.58, 9)
        tries = [(float(x) * width, float(y) * height) for x, y in zip(across, down, strict=True)]
        apart = [min([math.dist(at, other.at) for other in heads], default=0) for at in tries]
        heads.append(Head(tries[apart.index(max(apart))], near_px * size, ramp))
    return heads


def paint_stalk(scene: Scene, plan: Species, head: Head) -> None:
    """Paint a head's stem, up from the branch, or from the lower edge and with two leaves."""
    (height, width), at, bend = scene.sheet.shape[1:], head.at, scene.between(-0.12, 0.12)
    foot = (at[0] + scene.between(-0.6, 0.6) * head.radius_px, height + 6.0)
    from_ground = plan.leaf.reach > 1.3
    if plan.stem == "bark":
        foot = (foot[0], height * (0.75 - 0.4 * foot[0] / width))
    for side in () if plan.stem == "bark" else (-1, 1):
        up = 0.0 if from_ground else scene.between(0.1, 0.5)
        sway_px = bend * (up * up - up) * math.dist(foot, at)
        spot = (foot[0] + (at[0] - foot[0]) * up + sway_px, foot[1] + (at[1] - foot[1]) * up)
        turn = UP + side * (scene.between(0.1, 0.45) if from_ground else scene.between(0.5, 1.1))
        leaf = replace(plan.leaf, bend=side * scene.between(-0.1, 0.35))
        length_px = head.radius_px * scene.between(0.7, 1.1)
        paint_petals(scene, Head(spot, length_px, ramp_of(plan.stem), turn), leaf)
    paint_stem(scene, (foot, at), 2 + head.radius_px * 0.07, plan.stem, bend)


def paint_background(name: str, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """A soft gradient; outdoors with grass or lights far out of focus."""
    width, height = size[0] // 2, size[1] // 2
    colours = [bytes.fromhex(colour) for colour in BACKGROUNDS[name].split()]
    y = np.linspace(0, 1, 5)
    stops = np.array([list(colour) for colour in colours[:3]])
    grid = np.stack([np.interp(y, (0, 0.5, 1), channel) for channel in stops.T], axis=1)[:, None]
    grid = grid * rng.normal(1, 0.04, (5, 4, 1)) + rng.normal(0, 4, (5, 4, 3))
    image = Image.fromarray(np.clip(grid, 0, 255).astype(np.uint8))
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image, "RGBA")
    for _ in range(26 if name in ("meadow", "morning", "shade") else 0):
        x, tall, lean = rng.uniform(0, width), rng.uniform(0.2, 0.6) * height, rng.normal(0, 9)
        green = tuple(int(c) for c in stops[1] * rng.uniform(0.6, 1.25))
        pen.line((x, height, x + lean, height - tall), (*green, 110), int(rng.integers(2, 5)))
    for _ in range(int(rng.integers(12, 28)) if colours[3:] else 0):
        x, y0, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.03, 0.11) * width
        light = colours[int(rng.integers(3, len(colours)))]
        pen.ellipse((x - r, y0 - r, x + r, y0 + r), (*light, int(rng.integers(20, 75))))
    soft = ImageFilter.GaussianBlur(9 if name == "sky" else 1.6)
    return image.filter(soft).resize(size, Image.Resampling.BICUBIC)


def paint_plants(scene: Scene, plan: Species, ramp: Floats) -> None:
    """Paint every plant of the picture, the far ones a little out of focus."""
    height, width = scene.sheet.shape[1:]
    if plan.stem == "bark":
        branch = ((-9.0, height * 0.75), (width * 1.1, height * 0.31))
        paint_stem(scene, branch, 9, "bark", scene.between(-0.05, 0.05))
    heads = place_heads(scene, plan, ramp)
    for head in heads:
        if head is heads[-1] and len(heads) > 1:
            for plane in scene.sheet:
                image = Image.fromarray((plane * 255).astype(np.uint8))
                plane[:] = np.asarray(image.filter(ImageFilter.BoxBlur(0.8)), np.float32) / 255
        paint_stalk(scene, plan, head)
        paint_head(scene, plan, head)


def develop(scene: Scene, background: Image.Image, flat: bool) -> Image.Image:
    """Lay the sheet over the background, with a shadow if that is flat, and grade the whole."""
    cover = scene.sheet[3]
    height, width = cover.shape
    behind = np.asarray(background, np.float32).transpose(2, 0, 1) * (1 - cover)
    to_light_x, to_light_y = math.cos(scene.light), math.sin(scene.light)
    if flat:
        mask = Image.fromarray((cover * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(5))
        shift = (1, 0, 7 * to_light_x, 0, 1, 7 * to_light_y)
        shadow = np.asarray(mask.transform(mask.size, Image.Transform.AFFINE, shift), np.float32)
        behind *= 1 - 0.4 / 255 * shadow
    picture = scene.sheet[:3] * 255 + behind
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    warmth = scene.between(-0.03, 0.05)
    lit = 1.04 + 0.1 * (x * to_light_x + y * to_light_y) - 0.1 * (x * x + y * y)
    picture *= np.array([1 + warmth, 1, 1 - warmth], np.float32)[:, None, None] * lit
    picture += 2.8 * scene.rng.standard_normal((height, width), np.float32)
    pixels = np.clip(picture, 0, 255).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    glow = image.reduce(4).filter(ImageFilter.GaussianBlur(2))
    glow = glow.resize(image.size, Image.Resampling.BILINEAR)
    return Image.blend(image, ImageChops.screen(image, glow), 0.14)


def draw_flower(species: str, seed: int) -> Image.Image:
    """Draw one picture of a species, the same for the same seed; RGB, 200 to 320 pixels a side."""
    plan, rng = DRAWN[species], np.random.default_rng([seed, SPECIES.index(species)])
    width, height = SIZES_PX[int(rng.integers(len(SIZES_PX)))]
    place, colour = str(rng.choice(plan.places.split())), str(rng.choice(plan.colours.split()))
    ramp = ramp_of(colour, *plan.heart) * rng.normal(1, 0.04, (3, 1)).astype(np.float32)
    scene = Scene(np.zeros((4, height, width), np.float32), rng, float(rng.uniform(-2.6, -0.5)))
    paint_plants(scene, plan, ramp)
    background = paint_background(place, (width, height), rng)
    return develop(scene, background, flat=place in ("paper", "mint", "rosy"))


def is_complete(path: Path) -> bool:
    """Whether a JPEG has its end mark: a power cut can leave a renamed file truncated."""
    return path.is_file() and path.read_bytes()[-2:] == b"\xff\xd9"


def write_flowers(
    folder: Path,
    count: int = 300,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
    *,
    by_kind: bool = True,
) -> list[Path]:
    """Write `folder/<species>/<species>-001.jpg` and so on, equally many of each, give or take one.

    Without `by_kind`, all go into one folder as `0001-<species>.jpg`, so that the species alternate by name.
    Complete files stay as they are, whatever seed drew them; `on_progress` is told how many are done.
    """
    paths = []
    for i in range(count):
        species, number = SPECIES[i % len(SPECIES)], i // len(SPECIES) + 1
        path = folder / (f"{species}/{species}-{number:03d}.jpg" if by_kind else f"{i + 1:04d}-{species}.jpg")
        if not is_complete(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".unfinished")
            draw_flower(species, seed * 1_000_003 + number).save(unfinished, "JPEG", quality=90)
            unfinished.replace(path)
        paths.append(path)
        if on_progress:
            on_progress(i + 1)
    return paths
