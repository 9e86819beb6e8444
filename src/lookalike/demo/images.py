"""Makes images for a first look: drawn flowers, or scikit-learn's handwritten digits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

from lookalike.errors import ExtraError

LABEL = r"regex:^\d+-(.+)\."


def write_images(
    dataset: str, folder: Path, count: int, on_progress: Callable[[int, int], None] | None = None
) -> None:
    """Write `count` images of a dataset, `flowers` or `digits`, as folder/NUMBER-LABEL.jpg or .png.

    Sorted by name the kinds alternate, so that the first page shows all kinds; `LABEL` is the rule
    that reads the label from a name.
    """
    if dataset == "digits":
        _write_digits(folder, count)
        return
    from lookalike.demo.flowers import write_flowers

    def heard(done: int) -> None:
        if on_progress:
            on_progress(done, count)

    write_flowers(folder, count, by_kind=False, on_progress=heard)


def _write_digits(folder: Path, count: int) -> None:
    """The 8 x 8 digits of the UCI set that scikit-learn ships, dark on white, enlarged to 64 px."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ExtraError("the dataset digits needs scikit-learn", "digits") from None
    import numpy as np
    from PIL import Image

    digits = load_digits()
    pairs = zip(digits.images, digits.target, strict=True)
    for number, (image, digit) in enumerate(islice(pairs, count)):
        path = folder / f"{number:04d}-{digit}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = np.rint(255 - image / 16 * 255).astype(np.uint8)
        Image.fromarray(grey).resize((64, 64), Image.Resampling.BICUBIC).save(path)
