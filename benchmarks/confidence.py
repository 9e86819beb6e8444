"""How well do confidences tell right hits from wrong ones, and reject queries unlike the collection?

    python benchmarks/confidence.py --images FOLDER --label folder

Each picture searches for its nearest other one; the hit is right if the labels are equal. The strangers are
drawn flowers and noise.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import lookalike
from lookalike.demo.flowers import write_flowers
from lookalike.search.confidence import background_of


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, help="a folder of labelled images")
    parser.add_argument("--label", default="folder", metavar="RULE", help="as for lookalike build")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        collection = lookalike.build(options.images, root / "c.lookalike", label=options.label)
        print(f"{len(collection):,} images; the confidence of first hits: 10%, median, 90%")
        right, wrong = _of_items(collection)
        _print("right", right)
        _print("wrong", wrong)
        write_flowers(root / "drawn", count=100)
        drawn = sorted((root / "drawn").rglob("*.jpg")) or sorted((root / "drawn").rglob("*.png"))
        _print("drawn flowers", _of_pictures(collection, drawn))
        rng = np.random.default_rng(0)
        noise = [Image.fromarray(rng.integers(0, 256, (240, 320, 3), np.uint8)) for _ in range(50)]
        _print("noise", _of_pictures(collection, noise))


def _of_items(collection: lookalike.Collection) -> tuple[np.ndarray, np.ndarray]:
    """The confidences of each item's nearest other item: those with the same label, and the rest."""
    vectors, labels = collection.embeddings(), np.array(collection.items(["label"])["label"].to_pylist())
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -1)
    nearest = scores.argmax(axis=1)
    confidences = background_of(collection.snapshot).confidence(scores.max(axis=1))
    right = labels == labels[nearest]
    return confidences[right], confidences[~right]


def _of_pictures(collection: lookalike.Collection, pictures: list) -> np.ndarray:
    return np.array([collection.search(one, k=1)[0].confidence for one in pictures])


def _print(what: str, confidences: np.ndarray) -> None:
    quantiles = "  ".join(f"{one:5.2f}" for one in np.quantile(confidences, [0.1, 0.5, 0.9]))
    print(f"{what:14} {len(confidences):5}   {quantiles}   below 0.5: {np.mean(confidences < 0.5):4.0%}")


if __name__ == "__main__":
    main()
