"""How many made duplicates are found, and how many of what is found are duplicates?

    python benchmarks/duplicates.py --images FOLDER [--imagededup PYTHON]

Each picture of the folder is edited in one way after the other; the originals and the edited are one
collection, and an edited picture is found when it is paired with its original. Precision is the share of
pairs that are of one original. `--imagededup` is the Python of an environment with imagededup: its PHash
runs on the same files, at the distance at which its precision is still 0.99. (Its CNN needs weights
that it downloads.)
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageOps

import lookalike
from lookalike.analysis.duplicates import DUPLICATES, find_duplicates

PRECISION = 0.99
# Pairs of the flowers that show the same photograph, as a look at them says: they are right, but not asked
# for.
SAME = {frozenset(("image_dandelion_525.jpeg", "image_dandelion_74.jpeg"))}
Edit = Callable[[Image.Image], Image.Image]


def cropped(image: Image.Image, share: float) -> Image.Image:
    """The middle of a picture, `share` of each side."""
    x, y = (round(size * (1 - share) / 2) for size in image.size)
    return image.crop((x, y, image.width - x, image.height - y))


def watermarked(image: Image.Image) -> Image.Image:
    draw, text = ImageDraw.Draw(image), "(c) SAMPLE"
    for y in range(0, image.height, max(40, image.height // 4)):
        draw.text((image.width * 0.3, y), text, fill=(255, 255, 255))
    return image


# name -> the edit, and the quality of the JPEG that it is written with
EDITS: dict[str, tuple[Edit, int]] = {
    "re-encoded, quality 40": (lambda image: image, 40),
    "resized to half": (lambda image: image.resize((image.width // 2, image.height // 2)), 85),
    "cropped to 80%": (lambda image: cropped(image, 0.8), 85),
    "mirrored": (ImageOps.mirror, 85),
    "rotated by 90": (lambda image: image.transpose(Image.Transpose.ROTATE_90), 85),
    "watermarked": (watermarked, 85),
    "brightness 1.3": (lambda image: ImageEnhance.Brightness(image).enhance(1.3), 85),
}

_PHASH = """
import json, sys
from imagededup.methods import PHash
hasher = PHash(verbose=False)
codes = hasher.encode_images(image_dir=sys.argv[1], num_enc_workers=0)
found = hasher.find_duplicates(encoding_map=codes, max_distance_threshold=20, scores=True, num_dist_workers=0)
print(json.dumps([[a, b, d] for a, near in found.items() for b, d in near if a < b]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--count", type=int, help="take so many, spread over the folder (default: all)")
    parser.add_argument("--edits", nargs="+", choices=EDITS, default=list(EDITS))
    parser.add_argument("--imagededup", help="the Python of an environment with imagededup")
    options = parser.parse_args()
    originals = sorted(path for path in options.images.iterdir() if path.suffix in (".jpg", ".jpeg", ".png"))
    originals = originals[:: max(1, len(originals) // (options.count or len(originals)))]
    print(f"{len(originals):,} pictures")
    print(f"{'':24}{'':12}{'precision':>10}{'recall':>8}{'s':>7}  tiers, or the distance", flush=True)
    for name in options.edits:
        edit, quality = EDITS[name]
        with tempfile.TemporaryDirectory() as folder:
            images = written(originals, edit, quality, Path(folder) / "images")
            collection = lookalike.build(images, Path(folder) / "c.lookalike")
            started = time.perf_counter()
            found = find_duplicates(collection)
            seconds = time.perf_counter() - started
            ids = [item["id"] for item in found.items]
            pairs = [(ids[one.rows[0]], ids[one.rows[1]]) for one in found.pairs if one.tier in DUPLICATES]
            tiers = Counter(one.tier for one in found.pairs if one.tier in DUPLICATES)
            report(name, "lookalike", judged(pairs, len(originals)), seconds, str(dict(tiers)))
            for pair in wrong(pairs):
                print(f"{'':36}not of one original: {pair[0]}, {pair[1]}")
            if options.imagededup:
                started = time.perf_counter()
                distance, judgement = phash(options.imagededup, images, len(originals))
                seconds = time.perf_counter() - started
                report(name, "PHash", judgement, seconds, f"{distance}, whole process")


def written(originals: Iterable[Path], edit: Edit, quality: int, folder: Path) -> Path:
    """The originals as NAME-a.jpg, byte for byte, and the edited as NAME-b.jpg."""
    folder.mkdir()
    for path in originals:
        (folder / f"{path.name}-a.jpg").write_bytes(path.read_bytes())
        with Image.open(path) as image:
            edit(image.convert("RGB")).save(folder / f"{path.name}-b.jpg", quality=quality)
    return folder


def judged(pairs: list[tuple[str, str]], originals: int) -> tuple[float, float]:
    """The precision and the recall of pairs of names."""
    asked = [pair for pair in pairs if not _known(pair)]
    right = len(asked) - len(wrong(asked))
    return right / max(1, len(asked)), right / originals


def wrong(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs that are not of one original, nor known to show the same."""
    return [pair for pair in pairs if len(_originals(pair)) > 1 and not _known(pair)]


def _known(pair: tuple[str, str]) -> bool:
    return _originals(pair) in SAME


def _originals(pair: tuple[str, str]) -> frozenset[str]:
    return frozenset(name[: -len("-a.jpg")] for name in pair)


def phash(python: str, images: Path, originals: int) -> tuple[int, tuple[float, float]]:
    """The distance at which imagededup's PHash is precise enough, and its precision and recall there."""
    asked = subprocess.run([python, "-c", _PHASH, str(images)], capture_output=True, text=True, check=True)
    found = json.loads(asked.stdout.strip().splitlines()[-1])
    by_distance = {
        most: judged([(a, b) for a, b, bits in found if bits <= most], originals) for most in range(21)
    }
    good = [most for most, (precision, _) in by_distance.items() if precision >= PRECISION]
    best = max(good, default=0)
    return best, by_distance[best]


def report(name: str, system: str, judgement: tuple[float, float], seconds: float, remark: str) -> None:
    precision, recall = judgement
    print(f"{name:24}{system:12}{precision:10.3f}{recall:8.3f}{seconds:7.1f}  {remark}", flush=True)


if __name__ == "__main__":
    main()
