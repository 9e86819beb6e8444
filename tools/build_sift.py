"""Make the codebook of the model `sift`: 16 centres of SIFT details, from pictures that are made here.

    pip install '.[analysis,sift]'; python tools/build_sift.py    write models/sift_codebook.npy

Half of the details are from drawn flowers, half from dead leaves: discs of all sizes that cover each other,
which have the statistics of natural pictures (Lee, Mumford & Huang, Occlusion models for natural images,
2001). So no photograph is needed. docs/evaluation.md says what that costs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import faiss
import numpy as np
from numpy.typing import NDArray

from lookalike.drawing import write_flowers
from lookalike.images import fit, load
from lookalike.models.sift import CODEBOOK_FILE, details

CENTRES, PICTURES, SIZE_PX = 16, 200, 224
DISCS = 3000


def dead_leaves(rng: np.random.Generator) -> NDArray[np.uint8]:
    """One picture (S, S) of grey ellipses, radii r of 2 to 40 px as frequent as r**-2, with soft noise."""
    picture = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    for _ in range(DISCS):
        radius = 1 / rng.uniform(1 / 40, 1 / 2)
        x, y = (int(place) for place in rng.integers(0, SIZE_PX, 2))
        axes = int(radius), max(1, int(radius * rng.uniform(0.2, 1)))
        grey = int(np.clip(rng.normal(128, 60), 0, 255))
        cv2.ellipse(picture, (x, y), axes, rng.uniform(0, 360), 0, 360, grey, -1, cv2.LINE_AA)
    noise = cv2.GaussianBlur(rng.normal(0, 20, picture.shape), (0, 0), 1.5)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.8) + noise, 0, 255).astype(np.uint8)


def drawn_flowers() -> list[NDArray[np.uint8]]:
    """The pictures of the demo, grey, as the model sees them."""
    with tempfile.TemporaryDirectory() as folder:
        write_flowers(Path(folder), PICTURES)
        pictures = [load(path, SIZE_PX) for path in sorted(Path(folder).glob("*/*"))]
    return [cv2.cvtColor(fit(one.pixels, SIZE_PX, 1.0, one.box), cv2.COLOR_RGB2GRAY) for one in pictures]


def main() -> None:
    rng = np.random.default_rng(0)
    leaves = np.concatenate([details(dead_leaves(rng))[1] for _ in range(PICTURES)])
    flowers = np.concatenate([details(grey)[1] for grey in drawn_flowers()])
    count = min(len(leaves), len(flowers))
    learned = faiss.Kmeans(128, CENTRES, niter=25, seed=0, max_points_per_centroid=2 * count)
    learned.train(np.concatenate([leaves[:count], flowers[:count]]))
    np.save(CODEBOOK_FILE, learned.centroids)
    print(f"{CENTRES} centres of {2 * count:,} details are in {CODEBOOK_FILE}")


if __name__ == "__main__":
    main()
