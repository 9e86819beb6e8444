"""How many synthetic duplicates are found, and how many of those found are duplicates?

    python benchmarks/duplicates.py --images FOLDER [--imagededup PYTHON]

Each picture of the folder is edited in one way after another; the originals and the edited pictures form one
collection, and an edited picture is found if it is paired with its original. Precision is the share of pairs
with the same original. For each edit, one line for each tier says how many of the edited pictures it found;
the last lines are the precision of each tier over all edits.

`--imagededup` is the Python of an environment with imagededup, which runs on the same files: its PHash, and
its CNN method, each at the threshold where the precision is still 0.99. The weights of its own network would
have to be downloaded, so the CNN method gets our vectors.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

import lookalike
from lookalike.analysis.duplicates import DUPLICATES, Duplicates

PRECISION = 0.99
# Pairs of the flowers that show the same photograph, as checked by eye: they are right, but do not count as
# queries.
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


# name -> the edit, and the quality of the JPEG it is saved with
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


_CNN = """
import json, sys
import numpy as np
import torch
from imagededup.methods import CNN
from imagededup.utils import CustomModel
model = CustomModel(name="given", model=torch.nn.Identity(), transform=lambda image: image)
with np.load(sys.argv[1]) as given:
    vectors = dict(zip(given["ids"].tolist(), given["vectors"]))
method = CNN(verbose=False, model_config=model)
found = method.find_duplicates(encoding_map=vectors, min_similarity_threshold=0.5, scores=True,
    num_sim_workers=0)
print(json.dumps([[a, b, -float(d)] for a, near in found.items() for b, d in near if a < b]))
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
    print(f"{'':24}{'':12}{'precision':>10}{'recall':>8}{'s':>7}", flush=True)
    every: dict[str, list[tuple[str, str]]] = {tier: [] for tier in DUPLICATES}
    for name in options.edits:
        edit, quality = EDITS[name]
        with tempfile.TemporaryDirectory() as folder:
            images = written(originals, edit, quality, Path(folder) / "images")
            collection = lookalike.build(images, Path(folder) / "c.lookalike")
            started = time.perf_counter()
            found = collection.duplicates()
            seconds = time.perf_counter() - started
            tiers = by_tier(found)
            pairs = [pair for tier in DUPLICATES for pair in tiers[tier]]
            report(name, "lookalike", judged(pairs, len(originals)), seconds, "all tiers")
            for tier in DUPLICATES:
                every[tier] += tiers[tier]
                if tiers[tier]:
                    report(
                        "",
                        f"  {tier}",
                        judged(tiers[tier], len(originals)),
                        None,
                        f"{len(tiers[tier])} pairs",
                    )
            for pair in wrong(pairs):
                print(f"{'':36}not of one original: {pair[0]}, {pair[1]}")
            if options.imagededup:
                vectors = Path(folder) / "vectors.npz"
                np.savez(vectors, ids=collection.ids, vectors=collection.embeddings())
                for system, script, given in (("PHash", _PHASH, images), ("CNN", _CNN, vectors)):
                    started = time.perf_counter()
                    most, judgement = imagededup(options.imagededup, script, given, len(originals))
                    seconds = time.perf_counter() - started
                    limit = f"distance {most:.0f}" if most >= 0 else f"cosine {-most:.3f}"
                    report(name, system, judgement, seconds, f"{limit}, whole process")
    for tier, pairs in every.items():
        if pairs:
            edited = len(originals) * len(options.edits)
            report("all edits", f"  {tier}", judged(pairs, edited), None, f"{len(pairs)} pairs")


def by_tier(found: Duplicates) -> dict[str, list[tuple[str, str]]]:
    """The pairs of ids of each tier, without pairs of unedited pictures of one photograph."""
    ids = [item["id"] for item in found.items]
    pairs = [(one.tier, (ids[one.rows[0]], ids[one.rows[1]])) for one in found.pairs]
    return {tier: [pair for its, pair in pairs if its == tier and not _known(pair)] for tier in DUPLICATES}


def written(originals: Iterable[Path], edit: Edit, quality: int, folder: Path) -> Path:
    """Write the originals as NAME-a.jpg, byte for byte, and the edited pictures as NAME-b.jpg."""
    folder.mkdir()
    for path in originals:
        (folder / f"{path.name}-a.jpg").write_bytes(path.read_bytes())
        with Image.open(path) as image:
            edit(image.convert("RGB")).save(folder / f"{path.name}-b.jpg", quality=quality)
    return folder


def judged(pairs: list[tuple[str, str]], originals: int) -> tuple[float, float]:
    """The precision and the recall of pairs of names."""
    right = len(pairs) - len(wrong(pairs))
    return right / max(1, len(pairs)), right / originals


def wrong(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs that do not share an original."""
    return [pair for pair in pairs if len(_originals(pair)) > 1]


def _known(pair: tuple[str, str]) -> bool:
    return _originals(pair) in SAME


def _originals(pair: tuple[str, str]) -> frozenset[str]:
    return frozenset(name[: -len("-a.jpg")] for name in pair)


def imagededup(python: str, script: str, given: Path, originals: int) -> tuple[float, tuple[float, float]]:
    """The threshold at which a method is precise enough, and its precision and recall there.

    A cosine counts as a negative distance.
    """
    asked = subprocess.run([python, "-c", script, str(given)], capture_output=True, text=True, check=True)
    found = sorted(json.loads(asked.stdout.strip().splitlines()[-1]), key=lambda pair: pair[2])
    asked_for = [(a, b, distance) for a, b, distance in found if not _known((a, b))]
    right = np.cumsum([len(_originals((a, b))) == 1 for a, b, _ in asked_for])
    distances = np.array([distance for *_, distance in asked_for] + [np.inf])
    # A threshold accepts all pairs of equal distance, so it is judged after the last of them.
    last = np.flatnonzero(distances[:-1] < distances[1:])
    good = last[right[last] / (last + 1) >= PRECISION]
    if not len(good):
        return 0.0, (0.0, 0.0)
    best = good[-1]
    return float(distances[best]), (float(right[best] / (best + 1)), float(right[best] / originals))


def report(
    name: str, system: str, judgement: tuple[float, float], seconds: float | None, remark: str
) -> None:
    precision, recall = judgement
    took = "" if seconds is None else f"{seconds:.1f}"
    print(f"{name:24}{system:12}{precision:10.3f}{recall:8.3f}{took:>7}  {remark}", flush=True)


if __name__ == "__main__":
    main()
