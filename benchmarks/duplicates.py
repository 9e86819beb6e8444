"""How many made duplicates are found, how many of what is found are none, and how long does it take?

    python benchmarks/duplicates.py --tuned-on FLOWERS --images FLOWERS CLOTHING STAMPS [--sheets FOLDER]
        [--count 100] [--keep FOLDER] [--imagededup PYTHON]

Two collections are made of each folder. One has its pictures as they are: of each tier it prints how many
pairs there are, none of which was made here, and `--sheets` draws them side by side. Whether they are right
is for eyes to say. The other has `--count` of the pictures, spread over the folder, each with one duplicate
of each kind; the share of these that is paired with its original, in any tier, is the recall. A duplicate of
a picture with transparency is a WebP file that keeps it. `--keep` keeps the collections for the next run. The
standard error has what is known of a folder as soon as it is.

`--imagededup` is the Python of an environment with imagededup, whose PHash hashes the files of the second
collection and searches in them, on one core as ours on all; ours is the time of the tiers `bytes,pixels,copy`
on a collection that is built.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageOps

import lookalike
from lookalike.analysis.tiers import TIERS
from lookalike.images.contact import contact_sheet, png

ASKED = tuple(tier for tier in TIERS if tier != "moment")
ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
Edit = Callable[[Image.Image], Image.Image]


def cropped(image: Image.Image) -> Image.Image:
    """The middle of a picture, 80% of each side."""
    x, y = (round(size * 0.1) for size in image.size)
    return image.crop((x, y, image.width - x, image.height - y))


def watermarked(image: Image.Image) -> Image.Image:
    """White writing in four lines, which leaves what is transparent as it is."""
    marked, text = image.copy(), "(c) SAMPLE"
    draw = ImageDraw.Draw(marked)
    for y in range(0, image.height, max(40, image.height // 4)):
        draw.text((image.width * 0.3, y), text, fill=(255, 255, 255))
    if image.mode == "RGBA":
        marked.putalpha(image.getchannel("A"))
    return marked


def brighter(image: Image.Image) -> Image.Image:
    made = ImageEnhance.Brightness(image.convert("RGB")).enhance(1.3)
    if image.mode == "RGBA":
        made.putalpha(image.getchannel("A"))
    return made


# name -> the edit, and the quality of the JPEG or WebP that it is written with
EDITS: dict[str, tuple[Edit, int]] = {
    "re-encoded, quality 40": (lambda image: image, 40),
    "resized to half": (lambda image: image.resize((image.width // 2 or 1, image.height // 2 or 1)), 85),
    "brightness 1.3": (brighter, 85),
    "cropped to 80%": (cropped, 85),
    "mirrored": (ImageOps.mirror, 85),
    "rotated by 90": (lambda image: image.transpose(Image.Transpose.ROTATE_90), 85),
    "watermarked": (watermarked, 85),
}

_PHASH = """
import sys, time
from imagededup.methods import PHash
hasher = PHash(verbose=False)
started = time.perf_counter()
codes = hasher.encode_images(image_dir=sys.argv[1], num_enc_workers=0)
hasher.find_duplicates(encoding_map=codes, max_distance_threshold=8, num_dist_workers=0)
print(time.perf_counter() - started)
"""


@dataclass
class Measured:
    """What was found in a folder: pairs by tier, recall by edit, and seconds by system."""

    name: str
    pictures: int
    pairs: Counter[str] = field(default_factory=Counter)
    recall: dict[str, float] = field(default_factory=dict)
    times_s: dict[str, float] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="folders of pictures")
    parser.add_argument("--tuned-on", type=Path, required=True, help="the one that the limits come from")
    parser.add_argument("--count", type=int, default=100, help="pictures that get duplicates")
    parser.add_argument("--sheets", type=Path, help="draw the pairs that were not made into this folder")
    parser.add_argument("--keep", type=Path, help="keep the collections in this folder, and use what it has")
    parser.add_argument("--imagededup", help="the Python of an environment with imagededup")
    options = parser.parse_args()
    found = [measure(folder, options) for folder in options.images]
    tuned = [
        one.name for one, folder in zip(found, options.images, strict=True) if folder == options.tuned_on
    ]
    print(f"tuned on {', '.join(tuned) or options.tuned_on}; {options.count} pictures with duplicates each")
    line("", [f"{one.name} ({one.pictures:,})" for one in found])
    for tier in ASKED:
        line(f"pairs not made: {tier}", [f"{one.pairs[tier]}" for one in found])
    for edit in EDITS:
        line(f"recall: {edit}", [f"{one.recall[edit]:.3f}" for one in found])
    for system in found[0].times_s:
        line(system, [f"{one.times_s[system]:.2f} s" for one in found])


def line(title: str, values: Sequence[str]) -> None:
    print(f"{title:40}" + "".join(f"{value:>22}" for value in values), flush=True)


def measure(folder: Path, options: argparse.Namespace) -> Measured:
    originals = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    measured = Measured(folder.name, len(originals))
    with tempfile.TemporaryDirectory() as temporary:
        place = (options.keep or Path(temporary)) / f"{folder.name}-{options.count}"
        place.mkdir(parents=True, exist_ok=True)
        step = max(1, len(originals) // options.count)
        images = written(originals[::step][: options.count], place / "images")
        made = lookalike.build(images, place / "made.lookalike")
        started = time.perf_counter()
        made.duplicates()
        measured.times_s[f"bytes,pixels,copy, {options.count * (1 + len(EDITS)):,} pictures"] = (
            time.perf_counter() - started
        )
        recall(made, measured)
        told(folder, measured.recall)
        if options.imagededup:
            measured.times_s["imagededup, PHash, hash and search"] = phash_s(options.imagededup, images)
        whole = lookalike.build(folder, place / "whole.lookalike")
        started = time.perf_counter()
        unmade(whole, measured, options.sheets)
        measured.times_s["all tiers, pictures as they are"] = time.perf_counter() - started
        told(folder, {**measured.pairs, **measured.times_s})
    return measured


def told(folder: Path, found: Mapping[str, float]) -> None:
    print(folder.name, {name: round(value, 3) for name, value in found.items()}, file=sys.stderr, flush=True)


def phash_s(python: str, images: Path) -> float:
    """The seconds that imagededup takes, asked in a process of its own."""
    asked = [python, "-c", _PHASH, str(images)]
    return float(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()[-1])


def unmade(whole: lookalike.Collection, measured: Measured, sheets: Path | None) -> None:
    """Count the pairs among pictures that nobody edited, and draw them."""
    found = whole.duplicates(tiers=ASKED)
    ids = [item["id"] for item in found.items]
    measured.pairs.update(pair.tier for pair in found.pairs)
    if sheets is None:
        return
    sheets.mkdir(parents=True, exist_ok=True)
    for tier in ASKED:
        rows = [row for pair in found.pairs if pair.tier == tier for row in pair.rows]
        for start in range(0, len(rows), 64):
            shown = [ids[row] for row in rows[start : start + 64]]
            thumbnails = whole.snapshot.thumbnails(whole.snapshot.rows_of(shown))
            sheet = contact_sheet(thumbnails, [id_[-22:] for id_ in shown], f"{measured.name}: {tier}")
            (sheets / f"{measured.name}-{tier}-{start // 64}.png").write_bytes(png(sheet))


def recall(made: lookalike.Collection, measured: Measured) -> None:
    """Which share of each kind of duplicates is paired with its original."""
    found = made.duplicates(tiers=ASKED)
    names = [item["id"].split(".")[0].split("-") for item in found.items]
    hits: Counter[str] = Counter()
    for pair in found.pairs:
        (number, kind), (other, its_kind) = (names[row] for row in pair.rows)
        if number == other and "original" in (kind, its_kind):
            hits[its_kind if kind == "original" else kind] += 1
    count = sum(kind == "original" for _, kind in names)
    measured.recall = {edit: hits[str(number)] / count for number, edit in enumerate(EDITS)}


def written(originals: Sequence[Path], folder: Path) -> Path:
    """The originals as NUMBER-original, byte for byte, and each edited one as NUMBER-EDIT; once."""
    if folder.exists():
        return folder
    folder.mkdir()
    for number, path in enumerate(originals):
        (folder / f"{number}-original{path.suffix}").write_bytes(path.read_bytes())
        with Image.open(path) as image:
            mode = "RGBA" if image.has_transparency_data else "RGB"
            for kind, (edit, quality) in enumerate(EDITS.values()):
                ending = "webp" if mode == "RGBA" else "jpg"
                edit(image.convert(mode)).save(folder / f"{number}-{kind}.{ending}", quality=quality)
    return folder


if __name__ == "__main__":
    main()
